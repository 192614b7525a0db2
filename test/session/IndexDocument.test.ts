import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as IndexDocument from "../../src/session/IndexDocument.js"
import * as JsonFields from "../../src/session/JsonFields.js"
import { sessionKeyDefaults } from "../contract/StoreProbe.js"

const textOf = (chunks: ReadonlyArray<Uint8Array>) => Buffer.concat(chunks).toString("utf8")
const parse = (text: string) => Either.getOrThrow(IndexDocument.parse(Buffer.from(text), sessionKeyDefaults))
const fieldsOf = (text: string) => new Map(JsonFields.split(text).map(({ name, text }) => [name, text]))

describe("IndexDocument", () => {
  it("writes what it read and what was changed, in order, over many segments", () => {
    const name = fc.oneof(
      fc.nat(900).map((n) => `agent:main:${n}`),
      fc.constantFrom("__proto__", "7", "main")
    )
    const changes = fc.array(fc.tuple(name, fc.nat()), { maxLength: 40 })
    fc.assert(
      fc.property(fc.nat(900), fc.array(changes, { maxLength: 8 }), (size, rounds) => {
        const model = new Map(Array.from({ length: size }, (_, at) => [`agent:main:${at}`, `{"n":${at}}`]))
        const document = parse(JsonFields.join(Array.from(model, ([name, text]) => ({ name, text }))))
        for (const round of rounds) {
          const texts = new Map(round.map(([name, n]) => [name, `{"updated":${n}}`]))
          const before = textOf(document.chunks())
          const prepared = document.prepare(texts)
          expect(textOf(document.chunks())).toBe(before)
          prepared.commit()
          for (const [name, text] of texts) model.set(name, text)
          const written = textOf(document.chunks())
          expect(textOf(prepared.chunks)).toBe(written)
          expect(Array.from(fieldsOf(written))).toEqual(Array.from(model))
          expect(() => JSON.parse(written)).not.toThrow()
        }
      }),
      { numRuns: 60 }
    )
  })

  it("can be taken back: what was prepared and not committed leaves no trace", () => {
    const document = parse(`{"a":1}`)
    document.prepare(
      new Map([
        ["a", "2"],
        ["b", "3"]
      ])
    )
    const prepared = document.prepare(new Map([["c", "4"]]))
    prepared.commit()
    expect(JSON.parse(textOf(document.chunks()))).toEqual({ a: 1, c: 4 })
    expect(document.text("b")).toBe(undefined)
  })

  it("encodes only the segments that change", () => {
    const text = JsonFields.join(Array.from({ length: 2000 }, (_, at) => ({ name: `k${at}`, text: "{}" })))
    const document = parse(text)
    const before = document.chunks()
    const { chunks, commit } = document.prepare(new Map([["k700", `{"x":1}`]]))
    commit()
    expect(chunks.filter((chunk) => !before.includes(chunk))).toHaveLength(1)
    expect(document.chunks()).toEqual(chunks)
  })

  it("reads a byte order mark away and refuses what is not UTF-8, JSON or an object", () => {
    expect(textOf(parse("\uFEFF{}").chunks())).toBe("{}\n")
    const refused = (bytes: Uint8Array) => Either.flip(IndexDocument.parse(bytes, sessionKeyDefaults))
    expect(refused(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toEqual(Either.right("is not UTF-8"))
    expect(refused(Buffer.from('{"a":1'))).toEqual(Either.right("is not JSON"))
    expect(refused(Buffer.from("null"))).toEqual(Either.right("is not a JSON object"))
  })
})
