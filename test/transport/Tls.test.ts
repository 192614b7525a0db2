/** When a certificate is read again, on a file system that the test makes up. */
import { Error as PlatformError, FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Logger, Option, TestClock } from "effect"
import * as Tls from "../../src/transport/Tls.js"
import * as Certificate from "../support/Certificate.js"

const paths = { cert: "cert.pem", key: "key.pem" }

/** Files whose texts, dates and rights the test sets. */
class Files {
  pair = Certificate.make("localhost")
  mtime = 1
  readable = true
  reads = 0

  readonly layer = FileSystem.layerNoop({
    stat: () =>
      Effect.sync(() => ({
        type: "File",
        mtime: Option.some(DateTime.toDate(DateTime.unsafeMake(this.mtime))),
        atime: Option.none(),
        birthtime: Option.none(),
        dev: 1,
        ino: Option.none(),
        mode: 0o600,
        nlink: Option.none(),
        uid: Option.none(),
        gid: Option.none(),
        rdev: Option.none(),
        size: FileSystem.Size(1),
        blksize: Option.none(),
        blocks: Option.none()
      })),
    readFileString: (path) =>
      Effect.suspend(() => {
        this.reads += 1
        if (this.readable) return Effect.succeed(path === paths.cert ? this.pair.cert : this.pair.key)
        return Effect.fail(
          new PlatformError.SystemError({
            reason: "PermissionDenied",
            module: "FileSystem",
            method: "readFileString",
            pathOrDescriptor: path
          })
        )
      })
  })
}

/** What the log says of a pair that can't be used. */
const stays = (why: string): string => `the new TLS certificate can't be used (${why}); the one before stays`

/** Watches; answers what came of it. */
const watching = (files: Files) =>
  Effect.gen(function* () {
    const used: Array<string> = []
    const lines: Array<string> = []
    const log = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void lines.push(String(message)))
    )
    const opened = yield* Tls.open(paths)
    expect(opened.pair.cert).toBe(files.pair.cert)
    yield* opened.watch(({ cert }) => void used.push(cert)).pipe(Effect.provide(log), Effect.forkScoped)
    return { lines, look: TestClock.adjust("2 seconds"), used }
  })

describe("a certificate", () => {
  const test = (name: string, run: (files: Files) => ReturnType<typeof scenario>) =>
    it.scoped(name, () => {
      const files = new Files()
      return Effect.provide(run(files), files.layer)
    })
  const scenario = (
    files: Files,
    play: (watch: Effect.Effect.Success<ReturnType<typeof watching>>) => Effect.Effect<void>
  ) => Effect.flatMap(watching(files), play)

  test("is not read again while its files stay as they are", (files) =>
    scenario(files, ({ look, used }) =>
      Effect.gen(function* () {
        const before = files.reads
        for (let n = 0; n < 10; n++) yield* look
        expect([files.reads, used]).toEqual([before, []])
      })
    ))

  test("is taken up when the files have changed", (files) =>
    scenario(files, ({ lines, look, used }) =>
      Effect.gen(function* () {
        files.pair = Certificate.make("localhost")
        files.mtime = 2
        yield* look
        yield* look
        expect(used).toEqual([files.pair.cert])
        expect(lines).toEqual(["the TLS certificate was read again"])
      })
    ))

  test("that can't be read is told once, and taken up when it can, though nothing shows that", (files) =>
    scenario(files, ({ lines, look, used }) =>
      Effect.gen(function* () {
        files.pair = Certificate.make("localhost")
        files.mtime = 2
        files.readable = false
        for (let n = 0; n < 5; n++) yield* look
        expect(lines).toEqual([stays("cert.pem: PermissionDenied")])
        expect(used).toEqual([])
        files.readable = true
        yield* look
        expect(used).toEqual([files.pair.cert])
      })
    ))

  test("whose file is just being written is not taken up: an empty one is none", (files) =>
    scenario(files, ({ lines, look, used }) =>
      Effect.gen(function* () {
        const next = Certificate.make("localhost")
        for (const [mtime, pair] of [
          { cert: "", key: "" },
          { cert: "", key: next.key },
          { cert: next.cert, key: "" },
          { cert: next.cert.slice(0, 200), key: next.key },
          { cert: next.cert, key: next.cert },
          next
        ].entries()) {
          files.pair = pair
          files.mtime = mtime + 2
          yield* look
        }
        expect(used).toEqual([next.cert])
        expect(lines).toEqual([
          stays("cert.pem: it is empty"),
          stays("cert.pem: it is empty"),
          stays("key.pem: it is empty"),
          expect.stringMatching(/\(cert\.pem: it is no certificate .* \(ERR_OSSL_[A-Z_]+\)\)/),
          expect.stringMatching(/\(key\.pem: it is no key .* \(ERR_OSSL_[A-Z_]+\)\)/),
          "the TLS certificate was read again"
        ])
      })
    ))

  test("whose key is another's is told once for each such pair, and nothing of the key is said", (files) =>
    scenario(files, ({ lines, look, used }) =>
      Effect.gen(function* () {
        for (const mtime of [2, 3]) {
          files.pair = { cert: Certificate.make("a").cert, key: Certificate.make("b").key }
          files.mtime = mtime
          yield* look
          yield* look
        }
        expect(lines).toHaveLength(2)
        expect(lines.join("\n")).not.toContain("PRIVATE")
        expect(used).toEqual([])
      })
    ))
})

describe("at the start", () => {
  const first = Certificate.make("first")
  const other = Certificate.make("other")

  it.effect.each<readonly [name: string, pair: Certificate.Certificate, file: string]>([
    ["no certificate", { cert: "", key: first.key }, "cert.pem"],
    ["no key", { cert: first.cert, key: "" }, "key.pem"],
    ["neither", { cert: "", key: "" }, "cert.pem"],
    ["a blank line as the key", { cert: first.cert, key: "\n" }, "key.pem"],
    ["a key as the certificate", { cert: first.key, key: first.key }, "cert.pem"],
    ["a key with a hole", { cert: first.cert, key: first.key.replace(/\n.{16}/, "\nsesame") }, "key.pem"],
    ["another's key", { cert: first.cert, key: other.key }, "cert.pem and key.pem"]
  ])("%s: it can't be opened, and the error says which file, and nothing of the key", ([, pair, file]) =>
    Effect.gen(function* () {
      const files = new Files()
      files.pair = pair
      const error = yield* Effect.flip(Effect.provide(Tls.open(paths), files.layer))
      expect(error).toMatchObject({ _tag: "TlsError", file })
      expect(error.reason).not.toMatch(/PRIVATE|sesame/)
    })
  )
})
