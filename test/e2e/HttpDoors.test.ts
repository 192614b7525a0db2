/** HTTP by hostile hands: every endpoint × who asks, bad input, files, over real sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import * as Http from "node:http"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Principal from "../../src/auth/Principal.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"

const alice = Effect.runSync(Principal.make("alice", ["agent:main:alice-*"]))
const bob = Effect.runSync(Principal.make("bob", ["agent:main:bob-*"]))
const reader = Effect.runSync(Principal.make("reader", ["*"], ["operator.read"]))
const writer = Effect.runSync(Principal.make("writer", ["*"], ["operator.write"]))

interface Asked {
  readonly method?: string
  readonly path: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}
interface Answered {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

/** Asks, and reads the answer to its end; of one that is open for ever, the head. */
const ask = ({ body, headers = {}, method = "GET", path, token }: Asked) =>
  Effect.flatMap(WebSocketTransport.Address, ({ port }) =>
    Effect.promise(
      () =>
        new Promise<Answered>((resolve, reject) => {
          const authorization = token === undefined ? {} : { authorization: `Bearer ${token}-token` }
          const request = Http.request(
            {
              host: "127.0.0.1",
              port,
              method,
              path,
              headers: { ...authorization, ...headers },
              agent: false
            },
            (response) => {
              const { headers: told, statusCode: status = 0 } = response
              if (told["content-type"]?.startsWith("text/event-stream") === true) {
                request.destroy()
                return resolve({ status, headers: told, text: "" })
              }
              let text = ""
              response.setEncoding("utf8").on("data", (piece: string) => {
                text += piece
              })
              response.on("end", () => resolve({ status, headers: told, text }))
            }
          )
          request.on("error", reject)
          request.end(body)
        })
    )
  )

const say = (content: unknown, more: object = {}): string =>
  JSON.stringify({ model: "colloquy", messages: [{ role: "user", content }], ...more })
const completion = (body: string, more: Partial<Asked> = {}): Asked => ({
  method: "POST",
  path: "/v1/chat/completions",
  token: "owner",
  headers: { "content-type": "application/json" },
  body,
  ...more
})
const inSession = (key: string): Partial<Asked> => ({
  headers: { "content-type": "application/json", "x-session-key": key }
})

describe("the doors of HTTP", () => {
  const run = shared(
    Harness.socket({
      authenticator: Authenticator.layerTokens([
        { token: Redacted.make("owner-token"), principal: Principal.owner },
        { token: Redacted.make("alice-token"), principal: alice },
        { token: Redacted.make("bob-token"), principal: bob },
        { token: Redacted.make("reader-token"), principal: reader },
        { token: Redacted.make("writer-token"), principal: writer }
      ])
    })
  )
  const answering = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const agent = yield* ScriptedAgent
      yield* agent.answerAll(Option.some(({ message }) => `re ${message}`))
      return yield* Effect.ensuring(effect, agent.answerAll(Option.none()))
    })

  const events = { path: "/v1/sessions/agent%3Amain%3Aalice-box/events" }
  const asAlice = completion(say("hi"), inSession("agent:main:alice-box"))
  it.each<[string, Asked, Readonly<Record<string, number>>]>([
    ["models", { path: "/v1/models" }, { nobody: 401, wrong: 401, writer: 403, bob: 200, reader: 200 }],
    ["a model", { path: "/v1/models/colloquy" }, { nobody: 401, wrong: 401, writer: 403, bob: 200 }],
    ["a completion", asAlice, { nobody: 401, wrong: 401, reader: 403, bob: 403, alice: 200, owner: 200 }],
    ["events", events, { nobody: 401, wrong: 401, writer: 403, bob: 403, alice: 200, reader: 200 }],
    ["health", { path: "/healthz" }, { nobody: 200, wrong: 200 }],
    ["readiness", { path: "/readyz" }, { nobody: 200, wrong: 200 }],
    ["documents", { path: "/docs" }, { nobody: 200 }],
    ["OpenAPI", { path: "/docs/openapi.json" }, { nobody: 200 }]
  ])("%s: for whom", (_name, asked, expected) =>
    run(
      answering(
        Effect.gen(function* () {
          const { token: _token, ...anonymous } = asked
          for (const [who, status] of Object.entries(expected)) {
            const answer = yield* ask(who === "nobody" ? anonymous : { ...asked, token: who })
            expect([who, answer.status, answer.text]).toEqual([who, status, expect.any(String)])
            if (status >= 400) {
              expect(JSON.parse(answer.text)).toMatchObject({
                error: { message: expect.any(String), type: expect.any(String) }
              })
            }
          }
        })
      )
    )
  )

  it("a key of somebody else tells nothing of its run", () =>
    run(
      answering(
        Effect.gen(function* () {
          const keyed = (key: string) => ({
            headers: { ...inSession(key).headers, "idempotency-key": "shared-key" }
          })
          const first = yield* ask(
            completion(say("alice's secret"), { token: "alice", ...keyed("agent:main:alice-box") })
          )
          expect([first.status, first.text.includes("re alice's secret")]).toEqual([200, true])
          const again = yield* ask(
            completion(say("alice's secret"), { token: "alice", ...keyed("agent:main:alice-box") })
          )
          expect(again.text).toContain("re alice's secret")
          const other = yield* ask(completion(say("bob's"), { token: "bob", ...keyed("agent:main:bob-box") }))
          expect(other.status).toBe(200)
          expect(other.text).toContain("re bob's")
          expect(JSON.stringify(other)).not.toContain("alice")
        })
      )
    ))

  const deep = `{"model":"colloquy","messages":${"[".repeat(500)}${"]".repeat(500)}}`
  it.each<[string, Asked, number, string]>([
    ["no JSON", completion("{"), 400, "no JSON"],
    ["nothing", completion(""), 400, "no JSON"],
    ["no object", completion("[]"), 400, "the body"],
    ["no messages", completion(say("hi", { messages: [] })), 400, "messages"],
    ["no user", completion(say("", { messages: [{ role: "system", content: "x" }] })), 400, "role user"],
    [
      "another role",
      completion(say("", { messages: [{ role: "x", content: "x" }] })),
      400,
      "messages[0].role"
    ],
    ["another model", completion(say("hi", { model: "gpt-4" })), 404, "gpt-4"],
    ["no agent of that name", completion(say("hi", { model: "colloquy:none" })), 404, "none"],
    [
      "an image from elsewhere",
      completion(say([{ type: "image_url", image_url: { url: "http://a/b.png" } }])),
      400,
      "nothing is fetched"
    ],
    ["a session that can't be", completion(say("hi"), inSession("../x")), 400, "sessionKey"],
    ["a body that is too deep", completion(deep), 400, "deeper"],
    ["a body that is too large", completion(say("x".repeat(600_000))), 413, "larger"],
    ["another method", { method: "DELETE", path: "/v1/models", token: "owner" }, 405, "expected GET"],
    ["another method", { path: "/v1/chat/completions", token: "owner" }, 405, "expected POST"],
    ["another path", { path: "/v1/none", token: "owner" }, 404, "nothing here"],
    [
      "another name",
      { path: "/v1/models", token: "owner", headers: { host: "evil.example" } },
      403,
      "evil.example"
    ],
    [
      "another site",
      { path: "/v1/models", token: "owner", headers: { origin: "https://evil.example" } },
      403,
      "evil.example"
    ],
    [
      "a login from another site",
      { method: "POST", path: "/login", headers: { origin: "https://evil.example" } },
      403,
      "evil.example"
    ],
    ["a login with another code", { method: "POST", path: "/login", body: '{"code":"x"}' }, 401, "too old"]
  ])("refuses %s", (_name, asked, status, words) =>
    run(
      Effect.gen(function* () {
        const answer = yield* ask(asked)
        expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)])
        if (status === 405) expect(answer.headers.allow).toMatch(/^(?:GET|POST)$/)
        // It goes on.
        expect((yield* ask({ path: "/readyz" })).status).toBe(200)
      })
    )
  )

  it.each([
    "/%2e%2e/package.json",
    "/..%2fpackage.json",
    "/assets/..%2f..%2fpackage.json",
    "/assets/%00",
    "//etc/passwd"
  ])("has no file %s", (path) =>
    run(
      Effect.gen(function* () {
        const answer = yield* ask({ path })
        expect([answer.status, answer.text]).toEqual([404, expect.not.stringContaining("colloquy")])
      })
    )
  )
})
