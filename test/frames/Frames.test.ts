/** Frames that no client should send: each has its answer, and the connection goes on. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TestClient } from "../../src/testing/TestClient.js"
import * as Harness from "../support/Harness.js"
import { shared } from "../support/Shared.js"
import { deep, maxPayload, padded } from "../support/Frames.js"

interface Case {
  readonly name: string
  /** What is sent; `null`: a binary frame. */
  readonly frame: string | null
  /** The id that the answer carries. */
  readonly id: string
  readonly message: string
  readonly details?: unknown
}

const unreadable = (name: string, frame: string | null, reason: string, id = "invalid"): Case => ({
  name,
  frame,
  id,
  message: `invalid request frame: ${reason}`,
  details: { code: "INVALID_FRAME" }
})
const unknownMethod = (method: string): Case => ({
  name: `method ${method}`,
  frame: JSON.stringify({ type: "req", id: "a", method, params: {} }),
  id: "a",
  message: `unknown method: ${method}`,
  details: { code: "UNKNOWN_METHOD" }
})
const invalidParams = (
  name: string,
  method: string,
  params: string,
  path: string,
  expected: string,
  found: string
): Case => ({
  name: `${method}: ${name}`,
  frame: `{"type":"req","id":"a","method":"${method}","params":${params}}`,
  id: "a",
  message: `invalid ${method} params: ${path === "" ? "params" : path}: expected ${expected}, found ${found}`,
  details: { code: "INVALID_PARAMS", path, expected }
})

const cases: ReadonlyArray<Case> = [
  unreadable("not JSON", "hello", "not JSON"),
  unreadable("empty text", "", "not JSON"),
  unreadable("half of an object", '{"type":"req","id":"a"', "not JSON"),
  unreadable("two objects", '{"type":"req","id":"a","method":"health"}{"type":"req"}', "not JSON"),
  unreadable("a byte order mark", '\ufeff{"type":"req","id":"a","method":"health"}', "not JSON"),
  unreadable("NaN", '{"type":"req","id":"a","method":"health","params":{"n":NaN}}', "not JSON"),
  unreadable("an array", "[]", "frame: expected an object, found array"),
  unreadable(
    "an array that looks like a request",
    '[{"type":"req","id":"a","method":"health"}]',
    "frame: expected an object, found array"
  ),
  unreadable("a number", "5", "frame: expected an object, found number"),
  unreadable("a number too large for a double", "1e400", "frame: expected an object, found number"),
  unreadable("a string", '"health"', "frame: expected an object, found string"),
  unreadable("null", "null", "frame: expected an object, found null"),
  unreadable("a boolean", "true", "frame: expected an object, found boolean"),
  unreadable("binary", null, "binary; expected a text frame with one JSON object"),
  unreadable("an empty object", "{}", 'type: expected "req", found nothing'),
  unreadable("no type", '{"id":"a","method":"health"}', 'type: expected "req", found nothing', "a"),
  unreadable("no id", '{"type":"req","method":"health"}', "id: expected a non empty string, found nothing"),
  unreadable(
    "an empty id",
    '{"type":"req","id":"","method":"health"}',
    "id: expected a non empty string, found string"
  ),
  unreadable(
    "a numeric id",
    '{"type":"req","id":7,"method":"health"}',
    "id: expected a non empty string, found number"
  ),
  unreadable(
    "id null",
    '{"type":"req","id":null,"method":"health"}',
    "id: expected a non empty string, found null"
  ),
  unreadable(
    "an unknown type",
    '{"type":"nope","id":"a","method":"health"}',
    'type: expected "req", found string',
    "a"
  ),
  unreadable(
    "a numeric type",
    '{"type":1,"id":"a","method":"health"}',
    'type: expected "req", found number',
    "a"
  ),
  unreadable("type res", '{"type":"res","id":"a","ok":true}', 'type: expected "req", found string', "a"),
  unreadable("type event", '{"type":"event","event":"tick"}', 'type: expected "req", found string'),
  unreadable(
    "no method",
    '{"type":"req","id":"a"}',
    "method: expected a non empty string, found nothing",
    "a"
  ),
  unreadable(
    "an empty method",
    '{"type":"req","id":"a","method":""}',
    "method: expected a non empty string, found string",
    "a"
  ),
  unreadable(
    "a numeric method",
    '{"type":"req","id":"a","method":7}',
    "method: expected a non empty string, found number",
    "a"
  ),
  unreadable(
    "a method in an array",
    '{"type":"req","id":"a","method":["health"]}',
    "method: expected a non empty string, found array",
    "a"
  ),
  unreadable(
    "everything under __proto__",
    '{"__proto__":{"type":"req","id":"a","method":"health"}}',
    'type: expected "req", found nothing'
  ),
  unreadable(
    "of duplicate keys the last counts",
    '{"type":"req","id":"a","id":9,"method":"health"}',
    "id: expected a non empty string, found number"
  ),
  unreadable("arrays 100,000 deep", deep("[", "]"), "nested deeper than 64 levels"),
  unreadable("objects 100,000 deep", deep('{"":', "}", "1"), "nested deeper than 64 levels"),
  unreadable("100,000 open brackets", "[".repeat(100_000), "nested deeper than 64 levels"),
  unreadable("64 open brackets", "[".repeat(64), "not JSON"),
  unreadable("100,000 values", `[${"{},".repeat(100_000)}{}]`, "more than 2000 values"),
  unreadable("100,000 commas and a quote", `${",".repeat(100_000)}"`, "more than 2000 values"),
  unknownMethod("no.such.method"),
  unknownMethod("Chat.send"),
  unknownMethod("__proto__"),
  unknownMethod("constructor"),
  unknownMethod("toString"),
  unknownMethod("hasOwnProperty"),
  unknownMethod("tick"),
  {
    ...unknownMethod("m".repeat(64)),
    name: "an endless method name",
    frame: JSON.stringify({ type: "req", id: "a", method: "m".repeat(100_000) })
  },
  {
    name: "connect again",
    frame: JSON.stringify({
      type: "req",
      id: "a",
      method: "connect",
      params: { minProtocol: 4, maxProtocol: 4 }
    }),
    id: "a",
    message: "connect is only valid as the first request",
    details: { code: "ALREADY_CONNECTED" }
  },
  {
    ...invalidParams(
      "absent",
      "chat.history",
      "",
      "sessionKey",
      "a session key, at most 512 characters",
      "nothing"
    ),
    frame: '{"type":"req","id":"a","method":"chat.history"}'
  },
  invalidParams(
    "null",
    "chat.history",
    "null",
    "sessionKey",
    "a session key, at most 512 characters",
    "nothing"
  ),
  invalidParams("an array", "chat.history", "[]", "", "an object", "array"),
  invalidParams("a string", "chat.send", '"hi"', "", "an object", "string"),
  invalidParams("a number", "chat.abort", "5", "", "an object", "number"),
  invalidParams(
    "a numeric session key",
    "chat.history",
    '{"sessionKey":5}',
    "sessionKey",
    "a session key, at most 512 characters",
    "number"
  ),
  invalidParams(
    "an empty session key",
    "chat.inject",
    '{"sessionKey":"","message":"x"}',
    "sessionKey",
    "a session key, at most 512 characters",
    "string"
  ),
  invalidParams(
    "the session key only under __proto__",
    "chat.history",
    '{"__proto__":{"sessionKey":"main"}}',
    "sessionKey",
    "a session key, at most 512 characters",
    "nothing"
  ),
  invalidParams(
    "no message",
    "chat.send",
    '{"sessionKey":"main","idempotencyKey":"k"}',
    "message",
    "a string",
    "nothing"
  ),
  invalidParams(
    "no idempotency key",
    "chat.send",
    '{"sessionKey":"main","message":"x"}',
    "idempotencyKey",
    "a non-empty string of at most 512 characters",
    "nothing"
  ),
  invalidParams(
    "an empty idempotency key",
    "chat.send",
    '{"sessionKey":"main","message":"x","idempotencyKey":""}',
    "idempotencyKey",
    "a non-empty string of at most 512 characters",
    "string"
  ),
  invalidParams(
    "a timeout below 0",
    "chat.send",
    '{"sessionKey":"main","message":"x","idempotencyKey":"k","timeoutMs":-1}',
    "timeoutMs",
    "an integer of at least 0 (milliseconds)",
    "number"
  ),
  invalidParams(
    "a huge timeout",
    "chat.send",
    '{"sessionKey":"main","message":"x","idempotencyKey":"k","timeoutMs":1e308}',
    "timeoutMs",
    "an integer of at least 0 (milliseconds)",
    "number"
  ),
  invalidParams(
    "attachments that are none",
    "chat.send",
    '{"sessionKey":"main","message":"x","idempotencyKey":"k","attachments":{}}',
    "attachments",
    "an array",
    "object"
  ),
  invalidParams(
    "an attachment without content",
    "chat.send",
    '{"sessionKey":"main","message":"x","idempotencyKey":"k","attachments":[{"content":"aaaa"},{}]}',
    "attachments[1].content",
    "base64 text or a data: URL",
    "nothing"
  ),
  invalidParams(
    "a limit of 0",
    "chat.history",
    '{"sessionKey":"main","limit":0}',
    "limit",
    "an integer between 1 and 1000",
    "number"
  ),
  invalidParams(
    "a limit of 1001",
    "chat.history",
    '{"sessionKey":"main","limit":1001}',
    "limit",
    "an integer between 1 and 1000",
    "number"
  ),
  invalidParams(
    "half a limit",
    "chat.history",
    '{"sessionKey":"main","limit":0.5}',
    "limit",
    "an integer between 1 and 1000",
    "number"
  ),
  invalidParams(
    "a limit too large for a double",
    "chat.history",
    '{"sessionKey":"main","limit":1e400}',
    "limit",
    "an integer between 1 and 1000",
    "number"
  ),
  invalidParams(
    "an empty run id",
    "chat.abort",
    '{"sessionKey":"main","runId":""}',
    "runId",
    "a non empty string",
    "string"
  ),
  invalidParams(
    "an empty message",
    "chat.inject",
    '{"sessionKey":"main","message":""}',
    "message",
    "a non empty string",
    "string"
  ),
  invalidParams(
    "a long label",
    "chat.inject",
    `{"sessionKey":"main","message":"x","label":"${"l".repeat(101)}"}`,
    "label",
    "a string of at most 100 characters",
    "string"
  )
]

/** The next valid request works, and was not answered by chance: it has an id of its own. */
const goesOn = (client: TestClient) =>
  Effect.gen(function* () {
    expect(yield* client.request("health")).toMatchObject({ ok: true, payload: { ok: true } })
  })

describe.each(Harness.ways)("frames, %s", (_name, layer) => {
  const run = shared(layer())

  it.for(cases)("$name", ({ details, frame, id, message }) =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        const before = (yield* client.frames).length
        yield* client.raw(frame)
        yield* goesOn(client)
        const [answer, ...more] = (yield* client.frames).slice(before)
        expect(answer).toEqual({
          type: "res",
          id,
          ok: false,
          error: { code: "INVALID_REQUEST", message, details }
        })
        // That, and the answer of the request that followed.
        expect(more).toHaveLength(1)
      })
    )
  )

  it("what is odd and yet a request is taken", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        const taken = (id: string, frame: string) =>
          Effect.gen(function* () {
            yield* client.raw(frame)
            expect(yield* client.response(id)).toMatchObject({ id, ok: true })
          })
        yield* taken("a", ' \n\t{"method":"health","id":"a","type":"req"}\r\n')
        yield* taken("b", '{"type":"nope","type":"req","id":"x","id":"b","method":"health"}')
        yield* taken("c", '{"type":"req","id":"c","method":"health","extra":1,"traceparent":"00-1"}')
        yield* taken(
          "d",
          `{"type":"req","id":"d","method":"health","params":{"x":${deep("[", "]", "", 62)}}}`
        )
        yield* taken(
          "e",
          `{"type":"req","id":"e","method":"chat.history","params":{"sessionKey":"main","x":${deep('{"":', "}", "1", 62)}}}`
        )
        yield* taken(
          "f",
          '{"type":"req","id":"f","method":"chat.history","params":{"__proto__":{"limit":0},"constructor":{"prototype":{"limit":0}},"sessionKey":"main"}}'
        )
        yield* taken(
          "g",
          '{"type":"req","id":"g","method":"chat.history","params":{"sessionKey":"main","limit":1e2,"huge":1e400,"tiny":-1e-400}}'
        )
        yield* taken(
          "h",
          '{"type":"req","id":"h","method":"chat.abort","params":{"sessionKey":"__proto__","runId":"__proto__"}}'
        )
        yield* taken("\ud800", '{"type":"req","id":"\\ud800","method":"health"}')
        yield* taken(
          "\u0000\u2028'\"",
          JSON.stringify({ type: "req", id: "\u0000\u2028'\"", method: "health" })
        )
        yield* taken(
          "i".repeat(100_000),
          JSON.stringify({ type: "req", id: "i".repeat(100_000), method: "health" })
        )
        expect(({} as { readonly limit?: unknown }).limit).toBeUndefined()
      })
    ))

  it("what is too deep, or of too many values, is answered by its id wherever that stands", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        const refused = (id: string, frame: string, reason: string) =>
          Effect.gen(function* () {
            yield* client.raw(frame)
            expect(yield* client.response(id)).toMatchObject({
              ok: false,
              error: { message: `invalid request frame: ${reason}`, details: { code: "INVALID_FRAME" } }
            })
          })
        const tooDeep = "nested deeper than 64 levels"
        yield* refused(
          "d",
          `{"type":"req","id":"d","method":"health","params":{"x":${deep("[", "]", "", 63)}}}`,
          tooDeep
        )
        yield* refused(
          "e",
          `{"params":{"id":"x","x":${deep('{"id":', "}", '"y"', 10_000)}},"id" : "e","method":"health"}`,
          tooDeep
        )
        yield* refused(
          'f"\\',
          `{"id":"x","s":"\\"id\\":\\"z\\"","params":[${"{},".repeat(20_000)}0],"id":"f\\"\\\\"}`,
          "more than 2000 values"
        )
      })
    ))

  it("one id for two requests: two answers", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        yield* client.raw('{"type":"req","id":"a","method":"health"}')
        yield* client.raw('{"type":"req","id":"a","method":"nope"}')
        yield* goesOn(client)
        const answers = (yield* client.frames).filter((frame) => frame.type === "res" && frame.id === "a")
        expect(answers.map((frame) => frame.type === "res" && frame.ok).toSorted()).toEqual([false, true])
      })
    ))

  it("a frame of exactly 512 KiB is taken, one byte more closes with 1009", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        const largest = padded("a", maxPayload)
        expect(Buffer.byteLength(largest)).toBe(maxPayload)
        yield* client.raw(largest)
        expect(yield* client.response("a")).toMatchObject({ ok: true })
        // Bytes count, not characters: this one has fewer characters than are allowed bytes.
        const over = padded("b", maxPayload + 1, "€")
        expect(over.length).toBeLessThan(maxPayload)
        expect(Buffer.byteLength(over)).toBe(maxPayload + 1)
        yield* client.raw(over)
        expect((yield* client.closed).code).toBe(1009)
        const ids = (yield* client.frames).map((frame) => (frame.type === "res" ? frame.id : ""))
        expect(ids).not.toContain("b")
      })
    ))

  it("hundreds of frames in one go are all answered, in order", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        const before = (yield* client.frames).length
        for (let n = 0; n < 300; n++) yield* client.raw(`{"type":"req","id":"n${n}","method":"nope"}`)
        yield* client.response("n299")
        const answers = (yield* client.frames).slice(before).map((frame) => frame.type === "res" && frame.id)
        expect(answers).toEqual(Array.from({ length: 300 }, (_, n) => `n${n}`))
      })
    ))

  it("nothing of a hostile session key, idempotency key or run id reaches a prototype", () =>
    run(
      Effect.gen(function* () {
        const client = yield* Effect.flatMap(Harness.Door, (door) => door.open)
        yield* client.connect()
        for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
          expect(
            yield* client.request("chat.inject", { sessionKey: key, message: `in ${key}` })
          ).toMatchObject({ ok: true })
          const history = yield* client.request("chat.history", { sessionKey: key })
          expect(history.payload).toMatchObject({
            sessionKey: key,
            messages: [{ role: "assistant", content: [{ type: "text", text: `in ${key}` }] }]
          })
          expect(
            yield* client.request("chat.send", { sessionKey: key, message: "/stop", idempotencyKey: key })
          ).toMatchObject({ ok: true, payload: { ok: true, aborted: false, runIds: [] } })
        }
        yield* goesOn(client)
      })
    ))
})
