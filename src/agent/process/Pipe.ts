/** Pipe: one of a program's three pipes, with backpressure. Errors are the system's codes. */
import { Chunk, Effect, Option, Stream } from "effect"
import type { Readable, Writable } from "node:stream"
import * as SystemCode from "./SystemCode.js"

/** A pipe that the program writes. */
export interface Reader {
  /** One chunk for each pull: what the pipe holds, some 64 KiB at most. To be run once. */
  readonly bytes: Stream.Stream<Uint8Array, string>
  /** Ends `bytes`. What the program has written and still writes is read and thrown away, so that it is not held up. */
  readonly discard: () => void
}

export const reader = (readable: Readable): Reader => {
  let discarded = false
  let failure: string | undefined
  let waiting: (() => void) | undefined

  // `resume()` would do the same, if it were not without effect as long as somebody listens to "readable".
  const drop = (): void => {
    while (readable.read() !== null);
  }
  const onNews = (): void => {
    if (discarded) drop()
    waiting?.()
  }
  for (const event of ["readable", "end", "close"]) readable.on(event, onNews)
  // Listened to from the beginning: an error that nobody hears would end the gateway.
  readable.on("error", (error) => {
    failure = SystemCode.of(error)
    onNews()
  })

  const news = Effect.async<void>((resume) => {
    const wake = (): void => resume(Effect.void)
    waiting = wake
    return Effect.sync(() => {
      if (waiting === wake) waiting = undefined
    })
  })
  const next: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<string>> = Effect.suspend(() => {
    const bytes: unknown = discarded ? null : readable.read()
    if (bytes instanceof Uint8Array) return Effect.succeed(Chunk.of(bytes))
    if (failure !== undefined) return Effect.fail(Option.some(failure))
    if (discarded || readable.readableEnded || readable.destroyed) return Effect.fail(Option.none())
    return Effect.zipRight(news, next)
  })

  return {
    bytes: Stream.repeatEffectChunkOption(next),
    discard: () => {
      discarded = true
      onNews()
    }
  }
}

/** The pipe that the program reads. */
export interface Writer {
  /** Waits until the pipe has taken it. */
  readonly write: (bytes: Uint8Array | string) => Effect.Effect<void, string>
  /** No more is written, behind what already was. */
  readonly end: () => void
  /** No more is written, not even what was handed over. */
  readonly destroy: () => void
}

export const writer = (writable: Writable): Writer => {
  // Whoever writes is told by the callback of the write; an error that nobody hears would end the gateway.
  writable.on("error", () => undefined)
  return {
    write: (bytes) =>
      Effect.async((resume) => {
        writable.write(bytes, (error) =>
          resume(error === null || error === undefined ? Effect.void : Effect.fail(codeOf(error)))
        )
      }),
    end: () => void writable.end(),
    destroy: () => void writable.destroy()
  }
}

/** Node has codes of its own for a pipe that was closed on this side, before the system was asked. */
const codeOf = (error: Error): string => {
  const code = SystemCode.of(error)
  return code.startsWith("ERR_STREAM_") ? "EPIPE" : code
}
