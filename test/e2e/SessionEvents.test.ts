/** Server-sent events of a session, over real sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Redacted, type Scope } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Principal from "../../src/auth/Principal.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type * as TestClient from "../../src/testing/TestClient.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"

const alice = Effect.runSync(Principal.make("alice", ["agent:main:alice-*"]))

interface Sse {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: unknown
}

/** One event of the stream's text. */
const parse = (block: string): Sse => {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1]
  const data = field("data")
  return { id: field("id"), event: field("event"), data: data === undefined ? undefined : JSON.parse(data) }
}

/** Listens; answers how to wait for the first event, from now on, that fits. */
const listen = (
  sessionKey: string,
  token: string,
  lastEventId?: string
): Effect.Effect<
  {
    readonly status: number
    readonly until: (fits: (event: Sse) => boolean) => Effect.Effect<Sse>
    readonly ended: Effect.Effect<void>
  },
  never,
  WebSocketTransport.Address | Scope.Scope
> =>
  Effect.gen(function* () {
    const { port } = yield* WebSocketTransport.Address
    const controller = new AbortController()
    yield* Effect.addFinalizer(() => Effect.sync(() => controller.abort()))
    const response = yield* Effect.promise(() =>
      fetch(`http://127.0.0.1:${port}/v1/sessions/${encodeURIComponent(sessionKey)}/events`, {
        signal: controller.signal,
        headers: {
          authorization: `Bearer ${token}`,
          ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
        }
      })
    )
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let buffer = ""
    const next = async (): Promise<Sse | undefined> => {
      while (!buffer.includes("\n\n")) {
        const chunk = await reader?.read()
        if (chunk === undefined || chunk.done) return undefined
        buffer += chunk.value
      }
      const end = buffer.indexOf("\n\n")
      const block = buffer.slice(0, end)
      buffer = buffer.slice(end + 2)
      return parse(block)
    }
    return {
      status: response.status,
      until: (fits) =>
        Effect.promise(async () => {
          while (true) {
            const event = await next()
            if (event === undefined) throw new Error("the stream has ended")
            if (fits(event)) return event
          }
        }),
      ended: Effect.promise(async () => {
        while ((await next()) !== undefined);
      })
    }
  })

const chat =
  (state: string) =>
  ({ data, event }: Sse): boolean =>
    event === "chat" && typeof data === "object" && data !== null && "state" in data && data.state === state
const opened = ({ event }: Sse): boolean => event === undefined

describe("the events of a session", () => {
  const run = shared(
    Harness.socket({
      authenticator: Authenticator.layerTokens([
        { token: Redacted.make("owner-token"), principal: Principal.owner },
        { token: Redacted.make("alice-token"), principal: alice }
      ])
    })
  )
  const connected = Effect.flatMap(Harness.Door, ({ open }) =>
    Effect.tap(open, (client) => client.connect({ token: "owner-token" }))
  )
  const send = (client: TestClient.TestClient, sessionKey: string, key: string) =>
    client.request("chat.send", { sessionKey, message: key, idempotencyKey: key })

  it("come as they happen, those of that session only", () =>
    run(
      Effect.gen(function* () {
        const client = yield* connected
        const agent = yield* ScriptedAgent
        yield* agent.answerAll(Option.some(({ message }) => `re ${message}`))
        const events = yield* listen("one", "owner-token")
        expect(events.status).toBe(200)
        yield* events.until(opened)
        yield* send(client, "two", "other")
        yield* client.terminal("other")
        yield* send(client, "one", "mine")
        const changed = yield* events.until(({ event }) => event === "sessions.changed")
        expect(changed.data).toMatchObject({ sessionKey: "agent:main:one", reason: "message", runId: "mine" })
        const final = yield* events.until(chat("final"))
        expect(final.data).toMatchObject({ runId: "mine", message: { content: [{ text: "re mine" }] } })
        yield* agent.answerAll(Option.none())
      })
    ))

  it("go on where the reader was, and say so when that can't be", () =>
    run(
      Effect.gen(function* () {
        const client = yield* connected
        const agent = yield* ScriptedAgent
        yield* agent.answerAll(Option.some(({ message }) => `re ${message}`))
        const id = yield* Effect.scoped(
          Effect.gen(function* () {
            const events = yield* listen("three", "owner-token")
            yield* events.until(opened)
            yield* send(client, "three", "first")
            return (yield* events.until(chat("final"))).id
          })
        )
        yield* send(client, "three", "second")
        yield* client.terminal("second")
        const again = yield* listen("three", "owner-token", id)
        const final = yield* again.until(chat("final"))
        expect(final.data).toMatchObject({ runId: "second" })

        const lost = yield* listen("three", "owner-token", "7@another-life")
        expect((yield* lost.until(({ event }) => event !== undefined)).data).toMatchObject({
          reason: "epoch"
        })
        const bad = yield* listen("three", "owner-token", "nonsense")
        expect(bad.status).toBe(400)
        yield* agent.answerAll(Option.none())
      })
    ))

  it("are for those who may see the session", () =>
    run(
      Effect.gen(function* () {
        expect((yield* listen("alice-1", "alice-token")).status).toBe(200)
        expect((yield* listen("bob-1", "alice-token")).status).toBe(403)
        expect((yield* listen("bob-1", "wrong")).status).toBe(401)
        expect((yield* listen("a/../b", "owner-token")).status).toBe(400)
      })
    ))
})
