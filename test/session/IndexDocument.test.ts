import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as SessionKey from "../../src/domain/SessionKey.js"
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
    const change = fc.tuple(name, fc.option(fc.nat(), { nil: undefined }))
    const changes = fc.oneof(
      fc.array(change, { maxLength: 40 }),
      // A whole segment goes, also the first one.
      fc
        .nat(600)
        .map((from) =>
          Array.from({ length: 300 }, (_, at): [string, undefined] => [`agent:main:${from + at}`, undefined])
        )
    )
    fc.assert(
      fc.property(fc.nat(900), fc.array(changes, { maxLength: 8 }), (size, rounds) => {
        const model = new Map(Array.from({ length: size }, (_, at) => [`agent:main:${at}`, `{"n":${at}}`]))
        const document = parse(JsonFields.join(Array.from(model, ([name, text]) => ({ name, text }))))
        for (const round of rounds) {
          const texts = new Map(
            round.map(([name, n]) => [name, n === undefined ? undefined : `{"updated":${n}}`])
          )
          const before = textOf(document.chunks())
          const prepared = document.prepare(texts)
          expect(textOf(document.chunks())).toBe(before)
          prepared.commit()
          for (const [name, text] of texts) {
            if (text === undefined) model.delete(name)
            else model.set(name, text)
            expect(document.text(name)).toBe(text)
          }
          const written = textOf(document.chunks())
          expect(textOf(prepared.chunks)).toBe(written)
          expect(Array.from(fieldsOf(written))).toEqual(Array.from(model))
          expect(() => JSON.parse(written)).not.toThrow()
        }
      }),
      { numRuns: 60 }
    )
  })

  it("when a name goes, another spelling of it counts", () => {
    const document = parse(`{"agent:main:main":{"updatedAt":1},"main":{"updatedAt":2}}`)
    const key = Either.getOrThrow(SessionKey.parse("main", sessionKeyDefaults))
    expect([
      document.spelling(key),
      document.spelling(Either.getOrThrow(SessionKey.parse("x", sessionKeyDefaults)))
    ]).toEqual([key, undefined])
    document.prepare(new Map([[key, undefined]])).commit()
    expect(document.spelling(key)).toBe("main")
    document.prepare(new Map([["main", undefined]])).commit()
    expect(document.spelling(key)).toBe(undefined)
    expect(textOf(document.chunks())).toBe("{}\n")
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
