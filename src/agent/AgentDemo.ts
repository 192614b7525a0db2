/**
 * The demo agent: needs no key and no network. It streams the message back word by word; for demos, load and tests it
 * obeys a directive in the text: `{{n=500 ms=5 size=12 first=100 hang=1 error=1 cut=3}}`.
 *
 * | key | meaning |
 * | --- | --- |
 * | `n` | chunks (default: one per word of the message) |
 * | `size` | characters in a chunk (default: the words themselves) |
 * | `ms` | milliseconds between two chunks; 0: as fast as possible (default 40) |
 * | `first` | milliseconds before the first chunk |
 * | `hang=1` | after the chunks: nothing more, until aborted |
 * | `error=1` | fail at once |
 * | `cut` | fail after so many chunks |
 */
import { Chunk, Effect, type Layer, Option, Stream } from "effect"
import * as AgentEvent from "../domain/AgentEvent.js"
import {
  type Agent,
  AgentError,
  type AgentRequest,
  type AgentRunner,
  layer as runnerLayer,
  make as makeRunner
} from "./AgentRunner.js"

/** A directive, decoded. */
export interface Directive {
  readonly n: number | undefined
  readonly ms: number
  readonly size: number | undefined
  readonly first: number
  readonly hang: boolean
  readonly error: boolean
  readonly cut: number | undefined
}

/** Bounds, so that a directive can't ask for more than a demo may take. */
const max = { n: 1_000_000, ms: 3_600_000, size: 1_000_000, first: 3_600_000, cut: 1_000_000 } as const

const pattern = /\{\{([^{}]{0,200})\}\}/

/** Reads the directive out of a message; words that it doesn't know are ignored. */
export const parse = (message: string): { readonly directive: Directive; readonly rest: string } => {
  const match = pattern.exec(message)
  const values = new Map(
    (match?.[1] ?? "")
      .split(/\s+/)
      .map((word) => /^([a-z]+)=(\d{1,9})$/.exec(word))
      .flatMap((pair) => (pair?.[1] === undefined ? [] : [[pair[1], Number(pair[2])] as const]))
  )
  const bounded = (key: keyof typeof max): number | undefined => {
    const value = values.get(key)
    return value === undefined ? undefined : Math.min(value, max[key])
  }
  return {
    directive: {
      n: bounded("n"),
      ms: bounded("ms") ?? 40,
      size: bounded("size"),
      first: bounded("first") ?? 0,
      hang: values.get("hang") === 1,
      error: values.get("error") === 1,
      cut: bounded("cut")
    },
    rest: match === null ? message : message.replace(pattern, "").trim()
  }
}

const filler = "lorem ipsum dolor sit amet consectetur adipiscing elit "

/** The chunks that a directive asks for. */
const chunkAt = (words: ReadonlyArray<string>, size: number | undefined) => {
  if (size === undefined) {
    // From the second time round the last word needs a space behind it, too.
    return (index: number): string => {
      const word = words[index % words.length] ?? ""
      return index > 0 && index % words.length === 0 && !/\s$/.test(words.at(-1) ?? "") ? ` ${word}` : word
    }
  }
  const text = filler.repeat(Math.ceil(size / filler.length) + 1)
  return (index: number): string => {
    const from = (index * size) % filler.length
    return text.slice(from, from + size)
  }
}

const answer = (request: AgentRequest): Stream.Stream<AgentEvent.AgentEvent, AgentError> => {
  const { directive, rest } = parse(request.message)
  if (directive.error) return Stream.fail(new AgentError({ message: "the demo agent was told to fail" }))
  // Words keep the space behind them, so that the chunks put together are the message.
  const words = rest.match(/\S+\s*/g) ?? [request.images.length === 0 ? "(nothing to say)" : "(an image)"]
  const wanted = directive.n ?? words.length
  const isCut = directive.cut !== undefined && directive.cut <= wanted
  const count = Math.min(wanted, directive.cut ?? wanted)
  const chunk = chunkAt(words, directive.size)
  const last: Effect.Effect<AgentEvent.AgentEvent, AgentError> = isCut
    ? Effect.fail(new AgentError({ message: `the demo agent was cut off after ${count} chunks` }))
    : directive.hang
      ? Effect.never
      : Effect.succeed(AgentEvent.end())
  // One stage: what streams are put together from costs more than the demo's answer.
  return Stream.unfoldChunkEffect(0, (from) => {
    const wait = from === 0 ? directive.first : from < count ? directive.ms : 0
    const until = directive.ms === 0 ? Math.min(count, from + chunksAtOnce) : from + 1
    const piece: Effect.Effect<
      Option.Option<readonly [Chunk.Chunk<AgentEvent.AgentEvent>, number]>,
      AgentError
    > = from > count
      ? Effect.succeedNone
      : from === count
        ? Effect.map(last, (end) => Option.some([Chunk.of(end), count + 1]))
        : Effect.succeedSome([
            Chunk.makeBy(until - from, (at) => AgentEvent.textDelta(chunk(from + at))),
            until
          ])
    return wait === 0 ? piece : Effect.delay(piece, wait)
  })
}

/** Chunks that are given at once when there is no pause between them. */
const chunksAtOnce = 256

const about = { kind: "demo", images: true } as const

/** The agent that needs nothing. */
export const layer: Layer.Layer<AgentRunner> = runnerLayer(answer, about)

/** The same as a value, for `AgentRunner.layerAgents`. */
export const make: Effect.Effect<Agent> = Effect.map(makeRunner(answer, about), (agent) => ({
  ...agent,
  check: Effect.succeed("answers by itself")
}))
