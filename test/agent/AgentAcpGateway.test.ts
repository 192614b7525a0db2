import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import type { ChatEvent } from "../../src/protocol/Chat.js"
import type { ContractViolation, TestClient } from "../../src/testing/TestClient.js"
import { type Config, lineOf, optionsOf, passing } from "./acp/Agents.js"
import * as Processes from "./process/Processes.js"

const gateway = (config?: Config, more?: Partial<AgentAcp.AcpOptions>, options?: GatewayTest.Options) =>
  GatewayTest.layerWith(AgentAcp.layer(optionsOf(config, more)), options).pipe(
    Layer.provideMerge(Processes.layerWatched),
    Layer.provideMerge(NodeFileSystem.layer)
  )

const talk = (client: TestClient, sessionKey = "main") => {
  const send = (runId: string, message: string) =>
    client.request("chat.send", { sessionKey, message, idempotencyKey: runId })
  return {
    send,
    /** Says something and waits for the answer. */
    ask: (runId: string, message: string) => Effect.zipRight(send(runId, message), client.terminal(runId)),
    /** Says something and aborts it in the middle of the answer. */
    abort: (runId: string, message: string) =>
      Effect.gen(function* () {
        yield* send(runId, message)
        yield* client.awaitChat((event) => event.runId === runId && event.state === "delta")
        yield* client.request("chat.abort", { sessionKey, runId })
        return yield* client.terminal(runId)
      })
  }
}

/** What the agent has heard of the user so far, in the answer to "recall". */
const userTexts = (answer: Effect.Effect<ChatEvent, ContractViolation>) =>
  Effect.map(answer, ({ message }) => {
    const content: ReadonlyArray<unknown> = Array.isArray(message?.content) ? message.content : []
    const [block] = content
    const text = typeof block === "object" && block !== null && "text" in block ? String(block.text) : ""
    const heard: ReadonlyArray<{ readonly user?: unknown }> = JSON.parse(text)
    return heard.flatMap(({ user }) => (user === undefined ? [] : [user]))
  })

const saying = (text: string) => ({ state: "final", message: { content: [{ text }] } })

describe("three turns, the second aborted in the middle", () => {
  it.effect("the agent knows by itself what was said", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { abort, ask } = talk(client)
      expect(yield* ask("r1", "say one")).toMatchObject(saying("one"))
      expect(yield* abort("r2", "wait")).toMatchObject({
        state: "aborted",
        message: { content: [{ text: "half an " }] }
      })
      expect(yield* ask("r3", "recall")).toMatchObject(
        saying(
          JSON.stringify([
            { user: ["say one"] },
            { agent: "one" },
            { user: ["wait"] },
            { agent: "half an " },
            { user: ["recall"] }
          ])
        )
      )
      expect(yield* Queue.size(watch)).toBe(1)
    }).pipe(Effect.provide(gateway()))
  )

  it.effect("a new process is told what was said", () =>
    Effect.gen(function* () {
      const watch = yield* Processes.Watch
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { abort, ask } = talk(client)
      yield* ask("r1", "say one")
      yield* abort("r2", "wait")
      const { closed, pid } = yield* Queue.take(watch)
      process.kill(pid, "SIGKILL")
      yield* closed
      expect(yield* ask("r3", "recall")).toMatchObject(
        saying(
          JSON.stringify([
            {
              user: [
                [
                  "What was said in this conversation so far and you have not seen yet, for you to know; the message to answer follows behind it.",
                  "",
                  '<message role="user">',
                  "say one",
                  "</message>",
                  '<message role="assistant">',
                  "one",
                  "</message>",
                  '<message role="user">',
                  "wait",
                  "</message>",
                  '<message role="assistant">',
                  "half an ",
                  "</message>"
                ].join("\n"),
                "recall"
              ]
            }
          ])
        )
      )
      // Once told, it knows.
      expect((yield* userTexts(ask("r4", "recall"))).slice(1)).toEqual([["recall"]])
    }).pipe(Effect.provide(gateway()))
  )

  it.effect("one that dies in its answer is told what it had said", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { ask } = talk(client)
      expect(yield* ask("r1", "die")).toMatchObject({
        state: "error",
        message: { content: [{ text: "half an " }] }
      })
      const { message } = yield* ask("r2", "recall")
      expect(JSON.stringify(message)).toMatch(/message role=.*die.*half an .*"recall/)
    }).pipe(Effect.provide(gateway()))
  )
})

describe("what the agent has not seen", () => {
  it.effect("what was put into the conversation beside it", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { ask } = talk(client)
      yield* ask("r1", "say one")
      yield* client.request("chat.inject", { sessionKey: "main", message: "a note" })
      expect(yield* userTexts(ask("r2", "recall"))).toEqual([
        ["say one"],
        [expect.stringMatching(/behind it\.\n\n<message role="assistant">\na note\n<\/message>$/), "recall"]
      ])
      expect((yield* userTexts(ask("r3", "recall"))).slice(2)).toEqual([["recall"]])
    }).pipe(Effect.provide(gateway()))
  )

  for (const load of ["load", "resume"] as const) {
    it.effect(`an agent that can ${load} sessions goes on with its own`, () =>
      Effect.gen(function* () {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "colloquy-acp-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true }))
        )
        const config: Config = { load, store: join(directory, "store.json") }
        yield* Effect.gen(function* () {
          const watch = yield* Processes.Watch
          const client = yield* (yield* GatewayTest.GatewayTest).connect()
          const { abort, ask } = talk(client)
          yield* ask("r1", "say one")
          yield* abort("r2", "wait")
          // The next turn begins when the agent is through with the one that was aborted.
          yield* ask("r3", "say three")
          const first = yield* Queue.take(watch)
          process.kill(first.pid, "SIGKILL")
          yield* first.closed
          expect(yield* ask("r4", "recall")).toMatchObject(
            saying(
              JSON.stringify([
                { user: ["say one"] },
                { agent: "one" },
                { user: ["wait"] },
                { agent: "half an " },
                { user: ["say three"] },
                { agent: "three" },
                { user: ["recall"] }
              ])
            )
          )
          yield* lineOf((yield* Queue.take(watch)).errors, new RegExp(`^${load}$`, "m"))
        }).pipe(Effect.provide(gateway(config)))
      }).pipe(Effect.scoped)
    )
  }
})

describe("through the gateway", () => {
  it.effect("a permission is asked of the clients, and one of them answers", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      yield* talk(client).send("r1", "ask")
      yield* client.awaitFrame((frame) => frame.type === "event" && frame.event === "permission.requested")
      const { payload } = yield* client.request("permission.list", { sessionKey: "main" })
      expect(payload).toMatchObject({ permissions: [{ title: "rm -rf /", args: { command: "rm" } }] })
      const [id] = JSON.stringify(payload).match(/[0-9a-f-]{36}/) ?? []
      yield* client.request("permission.resolve", { id, optionId: "o-allow_once" })
      expect(yield* client.terminal("r1")).toMatchObject(
        saying('{"outcome":"selected","optionId":"o-allow_once"}')
      )
    }).pipe(Effect.provide(gateway({}, { permissions: "ask" })))
  )

  it.effect("an abort kills an agent that hears neither its cancel nor SIGTERM, with its children", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { send } = talk(client)
      yield* send("r1", "deaf with a child")
      const { message } = yield* client.awaitChat(({ state }) => state === "delta")
      const child = Number(/\d+/.exec(JSON.stringify(message))?.[0])
      const seen = yield* Queue.take(yield* Processes.Watch)
      expect(Processes.alive({ pid: child })).toEqual([child])
      yield* client.request("chat.abort", { sessionKey: "main", runId: "r1" })
      yield* passing(seen.closed)
      expect(Processes.alive({ group: seen.pid })).toEqual([])
      expect(Processes.alive({ pid: child })).toEqual([])
    }).pipe(Effect.provide(gateway({ stubborn: true })))
  )

  it.effect("a flood ends at the longest answer there may be", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { ask } = talk(client)
      expect(yield* ask("r1", "flood 2000")).toMatchObject({ state: "error" })
      expect(yield* ask("r2", "say on")).toMatchObject(saying("on"))
    }).pipe(Effect.provide(gateway({}, {}, { config: { maxAnswerLength: 100_000 } })))
  )
})
