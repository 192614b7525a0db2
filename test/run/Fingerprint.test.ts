import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import type { ImageContent } from "../../src/domain/Message.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as Fingerprint from "../../src/run/Fingerprint.js"
import type { SendRequest } from "../../src/run/RunRegistry.js"

const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }

const request = (
  session: string,
  message: string,
  images: ReadonlyArray<ImageContent> = [],
  more: Partial<SendRequest> = {}
): SendRequest => ({
  runId: RunId("r"),
  sessionKey: Either.getOrThrow(SessionKey.parse(session, defaults)),
  requestedKey: session,
  agentId: SessionKey.defaultAgentId,
  principal: "owner",
  message,
  images,
  ...more
})

const image = (data: string, mimeType = "image/png"): ImageContent => ({ type: "image", mimeType, data })

describe("Fingerprint", () => {
  it("is the same for the same session and content, however it is to be carried out", () => {
    const print = Fingerprint.make(request("main", "hi", [image("AAAA")]))
    expect(Fingerprint.make(request("MAIN", "hi", [image("AAAA")]))).toBe(print)
    expect(Fingerprint.make(request("main", "hi", [image("AAAA")], { timeoutMs: 1, thinking: "high" }))).toBe(
      print
    )
  })

  it.each([
    request("other", "hi", [image("AAAA")]),
    request("main", "hi ", [image("AAAA")]),
    request("main", "hi", []),
    request("main", "hi", [image("AAAA"), image("AAAA")]),
    request("main", "hi", [image("AAAB")]),
    request("main", "hi", [image("AAAA", "image/jpeg")])
  ])("differs when session or content differ", (other) => {
    expect(Fingerprint.make(other)).not.toBe(Fingerprint.make(request("main", "hi", [image("AAAA")])))
  })

  const part = FastCheck.constantFrom("", "a", "b", ":", "1:", "1:a", "ab", "image/png")
  const content = FastCheck.record({ message: part, images: FastCheck.array(part, { maxLength: 3 }) })
  it.prop("parts can't be shifted into one another", [content, content], ([one, two]) => {
    const print = ({ images, message }: typeof one) =>
      Fingerprint.make(
        request(
          "main",
          message,
          images.map((data) => image(data))
        )
      )
    const same = JSON.stringify([one.message, one.images]) === JSON.stringify([two.message, two.images])
    expect(print(one) === print(two)).toBe(same)
  })
})
