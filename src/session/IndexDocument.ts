/**
 * IndexDocument: one version of `sessions.json` in memory, entry by entry as text.
 *
 * Entries that are not touched are written back as they were read. The text is kept in segments whose bytes are
 * cached, so that a write with 100,000 entries encodes only the segments that change.
 */
import { Either, Option } from "effect"
import * as SessionKey from "../domain/SessionKey.js"
import { isRecord, parse as parseJson, split } from "./JsonFields.js"
import * as StoredEntry from "./StoredEntry.js"

/** A new version that is not yet the current one. */
export interface Prepared {
  /** The bytes of the new version, in order. */
  readonly chunks: ReadonlyArray<Uint8Array>
  /** Makes the document the new version. */
  readonly commit: () => void
}

export interface IndexDocument {
  /** The name under which a session's entry stands in the file: its canonical key, or another spelling of it. */
  readonly spelling: (key: SessionKey.SessionKey) => string | undefined
  /** The text of the entry under a name of the file. */
  readonly text: (name: string) => string | undefined
  /** What the entry under a name of the file means; decoded once. */
  readonly entry: (name: string) => Option.Option<Either.Either<StoredEntry.StoredEntry, string>>
  /** All names of the file, in its order. */
  readonly names: () => ReadonlyArray<string>
  /**
   * Whose entry stands under a name of the file, and what it means. None when the name can't name a session, or another name
   * counts for the same one.
   */
  readonly row: (
    name: string
  ) => Option.Option<readonly [SessionKey.SessionKey, Either.Either<StoredEntry.StoredEntry, string>]>
  /** All entries that can be used, by canonical key. */
  readonly entries: () => ReadonlyMap<SessionKey.SessionKey, StoredEntry.StoredEntry>
  /** The bytes of this version, in order. */
  readonly chunks: () => ReadonlyArray<Uint8Array>
  /**
   * Computes the version in which these names have these texts; those with undefined are gone. This version stays as it is
   * until `commit`.
   */
  readonly prepare: (changes: ReadonlyMap<string, string | undefined>) => Prepared
}

interface Item {
  readonly name: string
  readonly text: string
  entry: Either.Either<StoredEntry.StoredEntry, string> | undefined
  /** Undefined until it is asked for; none when the name can't name a session. */
  key: Option.Option<SessionKey.SessionKey> | undefined
}

interface Segment {
  readonly items: ReadonlyArray<Item>
  bytes: Uint8Array | undefined
}

const segmentSize = 256
const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/** Reads the bytes of `sessions.json`. Left: why it can't be used. */
export const parse = (
  bytes: Uint8Array,
  defaults: SessionKey.SessionKeyDefaults
): Either.Either<IndexDocument, string> => {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return Either.left("is not UTF-8")
  }
  const value = parseJson(text)
  if (Option.isNone(value)) return Either.left("is not JSON")
  if (!isRecord(value.value)) return Either.left("is not a JSON object")
  // A name that stands there twice counts once, with its last value: as JSON.parse reads it.
  const items = new Map<string, Item>()
  for (const field of split(text)) items.set(field.name, makeItem(field.name, field.text))
  return Either.right(make(items, defaults))
}

/** The document of a file that is not there. */
export const empty = (defaults: SessionKey.SessionKeyDefaults): IndexDocument => make(new Map(), defaults)

const makeItem = (name: string, text: string): Item => ({ name, text, entry: undefined, key: undefined })

const make = (items: Map<string, Item>, defaults: SessionKey.SessionKeyDefaults): IndexDocument => {
  const all = Array.from(items.values())
  const segments: Array<Segment> = []
  const segmentOf = new Map<Item, number>()
  for (let at = 0; at < all.length; at += segmentSize) {
    const part = all.slice(at, at + segmentSize)
    for (const item of part) segmentOf.set(item, segments.length)
    segments.push({ items: part, bytes: undefined })
  }

  const keyOf = (item: Item): Option.Option<SessionKey.SessionKey> =>
    (item.key ??= Option.getRight(SessionKey.parse(item.name, defaults)))

  // Other spellings of keys (`main`), found when a canonical key is missed for the first time. A value that is not an
  // object is not an entry (`"version": 2`), whatever its name.
  let spellings: Map<string, string> | undefined
  const otherSpelling = (key: SessionKey.SessionKey): string | undefined => {
    if (spellings === undefined) {
      spellings = new Map()
      for (const item of items.values()) {
        const canonical = keyOf(item)
        if (Option.isNone(canonical) || canonical.value === item.name || !item.text.startsWith("{")) continue
        if (!spellings.has(canonical.value)) spellings.set(canonical.value, item.name)
      }
    }
    return spellings.get(key)
  }

  const spelling = (key: SessionKey.SessionKey): string | undefined =>
    items.has(key) ? key : otherSpelling(key)

  const decode = (item: Item): Either.Either<StoredEntry.StoredEntry, string> =>
    (item.entry ??= StoredEntry.decode(item.text))

  const row = (name: string) => {
    const item = items.get(name)
    const key = item === undefined ? Option.none() : keyOf(item)
    return item === undefined || Option.isNone(key) || spelling(key.value) !== name
      ? Option.none()
      : Option.some([key.value, decode(item)] as const)
  }

  const bytesOf = (segment: Segment): Uint8Array => (segment.bytes ??= render(segment.items))

  const prepare = (changes: ReadonlyMap<string, string | undefined>): Prepared => {
    const changed = new Map<number, Array<Item>>()
    const itemsOf = (at: number): Array<Item> => {
      const known = changed.get(at)
      if (known !== undefined) return known
      const copy = Array.from(segments[at]?.items ?? [])
      changed.set(at, copy)
      return copy
    }
    const fresh: Array<Item> = []
    const gone: Array<Item> = []
    for (const [name, text] of changes) {
      const item = items.get(name)
      if (item === undefined) {
        if (text !== undefined) fresh.push(makeItem(name, text))
        continue
      }
      const part = itemsOf(segmentOf.get(item) ?? 0)
      if (text === undefined) {
        gone.push(item)
        part.splice(part.indexOf(item), 1)
      } else part[part.indexOf(item)] = makeItem(name, text)
    }
    let last = Math.max(0, segments.length - 1)
    for (const item of fresh) {
      if (itemsOf(last).length >= segmentSize) last++
      itemsOf(last).push(item)
    }
    const count = Math.max(segments.length, changed.size === 0 ? 0 : last + 1)
    const next: Array<Segment> = []
    for (let at = 0; at < count; at++) {
      const part = changed.get(at)
      next.push(part === undefined ? (segments[at] ?? noSegment) : { items: part, bytes: undefined })
    }
    return {
      chunks: assemble(next, bytesOf),
      commit: () => {
        for (const item of gone) {
          segmentOf.delete(item)
          items.delete(item.name)
        }
        // Another spelling may count now.
        if (gone.length > 0) spellings = undefined
        for (const [at] of changed) {
          const segment = next[at] ?? noSegment
          segments[at] = segment
          for (const item of segment.items) {
            segmentOf.set(item, at)
            const old = items.get(item.name)
            if (old !== undefined && old !== item) segmentOf.delete(old)
            items.set(item.name, item)
          }
        }
      }
    }
  }

  return {
    spelling,
    text: (name) => items.get(name)?.text,
    entry: (name) => Option.map(Option.fromNullable(items.get(name)), decode),
    names: () => Array.from(items.keys()),
    row,
    entries: () => {
      const entries = new Map<SessionKey.SessionKey, StoredEntry.StoredEntry>()
      for (const name of items.keys()) {
        const found = row(name)
        if (Option.isSome(found) && Either.isRight(found.value[1]))
          entries.set(found.value[0], found.value[1].right)
      }
      return entries
    },
    chunks: () => assemble(segments, bytesOf),
    prepare
  }
}

const noSegment: Segment = { items: [], bytes: undefined }

/** The bytes of a file of these segments. */
const assemble = (
  segments: ReadonlyArray<Segment>,
  bytesOf: (segment: Segment) => Uint8Array
): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (const segment of segments) {
    if (segment.items.length > 0) chunks.push(chunks.length === 0 ? opening : separator, bytesOf(segment))
  }
  return chunks.length === 0 ? [noEntries] : [...chunks, closing]
}

const opening = encoder.encode("{\n")
const separator = encoder.encode(",\n")
const closing = encoder.encode("\n}\n")
const noEntries = encoder.encode("{}\n")

/** One entry a line, so that people and line tools can read it. */
const render = (items: ReadonlyArray<Item>): Uint8Array =>
  encoder.encode(items.map((item) => `${JSON.stringify(item.name)}: ${item.text}`).join(",\n"))
