/** Who may log in by the settings, in the program as its users have it; and that no log and no refusal shows a secret. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import * as Certificate from "../support/Certificate.js"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"
import { makeStateDir, run, serve } from "./Program.js"

describe("the door of the program", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  /** A certificate in that directory: its file, and the flags that name it and its key. */
  const certificate = (directory: string) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const files = { cert: `${directory}/cert.pem`, key: `${directory}/key.pem` }
      const { cert, key } = Certificate.make("localhost", "127.0.0.1")
      yield* Effect.zipRight(fs.writeFileString(files.cert, cert), fs.writeFileString(files.key, key))
      return { cert: files.cert, flags: ["--tls-cert", files.cert, "--tls-key", files.key] }
    })

  /** Refused as a usage error before anything is written; answers what is said. */
  const refused = (...flags: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/new`
      const { code, stderr, stdout } = yield* run(["serve", "--port", "0", "--state-dir", stateDir, ...flags])
      expect({ code, stdout, written: yield* fs.exists(stateDir) }).toEqual({
        code: 2,
        stdout: "",
        written: false
      })
      return stderr
    })

  test("is not open to other machines without TLS", () =>
    Effect.gen(function* () {
      for (const host of ["0.0.0.0", "::"]) {
        const said = yield* refused("--host", host)
        for (const flag of ["--host", "--tls-cert", "--tls-key", "--allow-plaintext yes"])
          expect(said).toContain(flag)
      }
    }))

  test("is, when that is said, and warns", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({
        stateDir: yield* makeStateDir,
        flags: ["--host", "0.0.0.0", "--allow-plaintext", "yes"]
      })
      yield* gateway.until("stderr", /not encrypted/)
      expect((yield* gateway.ask("hello")).stdout).toBe("hello\n")
    }))

  test("never lets in everybody from everywhere", () =>
    Effect.gen(function* () {
      for (const more of [[], ["--allow-plaintext", "yes"]])
        expect(yield* refused("--auth", "none", "--host", "0.0.0.0", ...more)).toMatch(
          /--auth: none lets in everybody/
        )
    }))

  test("says loudly that nobody is asked for a token", () =>
    Effect.gen(function* () {
      const gateway = yield* serve({
        stateDir: yield* makeStateDir,
        flags: ["--auth", "none", "--log-level", "none"]
      })
      yield* gateway.until("stderr", /WARNING: no token is asked for/)
      expect((yield* gateway.ask("hello")).stdout).toBe("hello\n")
    }))

  test("wants a certificate and its key, both", () =>
    Effect.gen(function* () {
      expect(yield* refused("--tls-cert", "/cert.pem")).toMatch(/--tls-cert: .*--tls-key/)
      expect(yield* refused("--tls-key", "/key.pem")).toMatch(/--tls-key: .*--tls-cert/)
    }))

  test("names the file that can't be read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const { flags } = yield* certificate(stateDir)
      yield* fs.remove(`${stateDir}/key.pem`)
      const missing = yield* run(["serve", "--port", "0", "--state-dir", stateDir, ...flags])
      expect(missing.code).toBe(1)
      expect(missing.stderr).toContain(`${stateDir}/key.pem`)
    }))

  test("is open to other machines with TLS, and a client that knows the certificate comes in", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const { cert, flags } = yield* certificate(stateDir)
      const program = yield* Program.Program
      const gateway = yield* program.start([
        ...["serve", "--port", "0", "--state-dir", stateDir, "--host", "0.0.0.0"],
        ...flags
      ])
      const [, url = ""] = yield* gateway.until("stdout", /listens on (wss:\S+) /)
      const asked = yield* run(["send", "--url", url, "--state-dir", stateDir, "hello"], {
        NODE_EXTRA_CA_CERTS: cert
      })
      expect(asked).toEqual({ code: 0, stdout: "hello\n", stderr: "" })
      yield* gateway.signal("SIGTERM")
      expect((yield* gateway.ended).stderr).not.toContain("not encrypted")
    }))

  for (const url of [
    "ws://user:sesame@localhost:1",
    "ws://localhost:1/?a=b&accessToken=sesame",
    "http://user:sesame@localhost:1/?token=sesame"
  ])
    test(`sends to no address with a secret in it: ${url}`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* run([
          "send",
          "--url",
          url,
          "--state-dir",
          yield* makeStateDir,
          "hi"
        ])
        expect(code).toBe(2)
        expect(stderr).toContain("--url: expected")
        expect(stdout + stderr).not.toContain("sesame")
      }))

  test("keeps tokens out of its log, whatever happens", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const [created, gateway] = yield* Effect.all(
        [
          run(["token", "create", "alice", "--sessions", "*", "--state-dir", stateDir]),
          serve({ stateDir, flags: ["--log-level", "all", "--drain-grace", "0 seconds"] })
        ],
        { concurrency: "unbounded" }
      )
      expect(created.code).toBe(0)
      const token = created.stdout.trim()
      expect(token).toMatch(/^cq_.{40,}$/)
      const owners = (yield* fs.readFileString(`${stateDir}/token`)).trim()
      const wrong = `${token.slice(0, -2)}xx`

      const sent = yield* Effect.forEach([owners, token, wrong], (secret) =>
        gateway.send("hello", { COLLOQUY_LOG_LEVEL: "all", COLLOQUY_TOKEN: secret })
      )
      const ends = yield* Effect.forEach(sent, ({ ended }) => ended)
      expect(ends.map(({ code }) => code)).toEqual([0, 0, 1])
      yield* gateway.signal("SIGTERM")
      const { stderr } = yield* gateway.ended
      expect(stderr).toContain("a login failed")
      const all = [stderr, ...ends.map((end) => end.stdout + end.stderr)].join("\n")
      // Nor the secret part of one alone.
      for (const secret of [owners, token, wrong, token.slice(-20)]) expect(all.includes(secret)).toBe(false)
    }))
})
