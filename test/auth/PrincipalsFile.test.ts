/** Principals of a real file that others write while they are in force; the clock is the test's. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Queue, type Scope, Stream, TestClock } from "effect"
import { PrincipalDirectory } from "../../src/auth/PrincipalDirectory.js"
import type { PrincipalEntry } from "../../src/auth/PrincipalsDocument.js"
import * as PrincipalsDocument from "../../src/auth/PrincipalsDocument.js"
import * as PrincipalsFile from "../../src/auth/PrincipalsFile.js"
import * as Credentials from "../support/Credentials.js"

interface World {
  readonly fs: FileSystem.FileSystem
  readonly file: string
  /** In place of what was there, as `colloquy token` does. */
  readonly put: (principals: ReadonlyArray<PrincipalEntry>) => Effect.Effect<void>
  readonly open: Effect.Effect<PrincipalDirectory["Type"], PrincipalsFile.PrincipalsUnusable, Scope.Scope>
  readonly logged: Array<string>
}

const withFile = (use: (world: World) => Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = `${yield* fs.makeTempDirectoryScoped()}/principals.json`
    const logged: Array<string> = []
    const logger = Logger.map(Logger.stringLogger, (line) => void logged.push(line))
    const put = (principals: ReadonlyArray<PrincipalEntry>) =>
      fs
        .writeFileString(`${file}.new`, PrincipalsDocument.render({ principals }), { mode: 0o600 })
        .pipe(Effect.zipRight(fs.rename(`${file}.new`, file)), Effect.orDie)
    const open = Effect.flatMap(
      Layer.build(PrincipalsFile.layer(file).pipe(Layer.provide(Layer.succeed(FileSystem.FileSystem, fs)))),
      (context) => Effect.provide(PrincipalDirectory, context)
    )
    yield* use({ fs, file, put, open, logged }).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

const names = (directory: PrincipalDirectory["Type"]) => [...directory.unsafeCurrent().byName.keys()]

describe("PrincipalsFile", () => {
  it.effect("no file is nobody; one that comes, changes and goes is seen within 250 ms, and told", () =>
    withFile(({ file, fs, logged, open, put }) =>
      Effect.gen(function* () {
        const directory = yield* open
        const told = yield* Queue.unbounded<void>()
        yield* Effect.forkScoped(Stream.runForEach(directory.changes, () => Queue.offer(told, undefined)))
        yield* Queue.take(told)
        const look = Effect.zipRight(TestClock.adjust("250 millis"), Queue.take(told))
        expect(names(directory)).toEqual([])
        yield* put([Credentials.principal("alice", [])])
        yield* look
        expect(names(directory)).toEqual(["alice"])
        yield* put([Credentials.principal("alice", []), Credentials.principal("bob", [])])
        yield* look
        expect(names(directory)).toEqual(["alice", "bob"])
        yield* fs.remove(file)
        yield* look
        expect(names(directory)).toEqual([])
        expect(logged.join()).toContain("was removed: all of its principals are revoked")
      })
    )
  )

  it.effect(
    "what was written before a refresh is in force behind it, also of the same length in the same place",
    () =>
      withFile(({ file, fs, open, put }) =>
        Effect.gen(function* () {
          yield* put([Credentials.principal("alice", [])])
          const directory = yield* open
          expect(names(directory)).toEqual(["alice"])
          for (const name of ["carol", "alice", "diana", "erica"]) {
            yield* fs.writeFileString(
              file,
              PrincipalsDocument.render({ principals: [Credentials.principal(name, [])] })
            )
            yield* directory.refresh
            expect(names(directory)).toEqual([name])
          }
        })
      )
  )

  it.effect("a file that can't be used is told once, and nothing of it is in force; the start fails", () =>
    withFile(({ file, fs, logged, open, put }) =>
      Effect.gen(function* () {
        yield* put([Credentials.principal("alice", [])])
        const directory = yield* open
        const wrong = JSON.stringify({
          principals: [{ name: "mallory", scopes: ["HUSH"], sessions: [], credentials: [] }]
        })
        for (const [text, reason] of [
          [wrong, "principals[0].scopes[0]: expected"],
          ["{", "the document: expected JSON"]
        ] as const) {
          logged.length = 0
          yield* fs.writeFileString(file, text)
          yield* directory.refresh
          yield* directory.refresh
          expect(names(directory)).toEqual(["alice"])
          expect(logged.length).toBe(1)
          expect(logged[0]).toContain("level=WARN")
          expect(logged[0]).toContain(reason)
          expect(logged[0]).not.toContain("HUSH")
          expect((yield* Effect.flip(open)).message).toContain(reason)
        }
        yield* put([Credentials.principal("bob", [])])
        yield* directory.refresh
        expect(names(directory)).toEqual(["bob"])
      })
    )
  )

  it.effect("a file that others could use is closed at the start, with a warning", () =>
    withFile(({ file, fs, logged, open, put }) =>
      Effect.gen(function* () {
        yield* put([])
        yield* fs.chmod(file, 0o644)
        yield* open
        expect((yield* fs.stat(file)).mode & 0o777).toBe(0o600)
        expect(logged.join()).toContain("(mode 644); now only its owner can")
      })
    )
  )
})
