/** TranscriptScan: a transcript read from its beginning to its end, in blocks, for what is wrong with it. */
import type { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import type { ImageReference } from "../domain/Message.js"
import { type Failure, readFully } from "../journal/Disk.js"
import * as ImageFile from "./ImageFile.js"
import { isRecord, parse } from "./JsonFields.js"
import { RepeatedIds } from "./RepeatedIds.js"
import * as TranscriptLines from "./TranscriptLines.js"

const blockBytes = 256 * 1024
/** Longer lines are counted, and not looked into. */
const longestLine = 32 * 1024 * 1024

/** Some lines: how many, and the number of the first one, from 1. */
interface Lines {
  count: number
  line: number
}

export interface Scan {
  /** Up to here it was read, in bytes. */
  readonly size: number
  readonly messages: number
  /** The session that the first line names; undefined: the first line is no header. */
  readonly header: string | undefined
  /** Lines that are neither blank nor JSON. */
  readonly broken: Lines
  readonly long: Lines
  /** How long the last line is, when it has no line feed and is not JSON; else 0. In bytes. */
  readonly torn: number
  /** Ids of messages that stand there more than once; the first of those, and the line where it comes again. */
  readonly repeated: { readonly ids: number; readonly id: string; readonly line: number }
  /** Those of the wanted ids that are there. */
  readonly found: ReadonlySet<string>
  /** The images that its messages refer to, each once. */
  readonly images: ReadonlyArray<ImageReference>
}

/** Reads the first `size` bytes of a transcript. `onBlock` gets how many bytes were read, each time. */
export const scan = (
  file: FileSystem.File,
  size: number,
  wanted: ReadonlySet<string>,
  onBlock: (bytes: number) => Effect.Effect<void>
): Effect.Effect<Scan, Failure> =>
  Effect.gen(function* () {
    const broken: Lines = { count: 0, line: 0 }
    const long: Lines = { count: 0, line: 0 }
    const found = new Set<string>()
    const images = new Map<string, ImageReference>()
    const ids = new RepeatedIds()
    let header: string | undefined
    let messages = 0
    let lines = 0

    const look = (bytes: Buffer | undefined): void => {
      lines++
      if (bytes === undefined) return note(long, lines)
      const text = bytes.toString("utf8")
      const value = Option.getOrUndefined(parse(text))
      if (value === undefined && text.trim() !== "") return note(broken, lines)
      if (lines === 1) header = headerOf(value)
      const id = idOf(value)
      if (id === undefined) return
      messages++
      for (const image of imagesOf(value)) images.set(ImageFile.nameOf(image), image)
      if (id === "") return
      ids.add(id)
      if (wanted.has(id)) found.add(id)
    }

    const { read, rest } = yield* each(file, size, look, onBlock)
    const isTorn =
      rest.length > 0 && (rest.bytes === undefined || Option.isNone(parse(rest.bytes.toString("utf8"))))
    // A line that lacks only its line feed counts.
    if (rest.length > 0 && !isTorn) look(rest.bytes)

    const candidates = ids.candidates()
    return {
      size: read,
      messages,
      header,
      broken,
      long,
      torn: isTorn ? rest.length : 0,
      repeated: candidates.size === 0 ? none : yield* repeatedIn(file, size, candidates.has),
      found,
      images: Array.from(images.values())
    }
  })

/** Reads it again: a hash alone proves nothing, and has no line number. */
const repeatedIn = (file: FileSystem.File, size: number, mayRepeat: (id: string) => boolean) =>
  Effect.gen(function* () {
    const seen = new Map<string, number>()
    let first = none
    let lines = 0
    const look = (bytes: Buffer | undefined): void => {
      lines++
      if (bytes === undefined) return
      const id = idOf(Option.getOrUndefined(parse(bytes.toString("utf8"))))
      if (id === undefined || id === "" || !mayRepeat(id)) return
      const count = (seen.get(id) ?? 0) + 1
      seen.set(id, count)
      if (count > 1 && first.id === "") first = { ids: 0, id, line: lines }
    }
    const { rest } = yield* each(file, size, look, () => Effect.void)
    if (rest.length > 0) look(rest.bytes)
    return { ...first, ids: Array.from(seen.values()).filter((count) => count > 1).length }
  })

const none = { ids: 0, id: "", line: 0 }

const each = (
  file: FileSystem.File,
  size: number,
  onLine: (line: Buffer | undefined) => void,
  onBlock: (bytes: number) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const lines = TranscriptLines.make(longestLine, onLine)
    let read = 0
    while (read < size) {
      const block = yield* readFully(file, read, Math.min(blockBytes, size - read))
      if (block.length === 0) break
      read += block.length
      lines.push(block)
      yield* onBlock(block.length)
    }
    return { read, rest: lines.rest() }
  })

const note = (lines: Lines, line: number): void => {
  if (lines.count++ === 0) lines.line = line
}

const headerOf = (value: unknown): string | undefined =>
  isRecord(value) && value["type"] === "session"
    ? typeof value["id"] === "string"
      ? value["id"]
      : ""
    : undefined

/** The id of a line's message, as the store reads it: empty when it has none. Undefined: the line has no message. */
const idOf = (value: unknown): string | undefined => {
  if (!isRecord(value) || !isRecord(value["message"])) return undefined
  const { id } = value["message"]
  if (typeof id === "string") return id
  return typeof value["id"] === "string" ? value["id"] : ""
}

const imagesOf = (value: unknown): ReadonlyArray<ImageReference> =>
  isRecord(value) && isRecord(value["message"]) ? ImageFile.referencesIn(value["message"]["content"]) : []
