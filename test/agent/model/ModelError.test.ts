/** Refusals: what clients and operators are told, what is tried again, and that no key is in it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Redacted, TestClock } from "effect"
import * as HttpClientNode from "../../../src/transport/HttpClientNode.js"
import * as HostileServer from "./HostileServer.js"
import { ask, failure, hear, key, options, type Provider, providers, streamed } from "./Providers.js"

const json = { "content-type": "application/json" }

/** Answers with this status, headers and body. */
const refused =
  (status: number, body = "", headers: Record<string, string> = json) =>
  (exchange: HostileServer.Exchange): void => {
    exchange.begin(status, headers)
    exchange.end(body)
  }

const errorOf = (
  provider: Provider,
  answer: (exchange: HostileServer.Exchange) => void,
  more: Parameters<typeof options>[1] = {}
) => Effect.map(ask(provider, answer, more), failure)

const said = (message: string, more: object = {}) => JSON.stringify({ error: { message, ...more } })

for (const provider of providers) {
  describe(`${provider.name}: a refusal`, () => {
    it.scoped("is told apart by its status", () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [number, string, boolean, RegExp]> = [
          [401, "UNAUTHORIZED", false, /the key in THE_KEY is refused by http:.*check it/],
          [403, "UNAUTHORIZED", false, /the key in THE_KEY may not use model-1.*too wide/],
          [402, "QUOTA_EXCEEDED", false, /nothing left to spend.*too wide.*billing/],
          [404, "MODEL_NOT_FOUND", false, /no model model-1.*too wide.*base URL/],
          [400, "BAD_REQUEST", false, /refused the request to model-1 \(HTTP 400\): “too wide”/],
          [413, "BAD_REQUEST", false, /too wide/],
          [422, "BAD_REQUEST", false, /too wide/],
          [408, "PROVIDER_ERROR", true, /too wide/],
          [409, "PROVIDER_ERROR", true, /too wide/],
          [429, "RATE_LIMITED", true, /too wide/],
          [500, "PROVIDER_ERROR", true, /too wide/],
          [503, "PROVIDER_ERROR", true, /too wide/],
          [529, "PROVIDER_ERROR", true, /too wide/],
          [204, "NOT_AN_EVENT_STREAM", false, /HTTP 204/]
        ]
        for (const [status, code, retryable, message] of cases) {
          const error = yield* errorOf(provider, refused(status, status === 204 ? "" : said("too wide")))
          expect(error).toMatchObject({ code, retryable })
          expect(error.message).toMatch(message)
        }
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("says when to try again, in each of the ways there are", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.parse("2030-01-01T00:00:00Z"))
        const cases: ReadonlyArray<readonly [Record<string, string>, number | undefined]> = [
          [{ "retry-after": "7" }, 7000],
          [{ "retry-after": "0.5" }, 500],
          [{ "retry-after": "Tue, 01 Jan 2030 00:00:09 GMT" }, 9000],
          [{ "retry-after": "Mon, 31 Dec 2029 00:00:00 GMT" }, 0],
          [{ "retry-after-ms": "1234", "retry-after": "9" }, 1234],
          [{ "retry-after": "soon" }, undefined],
          [{}, undefined]
        ]
        for (const [headers, retryAfterMs] of cases)
          expect((yield* errorOf(provider, refused(429, "", headers))).retryAfterMs).toBe(retryAfterMs)
        expect(yield* errorOf(provider, refused(503, "", { "retry-after": "3" }))).toMatchObject({
          retryAfterMs: 3000
        })
        const lasting = yield* errorOf(provider, refused(401, "", { "retry-after": "3" }))
        expect(lasting.retryAfterMs).toBeUndefined()
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("for want of money is not tried again", () =>
      Effect.gen(function* () {
        const body = said("You exceeded your current quota", { type: "insufficient_quota" })
        expect(yield* errorOf(provider, refused(429, body, { ...json, "retry-after": "1" }))).toMatchObject({
          code: "QUOTA_EXCEEDED",
          retryable: false
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("never shows the key, whatever the server repeats", () =>
      Effect.gen(function* () {
        const echo = (exchange: HostileServer.Exchange) =>
          said(`no: ${key} ${JSON.stringify(exchange.headers)} sk-other-0123456789 Bearer abcdefghijkl`)
        const answers: ReadonlyArray<(exchange: HostileServer.Exchange) => void> = [
          ...[400, 401, 403, 404, 429, 500].map(
            (status) => (exchange: HostileServer.Exchange) => refused(status, echo(exchange))(exchange)
          ),
          (exchange) => refused(302, "", { location: `http://127.0.0.1/?key=${key}` })(exchange),
          (exchange) => refused(302, "", { location: `http://127.0.0.1/${key}` })(exchange),
          (exchange) => streamed(`data: ${echo(exchange)}\n\n`)(exchange),
          (exchange) => streamed(`data: {"type":"error","error":{"message":"${key}"}}\n\n`)(exchange),
          (exchange) => refused(200, echo(exchange))(exchange),
          (exchange) => refused(200, "", { "content-type": `text/html; ${key}` })(exchange)
        ]
        for (const answer of answers) {
          const error = yield* errorOf(provider, answer)
          const all = `${error.message} ${JSON.stringify(error)} ${error.stack} ${String(error.cause)}`
          expect(all).not.toContain(key)
          expect(all).not.toMatch(/sk-other-01|abcdefghijkl/)
        }
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("is quoted in one line and cut short", () =>
      Effect.gen(function* () {
        const { message } = yield* errorOf(
          provider,
          refused(400, said(`first\n\u0007second ${"long ".repeat(1000)}`))
        )
        expect(message).toContain("“first second long")
        expect(message.length).toBeLessThan(500)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("is read in the words of other servers, too", () =>
      Effect.gen(function* () {
        for (const body of [
          '{"error":"too wide"}',
          '{"detail":"too wide"}',
          '{"message":"too wide"}',
          "too wide"
        ])
          expect((yield* errorOf(provider, refused(400, body))).message).toContain("too wide")
        const page = yield* errorOf(
          provider,
          refused(502, "<html>Bad gateway</html>", { "content-type": "text/html" })
        )
        expect(page.message).not.toContain("html")
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("with an endless body costs little and ends", () =>
      Effect.gen(function* () {
        const error = yield* errorOf(provider, (exchange) => {
          exchange.begin(500, json)
          exchange.write("x".repeat(1024 * 1024))
        })
        expect(error).toMatchObject({ code: "PROVIDER_ERROR" })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("whose body never comes is told after a while", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const agent = yield* provider.make(options(server.url))
        const fiber = yield* Effect.fork(hear(agent))
        const exchange = yield* server.next
        exchange.begin(503, { "retry-after": "2" })
        const clock = yield* Effect.fork(Effect.forever(TestClock.adjust("1 seconds")))
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({
          code: "PROVIDER_ERROR",
          retryAfterMs: 2000
        })
        yield* exchange.closed
        yield* Fiber.interrupt(clock)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("a redirect is not followed, so that the key goes nowhere else", () =>
      Effect.gen(function* () {
        const elsewhere = yield* HostileServer.make
        const error = yield* errorOf(provider, refused(307, "", { location: `${elsewhere.url}/v2?x=1` }))
        expect(error).toMatchObject({
          code: "REDIRECTED",
          message: expect.stringContaining(`redirects to ${elsewhere.url}/v2 (HTTP 307)`)
        })
        expect(elsewhere.openSockets()).toBe(0)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })

  describe(`${provider.name}: no connection`, () => {
    const errorAt = (baseUrl: string, more: Parameters<typeof options>[1] = {}) =>
      Effect.flatMap(provider.make(options(baseUrl, more)), (agent) => Effect.map(hear(agent), failure))

    it.effect("nothing listens", () =>
      Effect.gen(function* () {
        const port = yield* HostileServer.freePort
        const error = yield* errorAt(`http://someone:secret@127.0.0.1:${port}/v1?key=${key}`)
        expect(error).toMatchObject({
          code: "UNREACHABLE",
          retryable: true,
          message: expect.stringContaining(`http://127.0.0.1:${port}/v1 can't be reached (ECONNREFUSED)`)
        })
        expect(JSON.stringify(error)).not.toMatch(/secret|orchid/)
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("no TLS there", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const error = yield* errorAt(server.url.replace("http:", "https:"))
        expect(error).toMatchObject({
          code: "UNREACHABLE",
          retryable: true,
          message: expect.stringMatching(/check http or https in the base URL/)
        })
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.effect("a base URL that is none", () =>
      Effect.gen(function* () {
        for (const baseUrl of ["localhost:11434", "", "ftp://127.0.0.1", "http//user:secret@host"]) {
          const error = yield* errorAt(baseUrl)
          expect(error).toMatchObject({ code: "BAD_BASE_URL", retryable: false })
          expect(error.message).not.toContain("secret")
        }
      }).pipe(Effect.provide(HttpClientNode.layer))
    )

    it.scoped("a key that can't be sent, and none at all", () =>
      Effect.gen(function* () {
        const server = yield* HostileServer.make
        const error = yield* errorAt(server.url, { apiKey: Option.some(Redacted.make(`${key}\n`)) })
        expect(error).toMatchObject({
          code: "UNAUTHORIZED",
          message: expect.stringContaining("the key in THE_KEY has characters that no key has")
        })
        const keyless = yield* ask(provider, refused(401), { apiKey: Option.none() })
        expect(failure(keyless).message).toContain("wants a key (HTTP 401): set THE_KEY")
        expect(keyless.exchange.headers).not.toHaveProperty("authorization")
        expect(keyless.exchange.headers).not.toHaveProperty("x-api-key")
      }).pipe(Effect.provide(HttpClientNode.layer))
    )
  })
}
