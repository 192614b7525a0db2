import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { shared } from "../support/Shared.js"
import * as Contenders from "./Contenders.js"

describe("StateLock, among 20 processes", () => {
  const use = shared(Layer.merge(Contenders.layer(20), NodeFileSystem.layer))

  it("exactly one takes a stale lock over; when it is killed, exactly one of the others does", () =>
    use(
      Effect.gen(function* () {
        const { all, directory } = yield* Contenders.Contenders
        const fs = yield* FileSystem.FileSystem
        const gone = { id: "gone", pid: 2 ** 31 - 1, host: "h", since: "" }
        const first = all[0]
        // The boot of a lock that one of them has made, so that they know at once that its holder is gone.
        expect(yield* first?.attempt ?? Effect.void).toBe("held")
        const lock: unknown = JSON.parse(yield* fs.readFileString(`${directory}/lock`))
        yield* fs.writeFileString(`${directory}/lock`, JSON.stringify(Object.assign({}, lock, gone)))

        let rest = all.slice(1)
        for (let round = 0; round < 3; round++) {
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
