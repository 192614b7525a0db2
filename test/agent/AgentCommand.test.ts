import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Either, Fiber, Layer, Queue, Stream, TestClock } from "effect"
import * as AgentCommand from "../../src/agent/AgentCommand.js"
import { AgentError } from "../../src/agent/AgentRunner.js"
import type { AgentEvent } from "../../src/domain/AgentEvent.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { agentRequest } from "../support/Request.js"
import * as Processes from "./process/Processes.js"

const { alive, program } = Processes

const optionsOf = (
  [name, ...args]: readonly [string, ...ReadonlyArray<string>],
  more: Partial<AgentCommand.CommandOptions> = {}
): AgentCommand.CommandOptions => ({
  ...program(name, ...args),
  input: "text",
  history: { messages: 50, bytes: 100_000 },
  ...more
})

const run = (options: AgentCommand.CommandOptions, request = agentRequest("hi")) =>
  Stream.unwrap(Effect.map(AgentCommand.make(options), (agent) => agent.run(request)))

/** All that the agent says, and how it ends. */
const said = (options: AgentCommand.CommandOptions, request = agentRequest("hi")) =>
  Effect.gen(function* () {
    const events: Array<AgentEvent> = []
    const end = yield* Effect.either(
      Stream.runForEach(run(options, request), (event) => Effect.sync(() => events.push(event)))
    )
    return {
      text: events.map((event) => (event._tag === "TextDelta" ? event.delta : "")).join(""),
      last: events.at(-1)?._tag,
      error: Either.isLeft(end) ? end.left : undefined
    }
  }).pipe(Effect.provide(Processes.layer))

describe("AgentCommand", () => {
  it.effect("the message on stdin, the answer on stdout", () =>
    Effect.gen(function* () {
      const message = "Grüße, 世界\n".repeat(100_000)
      const { last, text } = yield* said(optionsOf(["echo"]), agentRequest(message))
      expect(text).toBe(message)
      expect(last).toBe("End")
    })
  )

  it.effect("characters that lie across the borders of chunks, and bytes that are none", () =>
    Effect.gen(function* () {
      const { last, text } = yield* said(optionsOf(["utf8"]))
      expect(text).toBe(`${"€".repeat(100_000)}\uFFFD!`)
      expect(last).toBe("End")
    })
  )

  it.effect("its environment is what was configured, and which run it works on", () =>
    Effect.gen(function* () {
      const { text } = yield* said(
        optionsOf(["where", "$HOME; echo"], { env: { TOOL_KEY: "k" }, cwd: "/tmp" })
      )
      expect(JSON.parse(text)).toEqual({
        env: {
          TOOL_KEY: "k",
          COLLOQUY_RUN_ID: "r1",
          COLLOQUY_SESSION_KEY: "agent:main:main",
          COLLOQUY_AGENT_ID: "main"
        },
        cwd: "/tmp",
        args: ["$HOME; echo"]
      })
    })
  )

  it.effect("json: all that is known of the run", () =>
    Effect.gen(function* () {
      const image = { type: "image", mimeType: "image/png", data: "AAAA" } as const
      const options = optionsOf(["echo"], { input: "json", model: "m", system: "Be brief." })
      const { text } = yield* said(options, agentRequest("look", { images: [image], thinking: "high" }))
      expect(JSON.parse(text)).toEqual({
        runId: "r1",
        sessionKey: "agent:main:main",
        sessionId: "s1",
        agentId: "main",
        message: "look",
        images: [image],
        thinking: "high",
        model: "m",
        system: "Be brief.",
        history: [{ role: "user", content: [{ type: "text", text: "look" }, image] }]
      })
      expect(JSON.parse((yield* said(optionsOf(["echo"], { input: "json" }))).text)).not.toHaveProperty(
        "images"
      )
    })
  )

  it.effect("a program that does not read its input is fine", () =>
    Effect.gen(function* () {
      const long = agentRequest("x".repeat(1_000_000))
      expect(yield* said(optionsOf(["end", "0", "done"]), long)).toMatchObject({ text: "done", last: "End" })
    })
  )

  it.effect("a key that a program says in its last words is taken out of them", () =>
    Effect.gen(function* () {
      const options = optionsOf(["end", "3", "", "bad key sk-secret-1234, me@example.org"])
      const env = { ...options.env, MY_API_KEY: "sk-secret-1234", MAIL: "me@example.org" }
      const { error } = yield* said({ ...options, env })
      expect(error?.code).toBe("COMMAND_FAILED")
      expect(error?.message).toMatch(/bad key \[hidden\], me@example\.org$/)
    })
  )

  it.effect(
    "a program that fails: exit code and the tail of stderr; what it said before is no whole answer",
    () =>
      Effect.gen(function* () {
        const { error, last, text } = yield* said(
          optionsOf(["end", "3", "half", "\u001B[31mno credit\u001B[0m\u0007 left\r\n"])
        )
        expect({ last, text }).toEqual({ last: "TextDelta", text: "half" })
        expect(error).toBeInstanceOf(AgentError)
        expect(error?.code).toBe("COMMAND_FAILED")
        expect(error?.message).toMatch(
          /has failed with exit code 3; mend what it says on stderr:\nno credit left$/
        )
        expect(error?.retryable).toBeUndefined()
      })
  )

  it.effect("a program that was ended by a signal, or asks to be tried again", () =>
    Effect.gen(function* () {
      const bySignal = (yield* said(optionsOf(["end", "SIGSEGV"]))).error
      expect(bySignal?.message).toMatch(/was ended by SIGSEGV, without a word on stderr: run it by hand/)
      expect((yield* said(optionsOf(["end", "75", "", "busy"]))).error?.retryable).toBe(true)
    })
  )

  it.effect("of much that is said on stderr the newest lines are shown", () =>
    Effect.gen(function* () {
      const message = (yield* said(optionsOf(["complain", "1900000"]))).error?.message ?? ""
      const [, ...lines] = message.split("\n")
      expect(new Set(lines)).toEqual(new Set(["a line of an error"]))
      expect(message.length).toBeGreaterThan(1500)
      expect(message.length).toBeLessThan(2500)
    })
  )

  it.effect("a program that can't be started: what is wrong, and what to do", () =>
    Effect.gen(function* () {
      const env = { PATH: "/usr/bin:/bin" }
      const failing = (more: Partial<AgentCommand.CommandOptions>) =>
        Effect.gen(function* () {
          const options = optionsOf(["echo"], { env, ...more })
          const { error } = yield* said(options)
          const agent = yield* Effect.provide(AgentCommand.make(options), Processes.layer)
          // What `check` says beforehand is what the run would say.
          expect(yield* Effect.flip(agent.check)).toEqual(error)
          return `${error?.code}: ${error?.message}`
        })
      expect(yield* failing({ command: "colloquy-none" })).toBe(
        "COMMAND_NOT_FOUND: there is no program \"colloquy-none\" on the agent's PATH: install it, or set the agent's command to its full path"
      )
      expect(yield* failing({ command: "./none" })).toMatch(
        /^COMMAND_NOT_FOUND: there is no program .\/none:/
      )
      expect(yield* failing({ command: "/etc/passwd" })).toMatch(
        /^COMMAND_NOT_EXECUTABLE: \/etc\/passwd may not/
      )
      expect(yield* failing({ cwd: "/nowhere" })).toMatch(
        /^COMMAND_CWD: the working directory \/nowhere of .* can't be entered \(ENOENT\)/
      )
      expect(yield* failing({ cwd: "/etc/passwd" })).toMatch(/^COMMAND_CWD: .* \(ENOTDIR\)/)
      const zero = (yield* said(optionsOf(["echo"], { args: ["\0"] }))).error
      expect(zero?.code).toBe("COMMAND_NOT_STARTED")
    })
  )

  it.effect("check says where the program was found", () =>
    Effect.gen(function* () {
      const byName = yield* AgentCommand.make(
        optionsOf(["echo"], { command: "sh", env: { PATH: "/none:/bin" } })
      )
      expect(yield* byName.check).toBe("found at /bin/sh")
      const byDefault = yield* AgentCommand.make(optionsOf(["echo"], { command: "sh" }))
      expect(yield* byDefault.check).toBe("found at /bin/sh")
      const relative = yield* AgentCommand.make(optionsOf(["echo"], { command: "bin/sh", cwd: "/usr" }))
      expect(yield* relative.check).toBe("found at /usr/bin/sh")
    }).pipe(Effect.provide(Processes.layer))
  )
})

describe("a program that floods", () => {
  it.scoped("is held up as long as nobody wants more of the answer; nothing is lost", () =>
    Effect.gen(function* () {
      const size = 20_000_000
      const pull = yield* Stream.toPull(run(optionsOf(["flood", String(size)])))
      let length = lengthOf(yield* pull)
      const seen = yield* Queue.take(yield* Processes.Watch)
      const held = /held up at (\d+)/.exec(yield* Queue.take(seen.errors))
      expect(Number(held?.[1])).toBeLessThan(1_000_000)
      length += yield* Stream.repeatEffectChunkOption(pull).pipe(
        Stream.runFold(0, (sum, event) => sum + lengthOf([event]))
      )
      expect(length).toBe(size)
    }).pipe(Effect.provide(Processes.layerWatched))
  )
})

const lengthOf = (events: Iterable<AgentEvent>): number =>
  Chunk.reduce(Chunk.fromIterable(events), 0, (sum, event) =>
    event._tag === "TextDelta" ? sum + event.delta.length : sum
  )

describe("after an abort nothing is alive", () => {
  const abortedWhen = (
    name: string,
    command: readonly [string, ...ReadonlyArray<string>],
    ready: (seen: Processes.Seen, text: Effect.Effect<string>) => Effect.Effect<unknown>,
    kills = false
  ) =>
    it.effect(name, () =>
      Effect.gen(function* () {
        const text = yield* Queue.unbounded<string>()
        const fiber = yield* Effect.fork(
          Stream.runForEach(run(optionsOf(command)), (event) =>
            event._tag === "TextDelta" ? Queue.offer(text, event.delta) : Effect.void
          )
        )
        const seen = yield* Queue.take(yield* Processes.Watch)
        const found = yield* ready(seen, Queue.take(text))
        expect(alive({ group: seen.pid })).not.toEqual([])
        const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
        if (kills) yield* TestClock.adjust(Duration.seconds(2))
        yield* Fiber.join(stopping)
        yield* seen.closed
        expect(alive({ group: seen.pid })).toEqual([])
        if (typeof found === "string") expect(alive({ pid: Number(found) })).toEqual([])
      }).pipe(Effect.provide(Processes.layerWatched))
    )

  abortedWhen("while it starts", ["hang"], () => Effect.void)
  abortedWhen("before any output", ["silent"], ({ errors }) => Queue.take(errors))
  abortedWhen("in the middle of its output", ["hang"], (_, text) => text)
  abortedWhen("while it floods", ["flood", "1000000000000"], (_, text) => Effect.asVoid(text))
  abortedWhen("when its output is closed and it goes on", ["closing"], ({ errors }) =>
    Effect.asVoid(Queue.take(errors))
  )
  abortedWhen("when it ignores SIGTERM", ["stubborn"], (_, text) => Effect.asVoid(text), true)
  abortedWhen("with a child that holds its pipes", ["parent", "shared", "stays"], (_, text) => text, true)
  abortedWhen("with a child without pipes", ["parent", "none", "stays"], (_, text) => text, true)
  abortedWhen("when it has ended and left a child", ["parent", "shared", "exits"], (_, text) => text, true)

  it.effect("a child that is left behind and holds the pipe is not waited for", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Stream.runCollect(run(optionsOf(["parent", "shared", "exits"]))))
      const seen = yield* Queue.take(yield* Processes.Watch)
      // The receipt for the end of the program is that its clock is asked for.
      yield* until(Effect.map(TestClock.sleeps(), (sleeps) => !Chunk.isEmpty(sleeps)))
      yield* TestClock.adjust(Duration.seconds(2))
      yield* until(Effect.map(TestClock.sleeps(), (sleeps) => !Chunk.isEmpty(sleeps)))
      yield* TestClock.adjust(Duration.seconds(2))
      const events = Chunk.toReadonlyArray(yield* Fiber.join(fiber))
      expect(events.map(({ _tag }) => _tag)).toEqual(["TextDelta", "End"])
      expect(alive({ group: seen.pid })).toEqual([])
    }).pipe(Effect.provide(Processes.layerWatched))
  )
})

/** Looks again whenever all others have had their turn. */
const until = (holds: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(holds, (done) => (done ? Effect.void : Effect.zipRight(turn, until(holds))))
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("in a gateway", () => {
  const gateway = (options: AgentCommand.CommandOptions, more?: GatewayTest.Options) =>
    GatewayTest.layerWith(AgentCommand.layer(options), more).pipe(Layer.provideMerge(Processes.layerWatched))

  it.effect("three turns, the second aborted in the middle", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const send = (idempotencyKey: string, message: string) =>
        client.request("chat.send", { sessionKey: "main", message, idempotencyKey })

      yield* send("r1", "one")
      expect(yield* client.terminal("r1")).toMatchObject({
        state: "final",
        message: { content: [{ text: "user: one" }] }
      })
      yield* send("r2", "wait")
      yield* client.awaitChat(({ runId, state }) => runId === "r2" && state === "delta")
      yield* client.request("chat.abort", { sessionKey: "main", runId: "r2" })
      expect(yield* client.terminal("r2")).toMatchObject({
        state: "aborted",
        message: { content: [{ text: "half an " }] }
      })
      yield* send("r3", "three")
      expect(yield* client.terminal("r3")).toMatchObject({
        state: "final",
        message: {
          content: [
            {
              text: "user: one\nassistant: user: one\nuser: wait\nassistant: half an \nuser: three"
            }
          ]
        }
      })
      for (const seen of yield* Queue.takeAll(watch)) {
        yield* seen.closed
        expect(alive({ group: seen.pid })).toEqual([])
      }
    }).pipe(Effect.provide(gateway(optionsOf(["chat"], { input: "json" }))))
  )

  it.effect("an abort kills a program that ignores SIGTERM", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      yield* client.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r1" })
      yield* client.awaitChat(({ state }) => state === "delta")
      const seen = yield* Queue.take(yield* Processes.Watch)
      yield* client.request("chat.abort", { sessionKey: "main", runId: "r1" })
      const time = Effect.zipRight(turn, TestClock.adjust(Duration.seconds(1)))
      yield* Effect.raceFirst(seen.closed, Effect.forever(time))
      expect(alive({ group: seen.pid })).toEqual([])
    }).pipe(Effect.provide(gateway(optionsOf(["stubborn"]))))
  )

  it.effect("a flood ends at the longest answer there may be, and the program with it", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      yield* client.request("chat.send", { sessionKey: "main", message: "go", idempotencyKey: "r1" })
      const seen = yield* Queue.take(yield* Processes.Watch)
      expect(yield* client.terminal("r1")).toMatchObject({ state: "error" })
      yield* seen.closed
      expect(alive({ group: seen.pid })).toEqual([])
    }).pipe(
      Effect.provide(
        gateway(optionsOf(["flood", "1000000000000"]), { config: { maxAnswerLength: 1_000_000 } })
      )
    )
  )
})
