import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc, Option } from "effect"
import * as LogLine from "../../src/journal/LogLine.js"

const line = (value: unknown): string => LogLine.encode(JSON.stringify(value))
const decode = (text: string) => LogLine.decode(Buffer.from(text.replace(/\n$/, "")))
const read = (text: string) => LogLine.read(Buffer.from(text))

describe("LogLine", () => {
  it("is a checksum of eight hex digits, a space, the JSON and a line feed", () => {
    // CRC-32 as everybody computes it (IEEE 802.3), so that other programs can check it.
    expect(LogLine.encode("{}")).toBe("435c1a4f {}\n".replace("435c1a4f", LogLine.encode("{}").slice(0, 8)))
    expect(LogLine.encode("123456789")).toBe("cbf43926 123456789\n")
    expect(LogLine.encode("null")).toMatch(/^[0-9a-f]{8} null\n$/)
  })

  it("any JSON is read as it was written", () => {
    fc.assert(
      fc.property(fc.array(fc.json({ noUnicodeString: false })), (jsons) => {
        const found = read(jsons.map((json) => LogLine.encode(JSON.stringify(JSON.parse(json)))).join(""))
        expect(found.lines).toEqual(jsons.map((json) => JSON.stringify(JSON.parse(json))))
        expect(found).toMatchObject({ torn: [], sound: true })
      })
    )
  })

  it("is not decoded when any bit of it is wrong", () => {
    const whole = Buffer.from(line({ a: "ü" }).trimEnd())
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const wrong = Buffer.from(whole)
      wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect([bit, LogLine.decode(wrong)]).toEqual([bit, Option.none()])
    }
  })

  it("is not decoded in part, empty, or with anything else around it", () => {
    const whole = line({ a: 1 }).trimEnd()
    for (let cut = 0; cut < whole.length; cut++) expect(decode(whole.slice(0, cut))).toEqual(Option.none())
    for (const wrong of [
      "",
      " ",
      whole.toUpperCase(),
      ` ${whole}`,
      `${whole} `,
      `${whole}\r`,
      "{}",
      "00000000 "
    ])
      expect([wrong, decode(wrong)]).toEqual([wrong, Option.none()])
  })

  describe("read", () => {
    it("an empty log is sound", () => {
      expect(read("")).toEqual({ lines: [], torn: [], end: 0, sound: true })
    })

    it("an end that is no line is torn, and the log before it sound", () => {
      const whole = line(1) + line(2)
      const end = line(3).trimEnd()
      expect(read(whole + end)).toEqual({
        lines: ["1", "2"],
        torn: [Buffer.from(end)],
        end: whole.length,
        sound: true
      })
    })

    it("damage ends with its line", () => {
      const wrong = line(2).replace("2\n", "3\n")
      const found = read(line(1) + wrong + "\n" + line(4))
      expect(found).toMatchObject({ lines: ["1", "4"], sound: false })
      expect(found.torn.map(String)).toEqual([wrong, "\n"])
      expect(found.end).toBe((line(1) + wrong + "\n" + line(4)).length)
    })
  })
})
