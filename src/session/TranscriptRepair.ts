/** TranscriptRepair: what a crash has left undone in transcripts. */
import { Effect, Option } from "effect"
import type { MessageId } from "../domain/Ids.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import { lineFeed } from "../journal/Disk.js"
import type { Entry } from "../journal/JournalRecord.js"
import { parse } from "./JsonFields.js"
import type { TranscriptDriver, TranscriptSource } from "./StoreDriver.js"
import * as Transcript from "./Transcript.js"

/** The longest line end that is looked at; what is longer is taken for torn. */
const maxTailBytes = 16 * 1024 * 1024
const blockBytes = 64 * 1024

/**
 * Puts the journal's messages into their transcripts where they are missing, in order. Transcripts that can't be read or
 * written are left alone and named in the log.
 */
export const recover = (
  transcripts: TranscriptDriver,
  entries: ReadonlyArray<Entry>,
  cwd: string
): Effect.Effect<Recovered> =>
  Effect.gen(function* () {
    const byFile = new Map<string, Array<Entry>>()
    for (const entry of entries) {
      const known = byFile.get(entry.file)
      if (known === undefined) byFile.set(entry.file, [entry])
      else known.push(entry)
    }
    const stored: Array<MessageId> = []
    let missing = 0
    yield* Effect.forEach(
      byFile,
      ([name, group]) =>
        recoverFile(transcripts, name, group, cwd).pipe(
          Effect.map((count) => {
            missing += count
            for (const { id } of group) stored.push(id)
          }),
          Effect.catchAll((error) =>
            Effect.logError(
              `${group.length} messages of the run journal could not be put into ${name}; they stay in the journal`,
              error
            )
          )
        ),
      { concurrency: filesAtOnce, discard: true }
    )
    return { stored, missing }
  })

export interface Recovered {
  /** They are in their transcripts now. */
  readonly stored: ReadonlyArray<MessageId>
  /** How many of them were not before. */
  readonly missing: number
}

const filesAtOnce = 8

const recoverFile = (
  transcripts: TranscriptDriver,
  name: string,
  entries: ReadonlyArray<Entry>,
  cwd: string
): Effect.Effect<number, SessionStoreError> =>
  Effect.gen(function* () {
    const file = yield* transcripts.locate(name)
    yield* cutTail(transcripts, file)
    const present = yield* presentIn(transcripts, file, entries)
    const missing = entries.filter(({ id }) => !present.has(id))
    if (missing.length === 0) return 0
    yield* transcripts.append(file, (tail) =>
      Effect.sync(() => {
        const [first] = missing
        const header =
          tail.size === 0 && first !== undefined
            ? Transcript.headerLine(first.sessionId, first.timestamp, cwd)
            : ""
        const lines = missing.map(({ id, message, timestamp }) =>
          Transcript.messageLine(id, timestamp, JSON.stringify(message))
        )
        return Buffer.from(`${tail.endsWithNewline ? "" : "\n"}${header}${lines.join("")}`)
      })
    )
    return missing.length
  })

/** Which of the messages are in the transcript. It is read only from where they can be. */
const presentIn = (
  transcripts: TranscriptDriver,
  file: string,
  entries: ReadonlyArray<Entry>
): Effect.Effect<ReadonlySet<string>, SessionStoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const found = new Set<string>()
      const source = Option.getOrUndefined(yield* transcripts.open(file))
      if (source === undefined) return found
      const wanted = new Set<string>(entries.map(({ id }) => id))
      const from = entries.reduce((least, { tail }) => Math.min(least, tail), source.size)
      // A transcript that has become shorter was rewritten by somebody: the message may be anywhere in it.
      let at = entries.some(({ tail }) => tail > source.size) ? 0 : from
      let rest: Buffer = Buffer.alloc(0)
      const look = (line: string): void => {
        const id = Option.getOrUndefined(Transcript.decodeLine(line))?.id
        if (id !== undefined && wanted.has(id)) found.add(id)
      }
      while (at < source.size) {
        const block = yield* source.read(at, Math.min(blockBytes, source.size - at))
        if (block.length === 0) break
        at += block.length
        const bytes = Buffer.concat([rest, block])
        const end = bytes.lastIndexOf(lineFeed) + 1
        for (const line of bytes.toString("utf8", 0, end).split("\n")) look(line)
        rest = bytes.subarray(end)
      }
      // A last line may lack its line feed.
      look(rest.toString("utf8"))
      return found
    })
  )

/**
 * Cuts off a last line that was not written whole, and keeps it beside. One that lacks only its line feed stays: the next
 * line will begin on a line of its own. Gives how many bytes were cut off.
 */
export const cutTail = (
  transcripts: TranscriptDriver,
  file: string
): Effect.Effect<number, SessionStoreError> =>
  Effect.gen(function* () {
    const tail = yield* Effect.scoped(
      Effect.flatMap(
        transcripts.open(file),
        Option.match({ onNone: () => Effect.succeedNone, onSome: tailOf })
      )
    ).pipe(Effect.map(Option.getOrUndefined))
    if (tail === undefined || Option.isSome(parse(tail.bytes.toString("utf8")))) return 0
    yield* transcripts.setAside(file, tail.bytes)
    yield* transcripts.truncate(file, tail.at)
    yield* Effect.logWarning(
      `a transcript had a last line that was cut off: ${tail.bytes.length} bytes were put aside`
    ).pipe(Effect.annotateLogs({ file }))
    return tail.bytes.length
  })

/** What is behind the last line feed; none when nothing is. */
const tailOf = (
  source: TranscriptSource
): Effect.Effect<Option.Option<{ readonly at: number; readonly bytes: Buffer }>, SessionStoreError> =>
  Effect.gen(function* () {
    let bytes: Buffer = Buffer.alloc(0)
    let at = source.size
    while (at > 0 && bytes.length < maxTailBytes) {
      const start = Math.max(0, at - blockBytes)
      const block = Buffer.from(yield* source.read(start, at - start))
      const newline = block.lastIndexOf(lineFeed)
      bytes = Buffer.concat([block.subarray(newline + 1), bytes])
      at = start
      if (newline < 0) continue
      at = start + newline + 1
      break
    }
    return bytes.length === 0 ? Option.none() : Option.some({ at, bytes })
  })
