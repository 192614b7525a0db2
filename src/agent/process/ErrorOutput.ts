/** ErrorOutput: what a program says on stderr: into our log line by line, and its newest part for an error's message. */
import { Deferred, Effect, type Scope, Stream } from "effect"
import { stripVTControlCharacters } from "node:util"
import type { ProcessError } from "../ProcessGroup.js"

export interface ErrorOutput {
  /** Its newest whole lines, some 2,000 bytes at most, without colours and control characters; empty when it was silent. */
  readonly tail: Effect.Effect<string>
  /** Waits until all of it was read. */
  readonly ended: Effect.Effect<void>
}

/** The most bytes that a tail has. */
const tailBytes = 2000
/** The most characters of a line that are logged. */
const lineLength = 1000
/** The most lines of one piece (64 KiB) that are logged: whoever floods stderr must not flood our log. */
const linesAtOnce = 100

/** Reads it as long as the scope is open, as it has to be: a program whose stderr nobody reads is held up. */
export const follow = (
  errors: Stream.Stream<Uint8Array, ProcessError>,
  log: (line: string) => Effect.Effect<void>
): Effect.Effect<ErrorOutput, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const decoder = new TextDecoder()
    const lines = makeLines()
    // Twice as much as is shown, since what is stripped is part of it.
    let newest = ""
    const take = (text: string): Effect.Effect<void> => {
      newest = (newest + text).slice(-2 * tailBytes)
      return Effect.forEach(lines.take(text), log, { discard: true })
    }
    yield* Stream.runForEach(errors, (bytes) => take(decoder.decode(bytes, { stream: true }))).pipe(
      // A pipe that breaks has ended.
      Effect.ignore,
      Effect.zipRight(Effect.suspend(() => take(`${decoder.decode()}\n`))),
      Effect.ensuring(Deferred.succeed(ended, undefined)),
      Effect.interruptible,
      Effect.forkScoped
    )
    return { tail: Effect.sync(() => tailOf(newest)), ended: Deferred.await(ended) }
  })

const lineEnd = /\r\n|\r|\n/

/** Cuts text that comes in pieces into lines that say something; of long ones the beginning. */
const makeLines = () => {
  let open = ""
  return {
    take: (text: string): ReadonlyArray<string> => {
      const lines = text.split(lineEnd)
      lines[0] = open + (lines[0] ?? "")
      // Never more of a line than is logged, and one to know that there was more.
      open = (lines.pop() ?? "").slice(0, lineLength + 1)
      const logged = lines
        .slice(0, linesAtOnce)
        .map((line) => (line.length > lineLength ? `${clean(line.slice(0, lineLength))} ...` : clean(line)))
        .filter((line) => line.trim() !== "")
      return lines.length > linesAtOnce ? [...logged, `(${lines.length - linesAtOnce} lines more)`] : logged
    }
  }
}

/** For a log or a message: no colours, no cursor movements, no other control characters but line ends and tabs. */
const clean = (text: string): string => stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, "")

const encoder = new TextEncoder()

const tailOf = (newest: string): string => {
  const text = clean(newest.replace(/\r\n?/g, "\n")).trim()
  const bytes = encoder.encode(text)
  if (bytes.length <= tailBytes) return text
  const cut = new TextDecoder().decode(bytes.subarray(-tailBytes))
  const start = cut.indexOf("\n") + 1
  // One line that is longer than all that is shown has no start to be cut at.
  return start === 0 ? `... ${cut.replace(/^\uFFFD+/, "")}` : cut.slice(start)
}
