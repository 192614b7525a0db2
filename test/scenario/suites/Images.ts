/** Attachments: which are taken, where they are kept, and who gets them. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedAgent } from "../../../src/testing/ScriptedAgent.js"
import type { TestClient } from "../../../src/testing/TestClient.js"
import { content, gif, jpeg, type Picture, png, reference, webp } from "../../support/Pictures.js"
import { abort, detailOf, history, page, send } from "../Ask.js"
import { Harness, type Suite } from "../Harness.js"

const attach = (...pictures: ReadonlyArray<Picture>) => ({
  attachments: pictures.map(({ data }) => ({ content: data }))
})

const ask = (client: TestClient, { sha256 }: Picture, sessionKey = "main") =>
  client.request("chat.image", { sessionKey, sha256 })

const payload = ({ data, mimeType, size }: Picture) => ({ mimeType, data, size })

export const imageSuite: Suite = (scenario) => {
  scenario(
    "PNG and JPEG reach the agent, and the transcript by reference, by their bytes, not by what they claim",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const client = yield* harness.connect()
        const sent = yield* send(client, "r1", "look", {
          attachments: [
            { type: "image", mimeType: "text/plain", fileName: "a.txt", content: png.data },
            { content: `data:image/png;base64,${jpeg.data}` }
          ]
        })
        expect(sent.payload).toEqual({ runId: "r1", status: "started" })
        const run = yield* agent.next
        expect(run.request.images).toEqual([{ ...content(png), fileName: "a.txt" }, content(jpeg)])
        expect(run.request.message).toBe("look")
        const { messages } = yield* page(client)
        expect(messages[0]).toMatchObject({ role: "user" })
        expect(messages[0]?.["content"]).toEqual([
          { type: "text", text: "look" },
          { ...reference(png), fileName: "a.txt" },
          reference(jpeg)
        ])
      })
  )

  scenario("an image needs no text", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      expect((yield* send(client, "r1", "", { attachments: [{ content: png.data }] })).ok).toBe(true)
      const run = yield* agent.next
      expect(run.request.message).toBe("")
      expect(run.request.images).toHaveLength(1)
      expect((yield* page(client)).messages).toMatchObject([{ content: [{ type: "image" }] }])
    })
  )

  scenario(
    "what is no base64, no image or too big is refused by its place and name",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const client = yield* harness.connect()
        const big = Buffer.alloc(5_000_001)
        png.bytes.copy(big)
        const refusals: ReadonlyArray<readonly [attachment: object, reason: string]> = [
          [{ content: "not base64!" }, "invalid base64"],
          [{ content: "abc" }, "invalid base64"],
          [{ content: "" }, "found nothing"],
          [{ content: "data:image/png,plain" }, "data: URL with base64"],
          [{ content: "data:image/png;base64,%%%%" }, "invalid base64"],
          [{ content: Buffer.from("just text").toString("base64"), mimeType: "image/png" }, "only PNG, JPEG"],
          [
            { content: Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>").toString("base64") },
            "only PNG"
          ],
          [{ content: big.toString("base64") }, "5000001 bytes"]
        ]
        for (const [attachment, reason] of refusals) {
          const refused = yield* send(client, "r1", "look", {
            attachments: [{ content: png.data }, { fileName: "cat.png", ...attachment }]
          })
          expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
          expect(refused.error?.message).toContain("attachments[1] (cat.png)")
          expect(refused.error?.message).toContain(reason)
        }
        expect(yield* agent.runs).toHaveLength(0)
        const fits = big.subarray(0, 5_000_000).toString("base64")
        expect((yield* send(client, "r1", "look", { attachments: [{ content: fits }] })).ok).toBe(true)
        const run = yield* agent.next
        expect(run.request.images[0]?.data.length).toBe(fits.length)
      }),
    { maxPayload: 16 * 1024 * 1024, maxBufferedBytes: 16 * 1024 * 1024 }
  )

  scenario("one that was sent is had back by its hash, whole", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const client = yield* harness.connect()
      const all = [png, jpeg, gif, webp]
      yield* send(client, "r1", "look", attach(...all))
      const { messages } = yield* page(client)
      expect(messages[0]?.["content"]).toEqual([{ type: "text", text: "look" }, ...all.map(reference)])
      for (const picture of all) expect((yield* ask(client, picture)).payload).toEqual(payload(picture))
      // In files of their own, and nowhere else.
      expect(
        new Map(Array.from(yield* harness.images, ([name, bytes]) => [name, Buffer.from(bytes)]))
      ).toEqual(new Map(all.map(({ bytes, name }) => [name, bytes])))
      const named = { attachments: [{ content: png.data, fileName: "dot.png" }] }
      yield* send(client, "r2", "again", named)
      expect((yield* ask(client, png)).payload).toEqual({ ...payload(png), fileName: "dot.png" })
      expect((yield* harness.images).size).toBe(4)
    })
  )

  scenario("another session's image is not there", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const client = yield* harness.connect()
      yield* send(client, "r1", "look", { ...attach(png), sessionKey: "mine" })
      yield* send(client, "r2", "look", { ...attach(jpeg), sessionKey: "yours" })
      // What somebody says is no reference.
      yield* send(client, "r3", JSON.stringify(reference(png)), { sessionKey: "yours" })
      expect((yield* ask(client, png, "mine")).ok).toBe(true)
      const unknown = [
        yield* ask(client, png, "yours"),
        yield* ask(client, jpeg, "mine"),
        yield* ask(client, png, "nobody"),
        yield* ask(client, gif, "mine")
      ]
      for (const response of unknown) {
        expect(response).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
        expect(detailOf(response, "code")).toBe("UNKNOWN_IMAGE")
      }
      for (const sha256 of ["", "../../etc/passwd", png.sha256.toUpperCase(), `${png.sha256}0`, 7]) {
        const refused = yield* client.request("chat.image", { sessionKey: "mine", sha256 })
        expect(detailOf(refused, "code")).toBe("INVALID_PARAMS")
      }
    })
  )

  scenario("what other programs have in a transcript: bytes stay as they are, a bad reference is none", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const client = yield* harness.connect()
      const old = { role: "user", content: [content(png)], timestamp: 1 }
      const bad = [
        { ...reference(png), sha256: "../sessions" },
        { ...reference(png), mimeType: "text/html" },
        { ...reference(png), size: 1e12 }
      ]
      yield* harness.setIndex({ main: { sessionId: "s1", updatedAt: 1 } })
      yield* harness.setTranscript("s1.jsonl", [
        { type: "message", id: "m1", message: old },
        { type: "message", id: "m2", message: { role: "user", content: bad, timestamp: 2 } }
      ])
      expect((yield* page(client)).messages).toEqual([
        { id: "m1", ...old },
        { id: "m2", role: "user", content: bad, timestamp: 2 }
      ])
      expect(detailOf(yield* ask(client, png), "code")).toBe("UNKNOWN_IMAGE")
    })
  )

  scenario(
    "an image that can't be written is not accepted: the key is free, and nothing of it is there",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const client = yield* harness.connect()
        yield* harness.failWrites("image", 1)
        expect(yield* send(client, "r1", "look", attach(png))).toMatchObject({
          ok: false,
          error: {
            code: "UNAVAILABLE",
            retryable: true,
            details: { code: "STORE_UNAVAILABLE", reason: "ENOSPC" }
          }
        })
        expect(yield* history(client)).toEqual([])
        expect((yield* harness.images).size).toBe(0)
        expect(yield* agent.runs).toHaveLength(0)
        expect((yield* send(client, "r1", "look", attach(png))).payload).toEqual({
          runId: "r1",
          status: "started"
        })
        expect((yield* agent.next).request.images).toEqual([content(png)])
      })
  )

  scenario("one whose record can't be written is not accepted either; its file harms nobody", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* harness.failWrites("journal", 1)
      expect((yield* send(client, "r1", "look", attach(png))).ok).toBe(false)
      expect(yield* history(client)).toEqual([])
      expect(detailOf(yield* ask(client, png), "code")).toBe("UNKNOWN_IMAGE")
      expect((yield* harness.images).size).toBe(1)
      expect((yield* send(client, "r1", "look", attach(png))).ok).toBe(true)
      expect((yield* agent.next).request.images).toEqual([content(png)])
    })
  )

  scenario(
    "a run that waits for its turn reads its image when that comes; one that is gone is an error",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const agent = yield* ScriptedAgent
        const client = yield* harness.connect()
        yield* send(client, "r1", "first")
        const first = yield* agent.next
        yield* send(client, "r2", "gone", { attachments: [{ content: png.data, fileName: "dot.png" }] })
        yield* send(client, "r3", "damaged", attach(jpeg))
        yield* send(client, "r4", "too long", attach(gif))
        yield* send(client, "r5", "there", attach(webp))
        yield* harness.setImage(png.name, undefined)
        yield* harness.setImage(jpeg.name, Buffer.alloc(jpeg.size))
        yield* harness.setImage(gif.name, Buffer.concat([gif.bytes, Buffer.of(0)]))
        yield* first.answer("done")
        const ends = {
          r2: '"dot.png" could not be read: its file is missing',
          r3: "is damaged",
          r4: "is damaged"
        }
        for (const [runId, reason] of Object.entries(ends)) {
          expect(yield* client.terminal(runId)).toMatchObject({
            state: "error",
            errorMessage: expect.stringContaining(reason)
          })
          expect(yield* send(client, runId, "again")).toMatchObject({ ok: false })
        }
        const last = yield* agent.next
        expect(last.request).toMatchObject({ runId: "r5", images: [content(webp)] })
        yield* last.answer("I see")
        expect(yield* agent.runs).toHaveLength(2)
        const refused = yield* ask(client, jpeg)
        expect(refused).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } })
        expect(detailOf(refused, "code")).toBe("IMAGE_UNAVAILABLE")
        expect(detailOf(refused, "reason")).toBe("damaged")
      })
  )

  scenario("an aborted run that waits never reads its image", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* send(client, "r1", "first")
      const first = yield* agent.next
      yield* send(client, "r2", "look", attach(png))
      yield* harness.setImage(png.name, undefined)
      yield* abort(client, "r2")
      expect(yield* client.terminal("r2")).toMatchObject({ state: "aborted" })
      yield* first.answer("done")
      expect(yield* client.terminal("r1")).toMatchObject({ state: "final" })
    })
  )

  scenario("the same key with the same image is the same send, and with another one is not", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const agent = yield* ScriptedAgent
      const client = yield* harness.connect()
      yield* send(client, "r1", "look", attach(png))
      expect((yield* send(client, "r1", "look", attach(png))).payload).toMatchObject({ status: "in_flight" })
      expect(detailOf(yield* send(client, "r1", "look", attach(jpeg)), "code")).toBe("IDEMPOTENCY_MISMATCH")
      yield* (yield* agent.next).answer("ok")
      yield* client.terminal("r1")
      expect((yield* send(client, "r1", "look", attach(png))).payload).toMatchObject({ status: "ok" })
      expect(detailOf(yield* send(client, "r1", "look"), "code")).toBe("IDEMPOTENCY_MISMATCH")
    })
  )

  scenario("a send without an image stays behind the one with an image that came before it", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const client = yield* harness.connect()
      yield* Effect.all([send(client, "r1", "one", attach(png, jpeg)), send(client, "r2", "two")], {
        concurrency: "unbounded"
      })
      expect((yield* history(client)).map(({ content }) => content[0]?.text)).toEqual(["one", "two"])
    })
  )
}
