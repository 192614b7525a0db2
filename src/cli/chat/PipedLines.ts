/** PipedLines: standard input, line by line. What is not taken yet is not read. */
import { Effect, Stream } from "effect"
import { createInterface } from "node:readline"
import { type CliError, failed } from "../CliError.js"

export const lines: Stream.Stream<string, CliError> = Stream.unwrapScoped(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })),
      (reader) => Effect.sync(() => reader.close())
    ),
    (reader) =>
      Stream.fromAsyncIterable(reader, (cause) =>
        failed(`standard input can't be read (${cause instanceof Error ? cause.message : String(cause)}).`)
      )
  )
)
