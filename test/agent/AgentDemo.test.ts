import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck, Fiber, Stream, TestClock } from "effect"
import * as AgentDemo from "../../src/agent/AgentDemo.js"
import { AgentRunner, type AgentRequest } from "../../src/agent/AgentRunner.js"
import { agentRequest } from "../support/Request.js"

interface Said {
  /** What was said, with the clock's time. */
  readonly chunks: ReadonlyArray<readonly [at: number, text: string]>
  readonly ended: boolean
  readonly error: string | undefined
}

/** Runs the demo agent, moving the clock as far as it needs. */
const say = (message: string, more: Partial<AgentRequest> = {}) =>
  Effect.gen(function* () {
    const { run } = yield* AgentRunner
    const chunks: Array<readonly [number, string]> = []
    let ended = false
    const fiber = yield* run(agentRequest(message, more)).pipe(
      Stream.runForEach((event) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          if (event._tag === "TextDelta") chunks.push([now, event.delta])
          if (event._tag === "End") ended = true
        })
      ),
      Effect.fork
    )
    yield* TestClock.adjust("10 seconds")
    const exit = yield* fiber.poll
    yield* Fiber.interrupt(fiber)
    const error = exit._tag === "Some" && Exit.isFailure(exit.value) ? String(exit.value.cause) : undefined
    return { chunks, ended, error } satisfies Said
  }).pipe(Effect.provide(AgentDemo.layer))

const textOf = ({ chunks }: Said) => chunks.map(([, text]) => text).join("")

describe("AgentDemo", () => {
  it.effect("streams the message back word by word, 40 ms apart", () =>
    Effect.gen(function* () {
      const said = yield* say("Hello there,  wide world")
      expect(said.chunks).toEqual([
        [0, "Hello "],
        [40, "there,  "],
        [80, "wide "],
        [120, "world"]
      ])
      expect(said.ended).toBe(true)
    })
  )

  it.effect("has something to say to an image alone, and to nothing", () =>
    Effect.gen(function* () {
      const image = { type: "image", mimeType: "image/png", data: "AAAA" } as const
      expect(textOf(yield* say("", { images: [image] }))).toBe("(an image)")
      expect(textOf(yield* say(" "))).toBe("(nothing to say)")
    })
  )

  it.effect("n, ms, size and first: so many chunks, so far apart, of that size, after that time", () =>
    Effect.gen(function* () {
      const said = yield* say("{{n=5 ms=7 size=12 first=100}}")
      expect(said.chunks.map(([at, text]) => [at, text.length])).toEqual([
        [100, 12],
        [107, 12],
        [114, 12],
        [121, 12],
        [128, 12]
      ])
      expect(said.ended).toBe(true)
    })
  )

  it.effect("ms=0: as fast as possible; the words are repeated when more chunks are wanted", () =>
    Effect.gen(function* () {
      const said = yield* say("{{n=5 ms=0}} a b")
      expect(said.chunks).toEqual([
        [0, "a "],
        [0, "b"],
        [0, " a "],
        [0, "b"],
        [0, " a "]
      ])
    })
  )

  it.effect("hang: nothing more after the chunks, until it is aborted", () =>
    Effect.gen(function* () {
      const said = yield* say("one two {{hang=1 ms=0}}")
      expect(textOf(said)).toBe("one two")
      expect([said.ended, said.error]).toEqual([false, undefined])
    })
  )

  it.effect("error: fails at once", () =>
    Effect.gen(function* () {
      const said = yield* say("one two {{error=1}}")
      expect(said.chunks).toEqual([])
      expect(said.error).toContain("told to fail")
    })
  )

  it.effect("cut: fails after so many chunks, if there are so many", () =>
    Effect.gen(function* () {
      const said = yield* say("one two three {{cut=2 ms=1}}")
      expect(textOf(said)).toBe("one two ")
      expect(said.error).toContain("cut off after 2 chunks")
      const whole = yield* say("one two three {{cut=4}}")
      expect([textOf(whole), whole.ended]).toEqual(["one two three", true])
      const none = yield* say("one {{cut=0}}")
      expect([textOf(none), none.ended]).toEqual(["", false])
    })
  )

  it.effect("n=0: an empty answer", () =>
    Effect.gen(function* () {
      const said = yield* say("{{n=0}}")
      expect([said.chunks, said.ended]).toEqual([[], true])
    })
  )

  it("words that it does not know, or that are no numbers, are ignored", () => {
    const { directive, rest } = AgentDemo.parse("before {{n=3 x=1 ms=abc hang=2 size=-1 cut=}} after {{n=9}}")
    expect(directive).toEqual({
      n: 3,
      ms: 40,
      size: undefined,
      first: 0,
      hang: false,
      error: false,
      cut: undefined
    })
    expect(rest).toBe("before  after {{n=9}}")
  })

  it("a directive can't ask for more than a demo may take", () => {
    expect(
      AgentDemo.parse("{{n=999999999 ms=999999999 size=999999999 first=999999999 cut=999999999}}").directive
    ).toEqual({
      n: 1_000_000,
      ms: 3_600_000,
      size: 1_000_000,
      first: 3_600_000,
      hang: false,
      error: false,
      cut: 1_000_000
    })
  })

  const plain = FastCheck.string({ maxLength: 60 }).filter((text) => !text.includes("{{"))
  it.effect.prop("what it says, put together, is the message", [plain], ([message]) =>
    Effect.gen(function* () {
      const { run } = yield* AgentRunner
      const events = yield* Stream.runCollect(run(agentRequest(`{{ms=0}}${message}`)))
      const text = [...events].map((event) => (event._tag === "TextDelta" ? event.delta : "")).join("")
      expect(text).toBe(message.trim() === "" ? "(nothing to say)" : message.trim())
    }).pipe(Effect.provide(AgentDemo.layer))
  )
})
