import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as AgentAcp from "../../src/agent/AgentAcp.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import type { TestClient } from "../../src/testing/TestClient.js"
import { type Config, lineOf, optionsOf } from "./acp/Agents.js"
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
      const { message } = yield* ask("r4", "recall")
      expect(JSON.stringify(message).match(/half an/g)).toHaveLength(1)
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
      const { message } = yield* ask("r2", "recall")
      expect(JSON.stringify(message)).toMatch(/say one.*role=.{3}assistant.{3}>.{3}a note.{3}<\/message>/)
      const again = JSON.stringify((yield* ask("r3", "recall")).message)
      expect(again.match(/a note/g)).toHaveLength(1)
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
          const first = yield* Queue.take(watch)
          process.kill(first.pid, "SIGKILL")
          yield* first.closed
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

  it.effect("a flood ends at the longest answer there may be", () =>
    Effect.gen(function* () {
      const client = yield* (yield* GatewayTest.GatewayTest).connect()
      const { ask } = talk(client)
      expect(yield* ask("r1", "flood 2000")).toMatchObject({ state: "error" })
      expect(yield* ask("r2", "say on")).toMatchObject(saying("on"))
    }).pipe(Effect.provide(gateway({}, {}, { config: { maxAnswerLength: 100_000 } })))
  )
})
