/** `colloquy token` as its users have it, and the gateway that sees what it does. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Layer, Schema, type Scope } from "effect"
import { shared } from "../support/Shared.js"
import * as Program from "./Program.js"
import * as Line from "./Line.js"
import { makeStateDir, run, serve } from "./Program.js"

/** `colloquy token …` on a state directory, in this process. */
const token = (stateDir: string, args: ReadonlyArray<string>) =>
  Line.run(["token", ...args, "--state-dir", stateDir])
/** The same as a program. */
const program = (stateDir: string, args: ReadonlyArray<string>, input?: string) =>
  run(["token", ...args, "--state-dir", stateDir], undefined, input)

const List = Schema.parseJson(
  Schema.Struct({
    principals: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        scopes: Schema.Array(Schema.String),
        sessions: Schema.Array(Schema.String),
        credentials: Schema.Array(
          Schema.Struct({ id: Schema.String, kind: Schema.String, label: Schema.optional(Schema.String) })
        )
      })
    )
  })
)
const listOf = (stateDir: string) =>
  Effect.flatMap(token(stateDir, ["list", "--json"]), ({ stdout }) =>
    Effect.map(Schema.decode(List)(stdout), ({ principals }) => principals)
  )

describe("colloquy token", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  test("shows a token once, alone on standard output, and keeps only a hash, for its owner only", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/new`
      const file = `${stateDir}/principals.json`
      const { code, stderr, stdout } = yield* program(stateDir, ["create", "alice", "--label", "my laptop"])
      expect(code).toBe(0)
      expect(stdout).toMatch(/^cq_[a-z0-9]{12}_[\w-]{43}\n$/)
      const [, id = "", secret = ""] = stdout.trim().split(/^cq_([a-z0-9]{12})_/)
      expect(stderr).toContain(
        "New principal alice: scopes read, write; sessions agent:*:alice, agent:*:alice:*."
      )
      expect(stderr).toContain(`id ${id}`)
      expect((yield* fs.stat(file)).mode & 0o777).toBe(0o600)
      expect((yield* fs.readDirectory(stateDir)).filter((name) => !name.startsWith("."))).toEqual([
        "principals.json"
      ])
      const kept = yield* fs.readFileString(file)
      const hash = /"hash": "([\w-]{43})"/.exec(kept)?.[1] ?? ""
      const listed = yield* token(stateDir, ["list"])
      expect(listed.stdout).toMatch(new RegExp(`alice +read,write +agent:.* +${id} +token +\\S+ +my laptop`))
      const asJson = yield* token(stateDir, ["list", "--json"])
      for (const text of [stderr, kept, listed.stdout, asJson.stdout]) expect(text).not.toContain(secret)
      for (const text of [stderr, listed.stdout, asJson.stdout]) expect(text).not.toContain(hash)
      expect(yield* Line.run(["doctor", "--state-dir", stateDir])).toMatchObject({ code: 0 })
    }))

  test("gives a principal more tokens, and other rights to nobody", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      yield* token(stateDir, ["create", "--scopes", "read", "dash", "--sessions=agent:main:*"])
      expect((yield* token(stateDir, ["create", "dash"])).code).toBe(0)
      expect((yield* token(stateDir, ["create", "dash", "--scopes", "operator.read"])).code).toBe(0)
      const refused = yield* token(stateDir, ["create", "dash", "--scopes", "admin"])
      expect(refused.code).toBe(1)
      expect(refused.stdout).toBe("")
      expect(refused.stderr).toContain("dash exists and has scopes read; sessions agent:main:*")
      expect(yield* listOf(stateDir)).toMatchObject([
        {
          name: "dash",
          scopes: ["operator.read"],
          sessions: ["agent:main:*"],
          credentials: [{ kind: "token" }, { kind: "token" }, { kind: "token" }]
        }
      ])
    }))

  test("takes away one token, or a principal with all of them", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const made = [
        yield* token(stateDir, ["create", "alice"]),
        yield* token(stateDir, ["create", "alice"]),
        yield* token(stateDir, ["create", "bob"])
      ].map(({ stdout }) => stdout.trim())
      const [first = "", second = ""] = made.map((text) => text.slice(3, 15))
      expect((yield* token(stateDir, ["revoke", first])).code).toBe(0)
      expect(yield* listOf(stateDir)).toMatchObject([{ credentials: [{ id: second }] }, { name: "bob" }])
      // The whole token means the same, and is not repeated.
      const whole = yield* token(stateDir, ["revoke", made[1] ?? ""])
      expect(whole.stderr).toBe(
        `${second} is revoked. alice has nothing left to log in with; colloquy token revoke alice removes it.\n`
      )
      expect((yield* token(stateDir, ["list"])).stdout).toContain("(no credentials)")
      expect((yield* token(stateDir, ["revoke", "alice"])).code).toBe(0)
      expect((yield* token(stateDir, ["revoke", "bob"])).code).toBe(0)
      expect(yield* listOf(stateDir)).toEqual([])
      expect(yield* token(stateDir, ["revoke", "bob"])).toMatchObject({ code: 1 })
      expect(yield* token(stateDir, ["revoke", "owner"])).toMatchObject({ code: 1 })
    }))

  test("says what is wrong, all at once", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const args = ["create", "Al", "--scopes", "all", "--sessions", "alice"]
      const { code, stderr } = yield* token(stateDir, args)
      expect(code).toBe(2)
      expect(stderr.split("\n")).toEqual([
        "colloquy: 3 settings are wrong:",
        expect.stringMatching(/^ {2}NAME: expected .*; found "Al"$/),
        '  --scopes: expected some of read, write, admin, separated by commas; found "all"',
        expect.stringMatching(/^ {2}--sessions: expected a full session key.*; found "alice"$/),
        "See colloquy token --help",
        ""
      ])
      for (const [args, words] of [
        [["token"], "expected create, list or revoke; found nothing"],
        [["token", "make"], 'expected create, list or revoke; found "make"'],
        [["token", "create", "a", "--scope", "read"], "Did you mean --scopes?"],
        [["token", "create", "a", "--scopes"], "found nothing"],
        [["token", "create", "owner", "--state-dir", stateDir], 'found "owner"']
      ] as const)
        expect(yield* Line.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(words) })
    }))

  test("keeps what it does not know, and does not touch what it can't read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const file = `${stateDir}/principals.json`
      const bob = { name: "bob", scopes: [], sessions: ["*"], credentials: [], team: { x: 1 } }
      yield* fs.writeFileString(file, JSON.stringify({ note: "ours", principals: [bob] }))
      yield* token(stateDir, ["create", "bob"])
      expect(JSON.parse(yield* fs.readFileString(file))).toMatchObject({
        note: "ours",
        principals: [{ ...bob, credentials: [{ kind: "token" }] }]
      })
      const broken = JSON.stringify({ principals: [{ ...bob, name: 1 }] })
      yield* fs.writeFileString(file, broken)
      for (const args of [["create", "bob"], ["list"], ["revoke", "bob"]])
        expect(yield* token(stateDir, args)).toMatchObject({
          code: 1,
          stdout: "",
          stderr: expect.stringContaining("principals[0].name: expected")
        })
      expect(yield* fs.readFileString(file)).toBe(broken)
      const served = yield* Line.run(["serve", "--port", "0", "--state-dir", stateDir])
      expect(served).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("principals[0].name: expected")
      })
    }))

  test("many at once lose none, in several processes and in one", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const names = Array.from({ length: 8 }, (_, at) => `p${at}`)
      const ended = yield* Effect.forEach(
        names,
        (name, at) => (at < 2 ? program : token)(stateDir, ["create", name]),
        { concurrency: "unbounded" }
        // They wait for programs, which the test's clock does not move.
      ).pipe(Effect.withClock(Clock.make()))
      expect(ended.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual(names.map(() => 0))
      expect((yield* listOf(stateDir)).map(({ name }) => name).toSorted()).toEqual(names.toSorted())
    }))

  test("a running gateway lets in who has a token, until it is revoked", () =>
    Effect.gen(function* () {
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir })
      const alice = (yield* token(stateDir, ["create", "alice"])).stdout.trim()
      const ask = run(["send", "--url", gateway.url, "--session", "alice", "hello"], {
        COLLOQUY_TOKEN: alice
      })
      expect(yield* ask).toMatchObject({ code: 0, stdout: "hello\n" })
      yield* token(stateDir, ["revoke", "alice"])
      const refused = yield* ask
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("token") })
      yield* gateway.signal("SIGTERM")
      const { stderr } = yield* gateway.ended
      expect(stderr + refused.stderr).not.toContain(alice.slice(16))
    }))

  test("a password comes from standard input, and is not shown", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const words = "correct horse battery staple"
      const set = yield* program(stateDir, ["create", "bob", "--password"], `${words}\n`)
      expect(set).toMatchObject({ code: 0, stdout: "", stderr: expect.stringContaining("bob:PASSWORD") })
      expect(set.stderr + (yield* fs.readFileString(`${stateDir}/principals.json`))).not.toContain(words)
      expect(yield* program(stateDir, ["create", "carol", "--password"], "short\n")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("this one has 5")
      })
      // It is not asked for when it could not be set.
      expect(yield* token(stateDir, ["create", "bob", "--password"])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("bob has a password already")
      })
    }))
})

describe("colloquy serve --auth none", () => {
  const use = shared(Layer.merge(Program.layer, NodeFileSystem.layer))
  const test = <A, E>(
    name: string,
    effect: () => Effect.Effect<A, E, Program.Program | FileSystem.FileSystem | Scope.Scope>
  ) => it(name, () => use(effect()))

  test("is refused where others could come, before anything is written", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = `${yield* makeStateDir}/new`
      const { code, stderr } = yield* run([
        "serve",
        ...["--auth", "none", "--host", "0.0.0.0", "--port", "0", "--state-dir", stateDir]
      ])
      expect(code).toBe(2)
      expect(stderr).toContain("  --auth: none lets in everybody who can reach 0.0.0.0")
      expect(yield* fs.exists(stateDir)).toBe(false)
    }))

  test("asks for no token, makes none, and says so loudly", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const stateDir = yield* makeStateDir
      const gateway = yield* serve({ stateDir, flags: ["--auth", "none"] })
      yield* gateway.until("stdout", /Token: none is asked for\n/)
      yield* gateway.until("stderr", /^WARNING: no token is asked for \(auth: none\)\./m)
      yield* gateway.until("stderr", /"message":"no token is asked for.*"logLevel":"WARN"/)
      expect(yield* gateway.ask("hello")).toMatchObject({ code: 0, stdout: "hello\n" })
      expect(yield* fs.exists(`${stateDir}/token`)).toBe(false)
    }))
})
