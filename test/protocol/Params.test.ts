import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as Method from "../../src/protocol/Method.js"
import * as Params from "../../src/protocol/Params.js"

const send = Params.decoder("chat.send", Method.methods["chat.send"].params)
const connect = Params.decoder("connect", Method.connect.params)
const good = { sessionKey: "main", message: "hi", idempotencyKey: "k" }
const client = { id: "test", version: "1", platform: "linux", mode: "test" }

/** What is said about parameters that don't decode. */
const complaint = (decoded: Either.Either<unknown, unknown>) => Either.getOrNull(Either.flip(decoded))

describe("Params", () => {
  it("unknown fields are ignored, known ones kept", () => {
    expect(Either.getOrNull(send({ ...good, queueMode: "x", timeoutMs: 0 }))).toEqual({
      ...good,
      timeoutMs: 0
    })
  })

  it.each([
    [{ ...good, message: undefined }, "message", "string", "nothing"],
    [{ sessionKey: "main", message: "hi" }, "idempotencyKey", "at most 512 characters", "nothing"],
    [{ ...good, sessionKey: 7 }, "sessionKey", "a session key", "number"],
    [{ ...good, sessionKey: "" }, "sessionKey", "at most 512 characters", "string"],
    [{ ...good, idempotencyKey: "k".repeat(513) }, "idempotencyKey", "at most 512 characters", "string"],
    [{ ...good, timeoutMs: -1 }, "timeoutMs", "at least 0", "number"],
    [{ ...good, timeoutMs: "1" }, "timeoutMs", "", "string"],
    [{ ...good, deliver: null }, "deliver", "boolean", "null"],
    [{ ...good, attachments: {} }, "attachments", "array", "object"],
    [{ ...good, attachments: [{ content: "AAAA" }, {}] }, "attachments[1].content", "base64", "nothing"],
    [{ ...good, attachments: [{ content: ["x"] }] }, "attachments[0].content", "", "array"],
    [null, "", "an object", "null"],
    ["text", "", "an object", "string"],
    [[], "", "", "array"]
  ])("%j: path %j", (params, path, expected, found) => {
    const refused = complaint(send(params))
    expect(refused).toMatchObject({
      method: "chat.send",
      path,
      expected: expect.stringContaining(expected),
      found
    })
  })

  it("of connect too, with the path into its parts", () => {
    expect(
      complaint(connect({ minProtocol: 3, maxProtocol: 4, client: { ...client, id: "" } }))
    ).toMatchObject({
      path: "client.id"
    })
    expect(complaint(connect({ minProtocol: 0, maxProtocol: 4, client }))).toMatchObject({
      path: "minProtocol"
    })
    expect(complaint(connect({ minProtocol: 3, maxProtocol: 4, client, role: "king" }))).toMatchObject({
      path: "role"
    })
    expect(complaint(connect({ minProtocol: 3, maxProtocol: 4, client, caps: ["a", 1] }))).toMatchObject({
      path: "caps[1]"
    })
    expect(
      Either.isRight(connect({ minProtocol: 3, maxProtocol: 4, client: { ...client, x: 1 }, y: 2 }))
    ).toBe(true)
  })

  const secret = "s3cret-content"
  const anything = FastCheck.oneof(
    FastCheck.constant<unknown>(secret),
    FastCheck.constant<unknown>([secret]),
    FastCheck.constant<unknown>({ [secret]: secret }),
    FastCheck.constant<unknown>(""),
    FastCheck.constant<unknown>(-1),
    FastCheck.constant<unknown>(null)
  )
  it.prop(
    "what was sent is never said back",
    [
      FastCheck.record(
        {
          sessionKey: anything,
          message: anything,
          idempotencyKey: anything,
          timeoutMs: anything,
          deliver: anything,
          attachments: FastCheck.oneof(
            anything,
            FastCheck.array(FastCheck.record({ content: anything, fileName: anything }))
          )
        },
        { requiredKeys: [] }
      )
    ],
    ([params]) => {
      const refused = complaint(send(params))
      expect(JSON.stringify(refused)).not.toContain(secret)
    }
  )
})
