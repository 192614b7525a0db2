import { FileSystem, type Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import * as TokenFile from "../../src/cli/TokenFile.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)

/** With a state directory of its own. */
const withStateDir = <A, E>(
  use: (context: {
    readonly stateDir: string
    readonly file: string
    readonly fs: FileSystem.FileSystem
  }) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = yield* fs.makeTempDirectoryScoped()
    return yield* use({ stateDir, file: yield* TokenFile.pathIn(stateDir), fs })
  }).pipe(Effect.scoped, Effect.provide(platform))

const modeOf = (fs: FileSystem.FileSystem, path: string) =>
  Effect.map(fs.stat(path), ({ mode }) => mode & 0o777)

describe("TokenFile", () => {
  it.effect("makes a token of 256 bits that only its owner can read, and leaves nothing else", () =>
    withStateDir(({ file, fs, stateDir }) =>
      Effect.gen(function* () {
        const token = Redacted.value(yield* TokenFile.ensure(stateDir))
        expect(token).toMatch(/^[\w-]{43}$/)
        expect(yield* modeOf(fs, file)).toBe(0o600)
        expect(yield* fs.readFileString(file)).toBe(`${token}\n`)
        expect(yield* fs.readDirectory(stateDir)).toEqual(["token"])
      })
    )
  )

  it.effect("uses it again", () =>
    withStateDir(({ stateDir }) =>
      Effect.gen(function* () {
        const first = yield* TokenFile.ensure(stateDir)
        const second = yield* TokenFile.ensure(stateDir)
        expect(Redacted.value(second)).toBe(Redacted.value(first))
        expect(Redacted.value(Option.getOrThrow(yield* TokenFile.read(stateDir)))).toBe(Redacted.value(first))
      })
    )
  )

  it.effect("gives those who start at once the same one", () =>
    withStateDir(({ stateDir }) =>
      Effect.gen(function* () {
        const tokens = yield* Effect.all(
          Array.from({ length: 8 }, () => TokenFile.ensure(stateDir)),
          { concurrency: "unbounded" }
        )
        expect(new Set(tokens.map(Redacted.value)).size).toBe(1)
      })
    )
  )

  it.effect("closes a file that others can read", () =>
    withStateDir(({ file, fs, stateDir }) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(file, "mine\n", { mode: 0o644 })
        expect(Redacted.value(yield* TokenFile.ensure(stateDir))).toBe("mine")
        expect(yield* modeOf(fs, file)).toBe(0o600)
      })
    )
  )

  it.effect("says so when there is no token in it", () =>
    withStateDir(({ file, fs, stateDir }) =>
      Effect.gen(function* () {
        for (const text of ["", "  \n", "two words"]) {
          yield* fs.writeFileString(file, text, { mode: 0o600 })
          const error = yield* Effect.flip(TokenFile.ensure(stateDir))
          expect(error.message).toBe(
            `the token file ${file} holds no token. Remove it, and a new one is made.`
          )
          expect(error.exitCode).toBe(1)
        }
      })
    )
  )

  it.effect("says so when it can't be read or made", () =>
    withStateDir(({ file, fs, stateDir }) =>
      Effect.gen(function* () {
        yield* fs.makeDirectory(file, { mode: 0o700 })
        expect((yield* Effect.flip(TokenFile.ensure(stateDir))).message).toContain("can't be read (EISDIR)")
        const missing = `${stateDir}/missing`
        expect((yield* Effect.flip(TokenFile.ensure(missing))).message).toContain("can't be made (ENOENT)")
        expect(yield* TokenFile.read(missing)).toEqual(Option.none())
      })
    )
  )
})
