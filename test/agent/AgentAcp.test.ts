import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Option, Queue, TestClock } from "effect"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import type { PermissionRequest } from "../../src/agent/AgentRunner.js"
import { SessionId } from "../../src/domain/Ids.js"
import { type Config, hear, layer, lineOf, optionsOf, passing, say } from "./acp/Agents.js"
import * as Processes from "./process/Processes.js"

const image = { type: "image", mimeType: "image/png", data: "AAAA" } as const

/** What the agent says to one message. */
const answerOf = (message: string, config?: Config, more?: Partial<AgentAcp.AcpOptions>) =>
  Effect.gen(function* () {
    return yield* say(yield* AgentAcp.make(optionsOf(config, more)), message)
  }).pipe(Effect.scoped, Effect.provide(layer))

describe("what is heard", () => {
  it.effect("text as it comes, then the end", () =>
    Effect.gen(function* () {
      expect(yield* answerOf("say one two three")).toMatchObject({ text: "one two three", last: "End" })
    })
  )

  it.effect("thoughts, plans, tools; text behind a tool stands apart", () =>
    Effect.gen(function* () {
      const { events } = yield* answerOf("work")
      expect(events).toEqual([
        { _tag: "Thinking", delta: "hm" },
        {
          _tag: "Custom",
          stream: "plan",
          data: { entries: [{ content: "look", priority: "high", status: "pending" }] }
        },
        { _tag: "TextDelta", delta: "Let me look." },
        { _tag: "Tool", phase: "start", name: "Read a.txt", toolCallId: "c1", args: { path: "a.txt" } },
        { _tag: "Tool", phase: "update", name: "Read a.txt", toolCallId: "c1" },
        {
          _tag: "Tool",
          phase: "result",
          name: "Read a.txt",
          toolCallId: "c1",
          result: { text: "A" },
          isError: false
        },
        { _tag: "Tool", phase: "start", name: "Run", toolCallId: "c2" },
        {
          _tag: "Tool",
          phase: "result",
          name: "Run",
          toolCallId: "c2",
          result: [{ type: "content", content: { type: "text", text: "no" } }],
          isError: true
        },
        { _tag: "TextDelta", delta: "\n\nIt says A." },
        { _tag: "End", stopReason: "stop" }
      ])
    })
  )

  it.effect("why a turn has ended, and what it took", () =>
    Effect.gen(function* () {
      const endOf = (reason: string, config?: Config) => answerOf(`stop ${reason}`, config)
      const usage = { inputTokens: 5, outputTokens: 2, cachedReadTokens: 3, totalTokens: 11 }
      expect((yield* endOf("end_turn", { usage })).events.at(-1)).toEqual({
        _tag: "End",
        stopReason: "stop",
        usage: { input: 5, output: 2, cacheRead: 3, totalTokens: 11 }
      })
      const length = { _tag: "End", stopReason: "length" }
      expect((yield* endOf("max_tokens")).events.at(-1)).toEqual(length)
      expect((yield* endOf("max_turn_requests")).events.at(-1)).toEqual(length)
      // None of these is a whole answer, whatever was said before.
      for (const [reason, code] of [
        ["refusal", "CONTENT_FILTERED"],
        ["cancelled", "ACP_CANCELLED"],
        ["tired", "ACP_PROTOCOL"]
      ] as const) {
        const { error, last, text } = yield* endOf(reason)
        expect({ code: error?.code, last, text }).toEqual({ code, last: "TextDelta", text: "so far" })
      }
    })
  )

  it.effect("what is no message on stdout is passed over", () =>
    Effect.gen(function* () {
      expect(yield* answerOf("garbage")).toMatchObject({ text: "before after", last: "End" })
    })
  )

  it.effect("what comes late is not taken for the next turn's", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      expect((yield* say(agent, "late")).text).toBe("on time")
      const { errors } = yield* Queue.take(yield* Processes.Watch)
      yield* lineOf(errors, /late/)
      const { events } = yield* say(agent, "later")
      expect(events).toEqual([
        { _tag: "TextDelta", delta: "mine" },
        { _tag: "End", stopReason: "stop" }
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("what the agent is told", () => {
  it.effect("who asks, and what it may ask for", () =>
    Effect.gen(function* () {
      const told = (more: Partial<AgentAcp.AcpOptions>) =>
        Effect.gen(function* () {
          const agent = yield* AgentAcp.make(optionsOf({}, more))
          yield* say(agent, "hi")
          const { errors } = yield* Queue.take(yield* Processes.Watch)
          const said = yield* lineOf(errors, /^initialize .*\n/)
          const [first] = said.split("\n")
          return JSON.parse(first?.slice("initialize ".length) ?? "") as unknown
        }).pipe(Effect.scoped, Effect.provide(layer))
      expect(yield* told({})).toMatchObject({
        protocolVersion: 1,
        clientInfo: { name: "colloquy" },
        clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false }
      })
      expect(yield* told({ files: "readWrite", terminal: true })).toMatchObject({
        clientCapabilities: { fs: { readTextFile: true, writeTextFile: true }, terminal: true }
      })
    })
  )

  it.effect("images, when it can see them", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      const { text } = yield* say(agent, "", { images: [image] })
      expect(text).toBe("you said: <image>")
      const blind = yield* AgentAcp.make(optionsOf({ image: false }))
      const { error, events } = yield* say(blind, "look", { images: [image] })
      expect(error?.code).toBe("IMAGES_NOT_SUPPORTED")
      expect(events).toEqual([])
      expect(yield* recalled(blind)).toEqual([{ user: ["recall"] }])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("instructions, once per session", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf({}, { system: "Be brief." }))
      yield* say(agent, "say a")
      expect(yield* recalled(agent)).toEqual([
        { user: ["Instructions for the whole conversation:\n\nBe brief.", "say a"] },
        { agent: "a" },
        { user: ["recall"] }
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("its model and its level of thinking, as it offers them", () =>
    Effect.gen(function* () {
      const choice = (value: string) => ({ value, name: value.toUpperCase() })
      const configOptions = [
        {
          id: "model",
          category: "model",
          type: "select",
          currentValue: "small",
          options: [{ group: "g", name: "G", options: [choice("small"), choice("large")] }]
        },
        {
          id: "effort",
          category: "thought_level",
          type: "select",
          currentValue: "low",
          options: [choice("low"), choice("high")]
        }
      ]
      const agent = yield* AgentAcp.make(optionsOf({ session: { configOptions } }, { model: "LARGE" }))
      expect((yield* say(agent, "setting", { thinking: "high" })).text).toBe(
        '{"model":"large","effort":"high"}'
      )

      const none = yield* answerOf("hi", { session: { configOptions } }, { model: "huge" })
      expect(none.error?.code).toBe("ACP_MODEL_NOT_OFFERED")
      expect(none.error?.message).toContain("set the agent's model to one of small, large")

      const models = {
        currentModelId: "a",
        availableModels: ["a", "b"].map((id) => ({ modelId: id, name: id }))
      }
      const older = yield* answerOf("setting", { session: { models } }, { model: "b" })
      expect(older.text).toBe('{"set_model":"b"}')
      expect((yield* answerOf("setting", {}, { model: "b" })).text).toBe("{}")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

const recalled = (agent: Effect.Effect.Success<ReturnType<typeof AgentAcp.make>>) =>
  Effect.map(say(agent, "recall"), ({ text }) => JSON.parse(text) as unknown)

describe("permissions", () => {
  const outcomeOf = (permissions: AgentAcp.AcpOptions["permissions"], kinds = "") =>
    Effect.map(answerOf(`ask ${kinds}`, {}, { permissions }), ({ error, text }) => error?.code ?? text)

  it.effect("are denied, and not for ever", () =>
    Effect.gen(function* () {
      expect(yield* outcomeOf("deny", "allow_once reject_always reject_once")).toContain('"o-reject_once"')
      expect(yield* outcomeOf("deny", "allow_once reject_always")).toContain('"o-reject_always"')
      expect(yield* outcomeOf("deny", "allow_once")).toBe("ACP_CANCELLED")
    })
  )

  it.effect("are granted where that is configured, and not for ever", () =>
    Effect.gen(function* () {
      expect(yield* outcomeOf("allow")).toContain('"o-allow_once"')
      expect(yield* outcomeOf("allow", "allow_always reject_once")).toContain('"o-allow_always"')
      expect(yield* outcomeOf("allow", "reject_once")).toBe("ACP_CANCELLED")
    })
  )

  it.effect("are asked of the clients; no answer is a no", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf({}, { permissions: "ask" }))
      const asked: Array<PermissionRequest> = []
      const yes = yield* say(agent, "ask", {
        ask: (request) => {
          asked.push(request)
          return Effect.succeed(Option.fromNullable(request.options[0]))
        }
      })
      expect(yes.text).toBe('{"outcome":"selected","optionId":"o-allow_always"}')
      expect(asked).toEqual([
        {
          title: "rm -rf /",
          toolCallId: "c1",
          args: { command: "rm" },
          options: ["allow_always", "allow_once", "reject_once"].map((kind) => ({
            id: `o-${kind}`,
            name: kind,
            kind
          })),
          timeout: Duration.seconds(30)
        }
      ])
      const nobody = yield* say(agent, "ask", { ask: () => Effect.succeedNone })
      expect(nobody.text).toContain('"o-reject_once"')
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("an abort while they are asked takes the question back", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf({}, { permissions: "ask" }))
      const asked = yield* Deferred.make<void>()
      const takenBack = yield* Deferred.make<void>()
      const { fiber } = yield* hear(agent, "ask", {
        ask: () =>
          Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(takenBack, undefined))
          )
      })
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(takenBack)
      const { errors } = yield* Queue.take(yield* Processes.Watch)
      expect(yield* lineOf(errors, /answered .*\n/)).toContain('answered {"outcome":"cancelled"}')
      expect((yield* say(agent, "say on")).text).toBe("on")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("failures say what to do", () => {
  it.effect("not logged in, at the session or at the prompt", () =>
    Effect.gen(function* () {
      const { error } = yield* answerOf("hi", { auth: true })
      expect(error?.code).toBe("ACP_AUTH_REQUIRED")
      expect(error?.message).toMatch(/log in with its own command.* It offers: Log in with Test$/)
      expect((yield* answerOf("unauthorized")).error?.code).toBe("ACP_AUTH_REQUIRED")
    })
  )

  it.effect("an error of the agent's", () =>
    Effect.gen(function* () {
      const { error } = yield* answerOf("fail")
      expect(error?.code).toBe("ACP_REQUEST_FAILED")
      expect(error?.message).toMatch(
        /has answered session\/prompt with an error: Internal error: 529 overloaded \(-32603\)$/
      )
    })
  )

  it.effect("a process that dies in its answer: how, with the tail of its stderr", () =>
    Effect.gen(function* () {
      const { error, last, text } = yield* answerOf("die")
      expect({ last, text }).toEqual({ last: "TextDelta", text: "half an " })
      expect(error?.code).toBe("ACP_AGENT_DIED")
      expect(error?.retryable).toBe(true)
      expect(error?.message).toMatch(/has ended with exit code 3; .*\n(.*\n)*out of credit$/)
      expect((yield* answerOf("die SIGKILL")).error?.message).toMatch(
        /was ended by SIGKILL \(was the machine/
      )
    })
  )

  it.effect("another program, another version, or none at all", () =>
    Effect.gen(function* () {
      expect((yield* answerOf("hi", { version: 2 })).error?.message).toMatch(
        /^.* speaks version 2 of the Agent Client Protocol: install a version/
      )
      const none = yield* answerOf("hi", {}, { command: "colloquy-none" })
      expect(none.error?.code).toBe("COMMAND_NOT_FOUND")
      const other = yield* answerOf("hi", {}, { args: ["-e", "console.log('usage: no')"] })
      expect(other.error?.message).toMatch(/has ended with exit code 0; .*It has said nothing on stderr/)
    })
  )

  it.effect("one that is not ready in time is stopped", () =>
    Effect.gen(function* () {
      for (const hang of ["initialize", "new"] as const) {
        const agent = yield* AgentAcp.make(optionsOf({ hang }))
        const fiber = yield* Effect.fork(say(agent, "hi"))
        const { closed, errors, pid } = yield* Queue.take(yield* Processes.Watch)
        yield* lineOf(errors, new RegExp(`^${hang}`, "m"))
        expect((yield* passing(Fiber.join(fiber))).error?.code).toBe("ACP_START_TIMEOUT")
        yield* closed
        expect(Processes.alive({ group: pid })).toEqual([])
      }
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("processes", () => {
  const pids = (agent: Effect.Effect.Success<ReturnType<typeof AgentAcp.make>>, sessionId: string) =>
    say(agent, "hi", { sessionId: SessionId(sessionId) })

  it.effect("one serves all sessions, several at once", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      const waiting = yield* hear(agent, "wait")
      expect(yield* waiting.text).toBe("half an ")
      expect((yield* pids(agent, "s2")).text).toBe("you said: hi")
      yield* Fiber.interrupt(waiting.fiber)
      expect(yield* Queue.size(yield* Processes.Watch)).toBe(1)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("runs that come together wait for one start, and for its failure", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const agent = yield* AgentAcp.make(optionsOf())
      const all = yield* Effect.forEach(["s1", "s2", "s3"], (id) => pids(agent, id), {
        concurrency: "unbounded"
      })
      expect(all.map(({ last }) => last)).toEqual(["End", "End", "End"])
      expect(yield* Queue.size(watch)).toBe(1)
      const broken = yield* AgentAcp.make(optionsOf({ version: 2 }))
      const failed = yield* Effect.forEach(["s1", "s2", "s3"], (id) => pids(broken, id), {
        concurrency: "unbounded"
      })
      expect(failed.map(({ error }) => error?.code)).toEqual(Array(3).fill("ACP_PROTOCOL"))
      expect(yield* Queue.size(watch)).toBe(2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("one for each session is stopped when it is not used", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const agent = yield* AgentAcp.make(
        optionsOf({}, { process: "session", idleTimeout: Duration.minutes(1) })
      )
      yield* pids(agent, "s1")
      yield* pids(agent, "s2")
      const first = yield* Queue.take(watch)
      const second = yield* Queue.take(watch)
      yield* TestClock.adjust(Duration.seconds(59))
      yield* pids(agent, "s1")
      yield* TestClock.adjust(Duration.seconds(1))
      yield* second.closed
      expect(Processes.alive({ group: second.pid })).toEqual([])
      expect(Processes.alive({ group: first.pid })).not.toEqual([])
      yield* TestClock.adjust(Duration.seconds(59))
      yield* first.closed
      expect(Processes.alive({ group: first.pid })).toEqual([])
      expect((yield* pids(agent, "s1")).last).toBe("End")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("check: what the agent says of itself, and nothing is left", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf())
      expect(yield* agent.check).toBe("Test Agent 1.2.3 answers, can do images")
      const { closed, pid } = yield* Queue.take(yield* Processes.Watch)
      yield* closed
      expect(Processes.alive({ group: pid })).toEqual([])
      const locked = yield* AgentAcp.make(optionsOf({ auth: true }))
      expect((yield* Effect.flip(locked.check)).code).toBe("ACP_AUTH_REQUIRED")
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})

describe("files and terminals", () => {
  const places = Effect.acquireRelease(
    Effect.sync(() => {
      const root = mkdtempSync(join(tmpdir(), "colloquy-acp-"))
      const cwd = join(root, "work")
      mkdirSync(cwd)
      writeFileSync(join(root, "secret.txt"), "secret")
      writeFileSync(join(cwd, "a.txt"), "one\ntwo\nthree\n")
      writeFileSync(join(cwd, "big.txt"), "x".repeat(1024 * 1024 + 1))
      symlinkSync(join(root, "secret.txt"), join(cwd, "link.txt"))
      symlinkSync(root, join(cwd, "up"))
      return { root, cwd }
    }),
    ({ root }) => Effect.sync(() => rmSync(root, { recursive: true }))
  )

  it.effect("files below the working directory only, as far as configured", () =>
    Effect.gen(function* () {
      const { cwd, root } = yield* places
      const agent = yield* AgentAcp.make(optionsOf({}, { cwd, files: "readWrite" }))
      const ask = (message: string) => Effect.map(say(agent, message), ({ text }) => text)
      expect(yield* ask(`read ${cwd}/a.txt`)).toBe("one\ntwo\nthree\n")
      expect(yield* ask(`read ${cwd}/a.txt 2 1`)).toBe("two\n")
      expect(yield* ask(`read ${cwd}/none.txt`)).toMatch(/^-32002: /)
      expect(yield* ask(`read ${cwd}/big.txt`)).toMatch(/big.txt is larger than 1048576 bytes/)
      expect(yield* ask("read a.txt")).toMatch(/a.txt is not absolute/)
      expect(yield* ask("read /dev/zero")).toMatch(/is not below/)
      for (const outside of ["../secret.txt", "link.txt", "up/secret.txt"]) {
        expect(yield* ask(`read ${cwd}/${outside}`)).toMatch(/is not below/)
        expect(yield* ask(`write ${cwd}/${outside} mine`)).toMatch(/is not below/)
      }
      expect(yield* ask(`write ${cwd}/up/new.txt mine`)).toMatch(/is not below/)
      expect(readFileSync(join(root, "secret.txt"), "utf8")).toBe("secret")
      expect(yield* ask(`write ${cwd}/new.txt mine`)).toBe("{}")
      expect(readFileSync(join(cwd, "new.txt"), "utf8")).toBe("mine")

      const reader = yield* AgentAcp.make(optionsOf({}, { cwd, files: "read" }))
      expect((yield* say(reader, `write ${cwd}/new.txt yours`)).text).toMatch(/^"-32601: /)
      const none = yield* AgentAcp.make(optionsOf({}, { cwd }))
      expect((yield* say(none, `read ${cwd}/a.txt`)).text).toMatch(/^-32601: /)
      expect((yield* say(none, "run 1")).text).toMatch(/^-32601: /)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("a terminal: its newest output, its exit, and that it is gone", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf({}, { terminal: true, env: { SET: "2" } }))
      const program =
        "process.stdout.write('x'.repeat(50) + '\u20ac' + '12345' + process.env.EXTRA + process.env.SET + process.env.HOME?.length); process.exit(3)"
      const { text } = yield* say(agent, `run ${program}`)
      expect(JSON.parse(text)).toMatchObject({
        exit: { exitCode: 3, signal: null },
        // Ten bytes at most, and no half character.
        output: { output: expect.stringMatching(/^5?12undefined$|undefined$/), truncated: true },
        gone: expect.stringMatching(/^-32002/)
      })
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("a terminal ends with its turn, whole or aborted", () =>
    Effect.gen(function* () {
      const agent = yield* AgentAcp.make(optionsOf({}, { terminal: true }))
      const { text } = yield* say(agent, "serve")
      expect(Number(text)).toBeGreaterThan(0)
      expect(Processes.alive({ pid: Number(text) })).toEqual([])
      const aborted = yield* hear(agent, "serve wait")
      const pid = Number(yield* aborted.text)
      expect(Processes.alive({ pid })).toEqual([pid])
      yield* Fiber.interrupt(aborted.fiber)
      expect(Processes.alive({ pid })).toEqual([])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
})
