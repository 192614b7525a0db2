/** Answers of both providers through a real socket: what is whole, what is cut, and what is none. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream, TestClock } from "effect"
import type { AgentEvent } from "../../../src/domain/AgentEvent.js"
import { turn } from "../../../src/event/EventLoop.js"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import { agentRequest } from "../../support/Request.js"
import * as HostileServer from "./HostileServer.js"
import { ask, event, failure, hear, key, openai, options, providers, streamed, textOf } from "./Providers.js"

for (const provider of providers) {
  const { over, overloaded, stop, text } = provider

  describe(`${provider.name}: an answer`, () => {
    it.scoped("is streamed while it comes", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const pull = yield* Stream.toPull(agent.run(agentRequest("hi")))
        const first = yield* Effect.fork(pull)
        const exchange = yield* server.next
        exchange.begin()
        exchange.write(text("Good "))
        expect(textOf(yield* Fiber.join(first))).toBe("Good ")
        exchange.write(text("day"))
        expect(textOf(yield* pull)).toBe("day")
        exchange.end(stop + over)
        const rest: Array<AgentEvent> = [...(yield* pull)]
        expect(rest.at(-1)).toMatchObject({ _tag: "End", stopReason: "stop" })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("comes through whatever pieces the network makes of it", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const said: Array<AgentEvent> = []
        const fiber = yield* Effect.fork(
          Stream.runForEach(agent.run(agentRequest("hi")), (event) => Effect.sync(() => said.push(event)))
        )
        const exchange = yield* server.next
        exchange.begin()
        for (const byte of Buffer.from(`: a comment\n\n${text("Grüße 👋🏽")}${stop}${over}`)) {
          exchange.write(Uint8Array.of(byte))
          yield* turn
        }
        exchange.end()
        yield* Fiber.join(fiber)
        expect(textOf(said)).toBe("Grüße 👋🏽")
        expect(said.at(-1)).toMatchObject({ _tag: "End" })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("leaves out events and fields that it doesn't know", () =>
      Effect.gen(function* () {
        const unknown = event({ type: "surprise", choices: [], more: [1] }, "surprise")
        const heard = yield* ask(
          provider,
          streamed(
            "retry: 10\n\n",
            unknown,
            'event: ping\ndata: {"type":"ping"}\n\n',
            text("yes"),
            stop,
            over
          )
        )
        expect(heard.text).toBe("yes")
        expect(heard.events.at(-1)).toMatchObject({ _tag: "End" })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("is whole without its very last event when the connection ends as it should", () =>
      Effect.gen(function* () {
        const heard = yield* ask(provider, streamed(text("yes"), stop.trimEnd()))
        expect(heard.events.at(-1)).toMatchObject({ _tag: "End", stopReason: "stop" })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("leaves its connection to the next one", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        for (let at = 0; at < 3; at++) {
          const fiber = yield* Effect.fork(hear(agent))
          streamed(text("yes"), stop, over)(yield* server.next)
          expect(yield* Fiber.join(fiber)).toMatchObject({ text: "yes" })
        }
        expect(server.connections()).toBe(1)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("is whole when it is over, though its connection stays open", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const fiber = yield* Effect.fork(hear(agent))
        const exchange = yield* server.next
        exchange.begin()
        exchange.write(text("yes") + stop + over)
        const clock = yield* Effect.fork(Effect.forever(TestClock.adjust("10 millis")))
        expect((yield* Fiber.join(fiber)).events.at(-1)).toMatchObject({ _tag: "End" })
        yield* Fiber.interrupt(clock)
        yield* server.allClosed
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("that ends early is an error, and what was said stays said", () =>
      Effect.gen(function* () {
        const ends: ReadonlyArray<(exchange: HostileServer.Exchange) => void> = [
          streamed(text("half")),
          streamed(text("half"), text("gone").slice(0, -9)),
          (exchange) => {
            exchange.begin()
            exchange.write(text("half"))
            setImmediate(exchange.cut)
          }
        ]
        for (const end of ends) {
          const heard = yield* ask(provider, end)
          expect(heard.events).toEqual([{ _tag: "TextDelta", delta: "half" }])
          expect(failure(heard)).toMatchObject({ code: "STREAM_CUT", retryable: true })
        }
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("that is cut before its first byte is an error", () =>
      Effect.gen(function* () {
        const silent = yield* ask(provider, streamed())
        expect(failure(silent)).toMatchObject({ code: "STREAM_CUT", retryable: true })
        const cut = yield* ask(provider, (exchange) => exchange.cut())
        expect(failure(cut)).toMatchObject({ code: "UNREACHABLE", retryable: true })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("with an error in it is an error, and what was said stays said", () =>
      Effect.gen(function* () {
        const heard = yield* ask(provider, streamed(text("half") + overloaded, text("never"), stop, over))
        expect(heard.events).toEqual([{ _tag: "TextDelta", delta: "half" }])
        expect(failure(heard)).toMatchObject({
          code: "PROVIDER_ERROR",
          retryable: true,
          message: expect.stringContaining("We are full")
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("with garbage in it is an error", () =>
      Effect.gen(function* () {
        for (const garbage of ["{not json", "[]", "null", '{"choices":"text","type":7}', '"text"']) {
          const heard = yield* ask(provider, streamed(text("half"), event(garbage), stop, over))
          expect(heard.text).toBe("half")
          expect(failure(heard)).toMatchObject({ code: "MALFORMED_STREAM", retryable: false })
        }
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("with an event that never ends is an error, and the connection is closed", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(agent.run(agentRequest("hi")))))
        const exchange = yield* server.next
        exchange.begin()
        exchange.write("data: ")
        const flood = yield* Effect.fork(
          Effect.forever(
            Effect.suspend(() => {
              exchange.write("x".repeat(64 * 1024))
              return Effect.zipRight(exchange.drained, turn)
            })
          )
        )
        const exit = yield* Fiber.join(fiber)
        expect(failure({ events: [], text: "", exit })).toMatchObject({ code: "MALFORMED_STREAM" })
        yield* exchange.closed
        yield* Fiber.interrupt(flood)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("of the wrong type is an error that says so", () =>
      Effect.gen(function* () {
        const page = yield* ask(provider, (exchange) => {
          exchange.begin(200, { "content-type": "text/html" })
          exchange.end("<html><h1>Welcome</h1></html>")
        })
        expect(failure(page)).toMatchObject({
          code: "NOT_AN_EVENT_STREAM",
          message: expect.stringContaining("answered with text/html")
        })
        const json = yield* ask(provider, (exchange) => {
          exchange.begin(200, { "content-type": "application/json" })
          exchange.end('{"error":{"message":"no such backend"}}')
        })
        expect(failure(json)).toMatchObject({
          code: "PROVIDER_ERROR",
          message: expect.stringContaining("no such backend")
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })

  describe(`${provider.name}: an abort closes the connection`, () => {
    it.scoped("while it is being made", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.makeSilent
        const agent = yield* provider.make(options(`https://127.0.0.1:${server.port}`))
        const fiber = yield* Effect.fork(Stream.runDrain(agent.run(agentRequest("hi"))))
        yield* server.heard
        expect(server.openSockets()).toBe(1)
        yield* Fiber.interrupt(fiber)
        yield* server.allClosed
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    const states: ReadonlyArray<readonly [string, (exchange: HostileServer.Exchange) => void]> = [
      ["while the answer is waited for", () => {}],
      ["before the first byte of the answer", (exchange) => exchange.begin()],
      [
        "in the middle of the answer",
        (exchange) => {
          exchange.begin()
          exchange.write(text("half"))
        }
      ],
      ["while the body of a refusal is read", (exchange) => exchange.begin(500)]
    ]
    for (const [state, begin] of states) {
      it.scoped(state, () =>
        Effect.gen(function* () {
          const server = yield* HostileServer.make
          const agent = yield* provider.make(options(server.url))
          const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(agent.run(agentRequest("hi")))))
          const exchange = yield* server.next
          begin(exchange)
          // The client has what there is by then; where it stands exactly does not matter.
          yield* Effect.repeatN(turn, 20)
          expect(server.openSockets()).toBe(1)
          const exit = yield* Fiber.interrupt(fiber)
          expect(Exit.isInterrupted(exit)).toBe(true)
          yield* exchange.closed
          yield* server.allClosed
        }).pipe(Effect.provide(HttpClientNode.layer))
      )
    }
  })

  describe(`${provider.name}: the request`, () => {
    it.scoped("carries the key, and nothing of our traces", () =>
      Effect.gen(function* () {
        const { exchange } = yield* ask(provider, streamed(text("yes"), stop, over)).pipe(
          Effect.withSpan("a run")
        )
        const { authorization, "x-api-key": apiKey } = exchange.headers
        expect([authorization, apiKey]).toContain(provider.name === "openai" ? `Bearer ${key}` : key)
        expect(
          Object.keys(exchange.headers).filter((name) => /^(b3|traceparent|tracestate)$/.test(name))
        ).toEqual([])
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("goes below the base URL, whose query is kept", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(`${server.url}/some/where/?version=2#part`))
        yield* Effect.fork(Stream.runDrain(agent.run(agentRequest("hi"))))
        const { method, path } = yield* server.next
        expect(`${method} ${path}`).toBe(
          `POST /some/where${provider.name === "openai" ? "/chat/completions" : "/v1/messages"}?version=2`
        )
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })
}

it.scoped("an answer is pulled and never collected: 100 MB pass while little is under way", () =>
  Effect.gen(function* () {
    const piece = 64 * 1024
    const pieces = 1600
    const mostUnderWay = 16 * 1024 * 1024
    const server = yield* HostileServer.make
    const agent = yield* openai.make(options(server.url))
    const pull = yield* Stream.toPull(agent.run(agentRequest("hi")))
    const first = yield* Effect.fork(pull)
    const exchange = yield* server.next
    exchange.begin()
    let sent = 0
    yield* Effect.fork(
      Effect.gen(function* () {
        const delta = openai.text("x".repeat(piece))
        while (sent < pieces * piece) {
          exchange.write(delta)
          sent += piece
          yield* exchange.drained
        }
        exchange.end(openai.stop + openai.over)
      })
    )
    let received = textOf(yield* Fiber.join(first)).length
    // The server has all the time that it wants, and still it must not get far.
    yield* Effect.repeatN(turn, 5000)
    expect(sent).toBeLessThan(mostUnderWay)
    yield* pull.pipe(
      Effect.tap((said) => {
        received += textOf(said).length
        expect(sent - received).toBeLessThan(mostUnderWay)
      }),
      Effect.forever,
      Effect.exit
    )
    expect(received).toBe(pieces * piece)
  }).pipe(Effect.provide(HttpClientNode.layer))
)
