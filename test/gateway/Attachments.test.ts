import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as Attachments from "../../src/gateway/Attachments.js"
import * as Pictures from "../support/Pictures.js"

const limits = { maxAttachments: 3, maxAttachmentBytes: 100 }
const { data } = Pictures.png

/** Why an attachment is refused; undefined: it is taken. */
const reason = (content: string): string | undefined =>
  Either.match(Attachments.decode([{ content }], limits), {
    onLeft: ({ name, reason }) => {
      expect(name).toBe("attachments[0]")
      return reason
    },
    onRight: () => undefined
  })

const invalid = "invalid base64 content"

describe("attachments", () => {
  it("so many are taken, and what is one too many is named", () => {
    const three = Array.from({ length: 3 }, () => ({ content: data }))
    expect(Either.getOrThrow(Attachments.decode(three, limits))).toHaveLength(3)
    expect(Attachments.decode([...three, { content: data, fileName: "x.png" }], limits)).toMatchObject({
      left: { name: "attachments[3]", reason: "4 attachments, at most 3 are taken" }
    })
  })

  it("the first one that can't be taken is named, by its file, too", () => {
    const fileName = "f".repeat(300)
    expect(Attachments.decode([{ content: data }, { content: "!", fileName }], limits)).toMatchObject({
      left: { name: `attachments[1] (${"f".repeat(64)})`, reason: invalid }
    })
  })

  it("as large as it may be, decoded, and not a byte larger", () => {
    const sized = (bytes: number): string =>
      Pictures.of("image/png", Buffer.alloc(bytes - Pictures.png.size)).data
    for (const bytes of [97, 98, 99, 100]) expect([bytes, reason(sized(bytes))]).toEqual([bytes, undefined])
    for (const bytes of [101, 102, 103]) {
      expect(reason(sized(bytes))).toBe(`${bytes} bytes, at most 100 are taken`)
    }
  })

  it("base64 and data: URLs of base64 are taken, with white space around them", () => {
    for (const content of [
      data,
      ` ${data}\n`,
      `data:image/png;base64,${data}`,
      `data:;base64,${data}`,
      `\tdata:text/x;a=b;base64,${data} `
    ]) {
      expect([content, reason(content)]).toEqual([content, undefined])
    }
  })

  it("data: URLs without base64 are not", () => {
    for (const content of [
      "data:",
      "data:,x",
      `data:image/png,${data}`,
      `data:image/png;base64x,${data}`,
      "data:;base64"
    ]) {
      expect([content, reason(content)]).toEqual([content, "expected a data: URL with base64 content"])
    }
    expect(reason("data:image/png;base64,")).toBe("expected base64 content, found nothing")
    expect(reason("   ")).toBe("expected base64 content, found nothing")
  })

  // U+0141: its low byte is that of A, and Node's decoder looks at no more.
  it.for(["-", "_", " ", "\n", "%", ",", "\u0000", "é", "\u0141", "\ud83d\ude00", "\ud800"])(
    "nothing else is in the text: %j",
    (foreign) => {
      for (const at of [0, 1, 20, data.length - 1]) {
        const content = data.slice(0, at) + foreign + data.slice(at + foreign.length)
        if (content.trim() === content) expect([at, reason(content)]).toEqual([at, invalid])
        // The length is right again with three more.
        const longer = `${data.slice(0, at)}${foreign}AAA${data.slice(at)}`
        if (longer.trim() === longer) expect([at, reason(longer)]).toEqual([at, invalid])
      }
    }
  )

  it("padding is where it belongs", () => {
    for (const content of [
      "=",
      "==",
      "====",
      "A===",
      "AA=A",
      "A=AA",
      `${data}=`,
      `${data}====`,
      `${data.slice(0, 4)}AA==${data.slice(4)}`
    ]) {
      expect([content, reason(content)]).toEqual([content, invalid])
    }
  })

  it("whatever is taken is the base64 of its bytes, but for bits behind the last one", () => {
    const alphabet = fc.constantFrom("A", "b", "9", "+", "/", "=", "-", "_", " ", "\n", "é", "\u0141")
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 12 }), (tail) => {
        const content = data + tail
        const decoded = Attachments.decode([{ content }], limits)
        if (Either.isLeft(decoded)) return
        const again = Buffer.from(content.trim(), "base64").toString("base64")
        expect(content.trim().slice(0, -3)).toBe(again.slice(0, -3))
        expect(content.trim()).toMatch(/^[A-Za-z0-9+/]+={0,2}$/)
      }),
      { numRuns: 2000 }
    )
  })

  it("images alone, whatever they say they are", () => {
    for (const text of [
      "<svg xmlns='http://www.w3.org/2000/svg'/>",
      "%PDF-1.7 ",
      "GIF8",
      "MZ\u0000\u0000",
      "plain"
    ]) {
      const content = `data:image/png;base64,${Buffer.from(text).toString("base64")}`
      expect([text, reason(content)]).toEqual([text, "only PNG, JPEG, GIF and WebP images are taken"])
    }
  })
})
