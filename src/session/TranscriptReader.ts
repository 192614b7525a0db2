/**
 * TranscriptReader: reads a page of a transcript from its end, in blocks, and no more of it than the page needs.
 *
 * Memory: one block, the page, and one line. Of a line that is longer than any message of the page could be only the
 * beginning is kept.
 */
import { Effect, Option } from "effect"
import type { ImageReference, StoredMessage } from "../domain/Message.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import * as ImageFile from "./ImageFile.js"
import type { Glance, GlanceQuery, HistoryPage, HistoryQuery } from "./SessionStore.js"
import type { TranscriptSource } from "./StoreDriver.js"
import * as Transcript from "./Transcript.js"

export interface ReaderOptions {
  /** How much is read at once. */
  readonly blockBytes: number
  /**
   * Longer lines are not parsed: their message becomes a placeholder when it begins in the line's first
   * `Transcript.headBytes`, else the line is skipped. The query's `maxBytes` counts when it is more.
   */
  readonly maxLineBytes: number
}

export const defaults: ReaderOptions = { blockBytes: 64 * 1024, maxLineBytes: 8 * 1024 * 1024 }

export type Page = Pick<HistoryPage, "messages" | "hasMore">

/** The transcript has become shorter while it was read: somebody has rewritten it, or an append was taken back. */
export class TranscriptShrank {
  readonly _tag = "TranscriptShrank"
}

/** The page of `query` out of the first `end` bytes of a transcript. */
export const page = (
  source: TranscriptSource,
  end: number,
  query: HistoryQuery,
  options: ReaderOptions = defaults
): Effect.Effect<Page, SessionStoreError | TranscriptShrank> =>
  Effect.gen(function* () {
    const collector = makeCollector(query)
    yield* readBack(source, end, collector, {
      ...options,
      maxLineBytes: Math.max(query.maxBytes, options.maxLineBytes)
    })
    return collector.page()
  })

/** What is near the beginning and near the end of the first `end` bytes of a transcript. */
export const glance = (
  source: TranscriptSource,
  end: number,
  query: GlanceQuery
): Effect.Effect<Glance, SessionStoreError | TranscriptShrank> =>
  Effect.gen(function* () {
    const first = query.first ? yield* firstOfUser(source, end) : undefined
    // The line in which this part begins is most likely cut: it is no message then.
    const from = Math.max(0, end - tailBytes)
    const tail: TranscriptSource = {
      size: end - from,
      read: (start, length) => source.read(from + start, length)
    }
    const limits = { limit: Math.max(1, query.last), maxBytes: tailBytes }
    const { messages } =
      query.last === 0 ? { messages: [] } : yield* page(tail, tail.size, limits, glanceOptions)
    return { ...(first === undefined ? {} : { first }), last: messages }
  })

const headBytes = 64 * 1024
const tailBytes = 256 * 1024
const glanceOptions: ReaderOptions = { blockBytes: 16 * 1024, maxLineBytes: tailBytes }

/** The first message of a user whose line ends in the first `headBytes`. */
const firstOfUser = (source: TranscriptSource, end: number) =>
  Effect.gen(function* () {
    const limit = Math.min(end, headBytes)
    let head: Buffer = Buffer.alloc(0)
    let at = 0
    while (head.length < limit) {
      const length = Math.min(glanceOptions.blockBytes, limit - head.length)
      const block = yield* source.read(head.length, length)
      if (block.length < length) return yield* Effect.fail(new TranscriptShrank())
      head = Buffer.concat([head, block])
      for (;;) {
        const newline = head.indexOf(lineFeed, at)
        const isLast = newline < 0 && head.length === end
        if (newline < 0 && !isLast) break
        const line = head.toString("utf8", at, isLast ? end : newline)
        const message = Option.getOrUndefined(Transcript.decodeLine(line))
        if (message?.["role"] === "user") return message
        if (isLast) return undefined
        at = newline + 1
      }
    }
    return undefined
  })

/** The newest reference to an image in the first `end` bytes of a transcript. */
export const findImage = (
  source: TranscriptSource,
  end: number,
  sha256: string,
  options: ReaderOptions = defaults
): Effect.Effect<Option.Option<ImageReference>, SessionStoreError | TranscriptShrank> =>
  Effect.suspend(() => {
    const wanted = Buffer.from(sha256)
    let found: Option.Option<ImageReference> = Option.none()
    return Effect.map(
      readBack(
        source,
        end,
        {
          line: (line) => {
            if (Option.isNone(found) && line.includes(wanted)) found = imageIn(line, sha256)
          },
          // Too long for any message of ours.
          head: () => {},
          full: () => Option.isSome(found)
        },
        options
      ),
      () => found
    )
  })

const imageIn = (line: Buffer, sha256: string): Option.Option<ImageReference> => {
  const message = Option.getOrUndefined(Transcript.decodeLine(line.toString("utf8")))
  const references = ImageFile.referencesIn(message?.["content"])
  return Option.fromNullable(references.find((reference) => reference.sha256 === sha256))
}

/** Gives a sink the lines from the last to the first, until it is full. */
const readBack = (source: TranscriptSource, end: number, sink: LineSink, options: ReaderOptions) =>
  Effect.gen(function* () {
    const lines = makeLines(sink, options.maxLineBytes)
    let start = end
    while (start > 0 && !sink.full()) {
      const length = Math.min(options.blockBytes, start)
      start -= length
      const bytes = yield* source.read(start, length)
      if (bytes.length < length) return yield* Effect.fail(new TranscriptShrank())
      lines.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    }
    if (!sink.full()) lines.finish()
  })

/** Finds whole lines in blocks that come from the last to the first. */
const makeLines = (sink: LineSink, maxLineBytes: number) => {
  // The parts of a line whose beginning is not yet found, from its end to its beginning.
  let parts: Array<Buffer> = []
  let kept = 0
  let lineBytes = 0

  const keep = (part: Buffer): void => {
    if (part.length === 0) return
    parts.push(part)
    kept += part.length
    lineBytes += part.length
    if (lineBytes <= maxLineBytes) return
    // Only the beginning counts now, and it comes last.
    let dropped = 0
    for (const old of parts) {
      if (kept - old.length < Transcript.headBytes) break
      kept -= old.length
      dropped++
    }
    parts.splice(0, dropped)
  }

  const finish = (): void => {
    const [only, ...others] = parts
    if (only === undefined) return
    const line = others.length === 0 ? only : Buffer.concat(parts.toReversed(), kept)
    if (lineBytes <= maxLineBytes) sink.line(line)
    else sink.head(line.subarray(0, Transcript.headBytes), lineBytes)
    parts = []
    kept = 0
    lineBytes = 0
  }

  const push = (block: Buffer): void => {
    let end = block.length
    while (end > 0) {
      const newline = block.lastIndexOf(lineFeed, end - 1)
      if (newline < 0) break
      keep(block.subarray(newline + 1, end))
      finish()
      if (sink.full()) return
      end = newline
    }
    keep(block.subarray(0, end))
  }

  return { push, finish }
}

/** What takes lines that come from the newest to the oldest. */
interface LineSink {
  readonly line: (line: Buffer) => void
  /** The beginning of a line that is longer than any that is looked into. */
  readonly head: (head: Buffer, lineBytes: number) => void
  /** Nothing that is older counts. */
  readonly full: () => boolean
}

interface Collector extends LineSink {
  readonly page: () => Page
}

/** Makes a page of messages that come from the newest to the oldest. */
const makeCollector = (query: HistoryQuery): Collector => {
  const newestFirst: Array<StoredMessage> = []
  let bytes = "[]".length
  let hasMore = false
  let seeking = query.before
  const cannotHoldId = seeking === undefined ? () => false : lacks(seeking)

  const end = (): void => {
    hasMore = true
  }

  const offer = (message: StoredMessage, lineBytes: number): void => {
    if (seeking !== undefined) {
      if (message.id === seeking) seeking = undefined
      return
    }
    if (newestFirst.length >= query.limit) return end()
    const comma = newestFirst.length === 0 ? 0 : 1
    let shown = message
    let size = jsonBytes(shown)
    if (size === undefined || size + "[]".length > query.maxBytes) {
      shown =
        size === undefined
          ? Transcript.placeholder(message, lineBytes, "nested too deeply")
          : Transcript.placeholder(message, size, "over the history limit")
      size = jsonBytes(shown) ?? 0
    }
    if (bytes + comma + size > query.maxBytes) return end()
    bytes += comma + size
    newestFirst.push(shown)
  }

  return {
    line: (line) => {
      if (line.length === 0 || (seeking !== undefined && cannotHoldId(line))) return
      const message = Transcript.decodeLine(line.toString("utf8"))
      if (Option.isSome(message)) offer(message.value, line.length)
    },
    head: (head, lineBytes) => {
      const message = Transcript.decodeHead(head.toString("utf8"), lineBytes)
      if (Option.isSome(message)) offer(message.value, lineBytes)
    },
    full: () => hasMore,
    page: () => ({ messages: newestFirst.toReversed(), hasMore })
  }
}

/** The UTF-8 length of a value's JSON; undefined when it is nested too deeply for `JSON.stringify`. */
const jsonBytes = (value: StoredMessage): number | undefined => {
  try {
    return Buffer.byteLength(JSON.stringify(value))
  } catch {
    return undefined
  }
}

/**
 * Finds lines that can't hold an id without parsing them. A plain id stands in a line as it is, or written with `\u`
 * escapes; of other ids nothing is known.
 */
const lacks = (id: string): ((line: Buffer) => boolean) => {
  if (!/^[A-Za-z0-9._:-]+$/.test(id)) return () => false
  const plain = Buffer.from(id)
  return (line) => !line.includes(plain) && !line.includes("\\u")
}

const lineFeed = 0x0a
