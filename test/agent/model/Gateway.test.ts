/** A conversation through the whole gateway: three turns, the second aborted in its middle. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { AgentRunner } from "../../../src/agent/AgentRunner.js"
import * as AgentPolicy from "../../../src/agent/AgentPolicy.js"
import * as GatewayTest from "../../../src/testing/GatewayTest.js"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import * as HostileServer from "./HostileServer.js"
import { options, type Provider, providers, streamed } from "./Providers.js"

/** The gateway with this provider's agent, as the command line puts it together. */
const gateway = (provider: Provider, baseUrl: string) => {
  const agent = Layer.effect(
    AgentRunner,
    Effect.map(provider.make(options(baseUrl, { apiKey: Option.none() })), ({ about, run }) => ({
      run,
      agents: about
    }))
  )
  return GatewayTest.layerWith(
    agent.pipe(AgentPolicy.withPolicy(AgentPolicy.defaults), Layer.provide(HttpClientNode.layer))
  )
}

/** Who said what, as the server was told. */
const toldOf = ({ body }: HostileServer.Exchange): ReadonlyArray<string> => {
  const { messages } = JSON.parse(body) as {
    readonly messages: ReadonlyArray<{
      readonly role: string
      readonly content: string | ReadonlyArray<{ readonly text: string }>
    }>
  }
  return messages.map(
    ({ content, role }) =>
      `${role}: ${typeof content === "string" ? content : content.map(({ text }) => text).join("|")}`
  )
}

for (const provider of providers) {
  describe(`${provider.name}: through the whole gateway`, () => {
    it.scoped("three turns; the second is aborted, and the third knows what it had said", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        yield* Effect.gen(function* () {
          const client = yield* (yield* GatewayTest.GatewayTest).connect()
          const send = (idempotencyKey: string, message: string) =>
            client.request("chat.send", { sessionKey: "main", message, idempotencyKey })

          yield* send("r1", "one")
          const first = yield* server.next
          expect(toldOf(first)).toEqual(["user: one"])
          streamed(provider.text("Answer "), provider.text("one"), provider.stop, provider.over)(first)
          expect(yield* client.terminal("r1")).toMatchObject({
            state: "final",
            message: { content: [{ text: "Answer one" }] }
          })

          yield* send("r2", "two")
          const second = yield* server.next
          second.begin()
          second.write(provider.text("Half of an ans"))
          yield* client.awaitChat(({ runId, state }) => runId === "r2" && state === "delta")
          yield* client.request("chat.abort", { sessionKey: "main", runId: "r2" })
          expect(yield* client.terminal("r2")).toMatchObject({ state: "aborted" })
          yield* second.closed
          yield* server.allClosed

          yield* send("r3", "three")
          const third = yield* server.next
          expect(toldOf(third)).toEqual([
            "user: one",
            "assistant: Answer one",
            "user: two",
            "assistant: Half of an ans",
            "user: three"
          ])
          streamed(provider.text("Answer three"), provider.stop, provider.over)(third)
          expect(yield* client.terminal("r3")).toMatchObject({ state: "final", stopReason: "stop" })
        }).pipe(Effect.provide(gateway(provider, server.url)))
      })
    )

    it.scoped("an answer that is cut ends with an error, and its half is kept and marked", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        yield* Effect.gen(function* () {
          const client = yield* (yield* GatewayTest.GatewayTest).connect()
          yield* client.request("chat.send", { sessionKey: "main", message: "one", idempotencyKey: "r1" })
          streamed(provider.text("Half"))(yield* server.next)
          const end = yield* client.terminal("r1")
          expect(end).toMatchObject({ state: "error" })
          expect(JSON.stringify(end)).toContain("STREAM_CUT")
          const { payload } = yield* client.request("chat.history", { sessionKey: "main" })
          expect(payload).toMatchObject({
            messages: [
              { role: "user" },
              { role: "assistant", content: [{ text: "Half" }], stopReason: "error" }
            ]
          })
        }).pipe(Effect.provide(gateway(provider, server.url)))
      })
    )
  })
}
