/** Random damage. A failure prints its seed: `fc.assert(…, { seed, path })` brings it back. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, FastCheck as fc, Layer } from "effect"
import * as Doctor from "../../src/session/Doctor.js"
import { aboutOf } from "../../src/session/DoctorFinding.js"
import * as DoctorRepair from "../../src/session/DoctorRepair.js"
import { storeOptions } from "../contract/StoreProbe.js"
import { shared } from "../support/Shared.js"
import * as Fixture from "./DoctorFixture.js"

/** Where it hits is a share of what is there. */
const share = fc.double({ min: 0, max: 1, noNaN: true })
const damage = fc.record({
  file: share,
  at: share,
  how: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("flip" as const), bits: fc.integer({ min: 1, max: 255 }) })
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("cut" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 40 })
      })
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("zero" as const), length: fc.integer({ min: 1, max: 200 }) })
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const) }) }
  )
})
type Damage = typeof damage extends fc.Arbitrary<infer A> ? A : never

/** The bytes with that damage; none: the file goes. */
const damaged = (bytes: Uint8Array, { at, how }: Damage): Uint8Array | undefined => {
  const position = Math.min(bytes.length - 1, Math.floor(at * bytes.length))
  const copy = Uint8Array.from(bytes)
  switch (how.kind) {
    case "delete":
      return undefined
    case "cut":
      return copy.slice(0, Math.max(0, position))
    case "append":
      return Buffer.concat([copy, how.bytes])
    case "flip":
      if (position >= 0) copy[position] = (copy[position] ?? 0) ^ how.bits
      return copy
    case "zero":
      return copy.fill(0, Math.max(0, position), position + how.length)
  }
}

/** What the whole lines of a file of a tree say. */
const textsOf = (file: string | undefined): ReadonlySet<string> => {
  const texts = new Set<string>()
  const bytes = Buffer.from(file?.replace(/^\S+ \S+ \S+ /, "") ?? "", "latin1")
  for (const line of bytes.toString("utf8").split("\n")) {
    try {
      texts.add(String(JSON.parse(line).message.content[0].text))
    } catch {
      // Not a message.
    }
  }
  return texts
}

class States extends Context.Tag("test/States")<
  States,
  { readonly killed: Fixture.State; readonly stopped: Fixture.State }
>() {}

/** Made once: to make one takes longer than to repair it. */
const states = Layer.scoped(
  States,
  Effect.orDie(Effect.all({ killed: Fixture.killed(), stopped: Fixture.stopped() }))
)

describe("Doctor, over random damage", () => {
  const use = shared(Layer.provideMerge(states, Layer.merge(NodeFileSystem.layer, NodePath.layer)))

  // A few damages in each test, so that none takes long.
  for (let part = 1; part <= 6; part++)
    it(`changes nothing; repaired, the next store opens with all messages that were not damaged (${part})`, () =>
      fc.assert(
        fc.asyncProperty(
          fc.boolean(),
          fc.array(damage, { minLength: 1, maxLength: 4 }),
          (isKilled, damages) =>
            use(
              Effect.gen(function* () {
                const fs = yield* FileSystem.FileSystem
                const { killed, stopped } = yield* States
                const { directory: model, said, transcripts } = isKilled ? killed : stopped
                const directory = `${yield* fs.makeTempDirectoryScoped()}/state`
                yield* fs.copy(model, directory)
                yield* fs.chmod(directory, 0o700)
                yield* fs.copyFile(`${directory}/sessions.json`, `${directory}/sessions.json.bak`)
                yield* fs.chmod(`${directory}/sessions.json.bak`, 0o600)
                yield* fs.chmod(`${directory}/attachments`, 0o700)
                const names = (yield* fs.readDirectory(directory, { recursive: true }))
                  .filter((name) => name !== "attachments")
                  .toSorted()
                const pristine = yield* Fixture.tree(directory)
                for (const each of damages) {
                  const name = names[Math.min(names.length - 1, Math.floor(each.file * names.length))] ?? ""
                  const file = `${directory}/${name}`
                  if (!(yield* fs.exists(file))) continue
                  const bytes = damaged(yield* fs.readFile(file), each)
                  yield* bytes === undefined ? fs.remove(file) : fs.writeFile(file, bytes)
                }
                const options = { ...storeOptions, stateDir: directory }

                const before = yield* Fixture.tree(directory)
                yield* Doctor.examine(options)
                expect(yield* Fixture.tree(directory)).toEqual(before)

                const { failures, left } = yield* DoctorRepair.repair(options)
                expect(failures).toEqual([])
                expect(left.findings.filter((finding) => aboutOf(finding).mended)).toEqual([])
                const repaired = yield* Fixture.tree(directory)
                expect((yield* DoctorRepair.repair(options)).gone).toEqual([])
                expect(yield* Fixture.tree(directory)).toEqual(repaired)

                for (const [at, key] of [Fixture.mainKey, Fixture.notesKey].entries()) {
                  const file = transcripts[at] ?? ""
                  const kept = textsOf(repaired.get(file))
                  for (const text of textsOf(before.get(file))) expect(kept).toContain(text)
                  if (at === 1 && isKilled && before.get("runs.journal") === pristine.get("runs.journal"))
                    for (const text of said.get(key) ?? []) expect(kept).toContain(text)
                  const history = yield* Fixture.history(directory, key)
                  // An entry whose damage nobody can see may name another transcript.
                  if (
                    repaired.get("sessions.json")?.includes(`"${key}": {"sessionId":"${file.slice(0, -6)}"`)
                  )
                    for (const text of kept) expect(history).toContain(text)
                }
              }).pipe(Effect.orDie)
            )
        ),
        { numRuns: 8 }
      ))
})
