import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Owner from "../../src/session/LockOwner.js"
import { shared } from "../support/Shared.js"
import * as Contenders from "./Contenders.js"

describe("StateLock, among 20 processes", () => {
  const use = shared(Layer.merge(Contenders.layer, NodeFileSystem.layer))
  // A few at a time: to start them is more work than all that they do then.
  for (let part = 0; part < 5; part++)
    beforeAll(() => use(Effect.flatMap(Contenders.Contenders, ({ add }) => add(4))))

  it("exactly one takes a stale lock over; when it is killed, exactly one of the others does", () =>
    use(
      Effect.gen(function* () {
        const { all, directory } = yield* Contenders.Contenders
        const fs = yield* FileSystem.FileSystem
        // A lock of this machine's present start, by a process that isn't there.
        const { me } = yield* Owner.local
        const gone = JSON.stringify({ ...me, id: "gone", pid: 2 ** 31 - 1 })
        yield* fs.writeFileString(`${directory}/lock`, gone)
        let rest = all
        for (let round = 0; round < 2; round++) {
          const answers = yield* Effect.forEach(rest, ({ attempt }) => attempt, { concurrency: "unbounded" })
          const holders = rest.filter((_, at) => answers[at] === "held")
          expect(holders).toHaveLength(1)
          for (const answer of answers.filter((answer) => answer !== "held"))
            expect(answer).toEqual({ _tag: "StateDirLocked", pid: expect.any(Number) })
          expect(yield* fs.readDirectory(directory)).toEqual(["lock"])
          yield* Effect.forEach(holders, ({ kill }) => kill)
          rest = rest.filter((each) => !holders.includes(each))
        }
      })
    ))
})
