/**
 * Two principals who may not see each other's sessions, whatever both do: no frame of one has a text of the other's, and what
 * one is told does not depend on whether the other is there. `COLLOQUY_TEST_ACCESS=1000` tries so many programs.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as World from "../access/World.js"
import { type Name, type Operation, otherOf, program } from "./AccessProgram.js"
import { markerOf, nobody, perform, type Received } from "./AccessWorld.js"

const asked = Number(process.env["COLLOQUY_TEST_ACCESS"])
const numRuns = Number.isSafeInteger(asked) && asked > 0 ? asked : 10

const names: ReadonlyArray<Name> = ["alice", "bob"]
const both = { sides: names, forge: true }

/** What of somebody's stands in frames of the other's. */
const leaks = (received: Received): ReadonlyArray<string> =>
  names.flatMap((name) => {
    const secrets = [markerOf(name), Buffer.from(markerOf(name)).toString("base64")]
    return received[otherOf(name)].flat().filter(
      (frame) =>
        secrets.some((secret) => frame.includes(secret)) ||
        // A response may name what was asked for.
        (frame.startsWith('{"type":"event"') && frame.includes(`:${name}:`))
    )
  })

/** What somebody was told, without what it has said itself and without what is drawn anew in each life of a gateway. */
const comparable = (received: Received, name: Name, without: ReadonlyArray<string>): ReadonlyArray<string> =>
  received[name].flatMap((frames, connection) => {
    const texts = frames.map((frame) =>
      [...received.named[name]].reduce((text, id) => text.replaceAll(id, nobody), frame)
    )
    const values = texts.map((text): unknown =>
      JSON.parse(text, (field, value: unknown) => (without.includes(field) ? null : value))
    )
    return World.normal(values).map((value) => `${connection}: ${JSON.stringify(value)}`)
  })

/** The first thing that somebody is told otherwise when the other is there. */
const difference = (operations: ReadonlyArray<Operation>, name: Name, without: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [alone, together] = [
      comparable(yield* perform(operations, { sides: [name], forge: false }), name, without),
      comparable(yield* perform(operations, { sides: names, forge: false }), name, without)
    ]
    const at = alone.findIndex((frame, index) => frame !== together[index])
    if (at >= 0) return { alone: alone[at], together: together[at] }
    return together.length > alone.length ? { alone: undefined, together: together[alone.length] } : undefined
  })

/** So many programs a test that it does not last too long. */
const perTest = 5
const parts = Array.from({ length: Math.ceil(numRuns / perTest) }, (_, at) => at + 1)
const options = { numRuns: perTest, endOnFailure: true, interruptAfterTimeLimit: 4500 }

describe("two principals", () => {
  it.for(parts)("neither is told anything of the other's (%d)", () =>
    fc.assert(
      fc.asyncProperty(program, (operations) =>
        Effect.runPromise(
          Effect.map(perform(operations, both), (received) => {
            const [leak] = leaks(received)
            if (leak !== undefined) throw new Error(`told to the other: ${leak}`)
          })
        )
      ),
      options
    )
  )

  const isTheSame = (name: Name, without: ReadonlyArray<string>) => () =>
    fc.assert(
      fc.asyncProperty(program, (operations) =>
        Effect.runPromise(
          Effect.map(difference(operations, name, without), (found) => {
            if (found === undefined) return
            throw new Error(`alone:    ${found.alone ?? "nothing"}\ntogether: ${found.together ?? "nothing"}`)
          })
        )
      ),
      options
    )
  for (const name of names) {
    it.for(parts)(`what ${name} is told does not depend on the other (%d)`, isTheSame(name, ["epoch"]))
  }

  it("what the programs do is seen by who may: both are told their own, the owner everything", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const operations = fc.sample(program, { seed: 1, numRuns: 20 }).flat()
        const received = yield* perform(operations, both)
        const has = (frames: ReadonlyArray<ReadonlyArray<string>>, text: string): boolean =>
          frames.flat().some((frame) => frame.includes(text))
        for (const name of names) {
          expect(has(received[name], markerOf(name))).toBe(true)
          expect(has(received[name], Buffer.from(markerOf(name)).toString("base64"))).toBe(true)
          expect(has(received.boss, markerOf(name))).toBe(true)
        }
      })
    ))
})
