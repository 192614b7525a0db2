/** Logging in, and whether a login still holds. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option, Queue, Redacted, Ref, Stream, TestClock } from "effect"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as CryptoRandom from "../../src/auth/CryptoRandom.js"
import { owner } from "../../src/auth/Principal.js"
import * as PrincipalDirectory from "../../src/auth/PrincipalDirectory.js"
import * as Principals from "../../src/auth/Principals.js"
import type { PrincipalEntry } from "../../src/auth/PrincipalsDocument.js"
import type { ConnectAuth } from "../../src/protocol/Connect.js"
import * as Credentials from "../support/Credentials.js"

const ownersToken = "owner's own"
const remote = (host: number) => ({ address: `203.0.113.${host}`, isLocal: false })

/** An authenticator over principals that the test may change. */
const world = (entries: ReadonlyArray<PrincipalEntry>) =>
  Effect.gen(function* () {
    const ref = yield* Ref.make(Principals.make({ principals: entries }))
    const directory = yield* Effect.provide(
      PrincipalDirectory.PrincipalDirectory,
      yield* Layer.build(PrincipalDirectory.layerMemory(ref))
    )
    const context = yield* Layer.build(
      Authenticator.layer({ owner: Option.some(Redacted.make(ownersToken)) }).pipe(
        Layer.provide(Layer.succeed(PrincipalDirectory.PrincipalDirectory, directory))
      )
    )
    const authenticator = yield* Effect.provide(Authenticator.Authenticator, context)
    return {
      ...authenticator,
      log: (auth: ConnectAuth | undefined, host = 1) => authenticator.authenticate(auth, remote(host)),
      /** The file changes, and is looked at. */
      become: (next: ReadonlyArray<PrincipalEntry>) =>
        Effect.zipRight(
          Ref.update(ref, (before) => Principals.make({ principals: next }, before)),
          directory.refresh
        ),
      /** The file changes, and nobody looks. */
      write: (next: ReadonlyArray<PrincipalEntry>) =>
        Ref.update(ref, (before) => Principals.make({ principals: next }, before))
    }
  })

/** What it was refused with. */
const refused = <A>(login: Effect.Effect<A, { readonly _tag: string }>) => Effect.flip(login)

const scoped = (name: string, test: () => Effect.Effect<void, unknown, never>) =>
  it.effect(name, () =>
    Effect.provide(test(), Layer.merge(CryptoRandom.layer, Logger.remove(Logger.defaultLogger)))
  )

describe("Authenticator", () => {
  scoped(
    "the owner by any text, a principal by its token, as token or as password, or by name and password",
    () =>
      Effect.gen(function* () {
        const token = yield* Credentials.makeToken
        const password = yield* Credentials.makePassword("pa:ss word, caf\u00e9")
        const { log } = yield* world([Credentials.principal("alice", [token.credential, password])])
        for (const auth of [{ token: ownersToken }, { password: ownersToken }])
          expect((yield* log(auth)).principal).toBe(owner)
        for (const auth of [
          { token: token.text },
          { password: token.text },
          { password: "alice:pa:ss word, caf\u00e9" },
          // The same letters, composed by another keyboard.
          { password: "alice:pa:ss word, cafe\u0301" }
        ])
          expect((yield* log(auth)).principal.name).toBe("alice")
      }).pipe(Effect.scoped)
  )

  scoped("what is wrong is refused alike, whether there is such a token or name or not", () =>
    Effect.gen(function* () {
      const token = yield* Credentials.makeToken
      const stranger = yield* Credentials.makeToken
      const password = yield* Credentials.makePassword("correct horse")
      const { log } = yield* world([
        Credentials.principal("alice", [token.credential, password]),
        Credentials.principal("bob", [])
      ])
      const otherSecret = `cq_${token.credential.id}_${stranger.text.slice(-43)}`
      const passwordAsToken = `cq_${password.id}_${stranger.text.slice(-43)}`
      let host = 1
      for (const auth of [
        { token: "x" },
        { token: stranger.text },
        { token: otherSecret },
        { token: passwordAsToken },
        { token: `${token.text}x` },
        { token: "alice:correct horse" },
        { password: "correct horse" },
        { token: "x", password: ownersToken }
      ])
        expect(yield* refused(log(auth, host++))).toMatchObject({ reason: "token mismatch" })
      for (const password of ["alice:", "alice:Correct horse", "bob:correct horse", "carol:correct horse"])
        expect(yield* refused(log({ password }, host++))).toMatchObject({ reason: "password mismatch" })
      for (const auth of [undefined, {}, { token: "" }, { password: "" }])
        expect(yield* refused(log(auth, host++))).toMatchObject({ reason: "token missing" })
    }).pipe(Effect.scoped)
  )

  scoped("a login is revoked with its credential or its principal, and changed with what that may do", () =>
    Effect.gen(function* () {
      const first = yield* Credentials.makeToken
      const second = yield* Credentials.makeToken
      const both = [first.credential, second.credential]
      const { become, log, unsafeState } = yield* world([Credentials.principal("alice", both)])
      const one = yield* log({ token: first.text })
      const two = yield* log({ token: second.text })
      const mine = yield* log({ token: ownersToken })
      const states = () => [one, two, mine].map(unsafeState)
      expect(states()).toEqual(["same", "same", "same"])
      yield* become([Credentials.principal("alice", both, { scopes: ["operator.write", "operator.read"] })])
      expect(states()).toEqual(["same", "same", "same"])
      yield* become([Credentials.principal("alice", both, { scopes: ["operator.read"] })])
      expect(states()).toEqual(["changed", "changed", "same"])
      yield* become([Credentials.principal("alice", both, { sessions: ["*"] })])
      expect(states()).toEqual(["changed", "changed", "same"])
      yield* become([Credentials.principal("alice", [second.credential])])
      expect(states()).toEqual(["revoked", "same", "same"])
      // The same id with another secret, and the same token for somebody else.
      yield* become([Credentials.principal("alice", [{ ...second.credential, hash: first.credential.hash }])])
      expect(states()).toEqual(["revoked", "revoked", "same"])
      yield* become([Credentials.principal("bob", both)])
      expect(states()).toEqual(["revoked", "revoked", "same"])
      yield* become([])
      expect(states()).toEqual(["revoked", "revoked", "same"])
    }).pipe(Effect.scoped)
  )

  scoped("changes are told; what is revoked does not come in, even if nobody has looked since", () =>
    Effect.gen(function* () {
      const token = yield* Credentials.makeToken
      const { become, changes, log, write } = yield* world([])
      const told = yield* Queue.unbounded<void>()
      yield* Effect.forkScoped(Stream.runForEach(changes, () => Queue.offer(told, undefined)))
      yield* Queue.take(told)
      yield* write([Credentials.principal("alice", [token.credential])])
      expect((yield* log({ token: token.text })).principal.name).toBe("alice")
      yield* Queue.take(told)
      yield* write([])
      expect(yield* refused(log({ token: token.text }))).toMatchObject({ reason: "token mismatch" })
      yield* Queue.take(told)
      yield* become([Credentials.principal("alice", [token.credential])])
      yield* Queue.take(told)
    }).pipe(Effect.scoped)
  )

  scoped("after ten failures an address must wait, 1 s and then 2, with the right token too", () =>
    Effect.gen(function* () {
      const token = yield* Credentials.makeToken
      const { log } = yield* world([Credentials.principal("alice", [token.credential])])
      for (let count = 0; count < 10; count++)
        expect(yield* refused(log({ token: "guess" }))).toMatchObject({ reason: "token mismatch" })
      expect(yield* refused(log({ token: ownersToken }))).toMatchObject({
        _tag: "LoginLimited",
        retryAfterMs: 1000
      })
      expect(yield* refused(log({ token: token.text }))).toMatchObject({ retryAfterMs: 1000 })
      yield* TestClock.adjust("600 millis")
      expect(yield* refused(log({ token: token.text }))).toMatchObject({ retryAfterMs: 400 })
      yield* TestClock.adjust("400 millis")
      expect(yield* refused(log({ token: "guess" }))).toMatchObject({ reason: "token mismatch" })
      expect(yield* refused(log({ token: token.text }))).toMatchObject({ retryAfterMs: 2000 })
      yield* TestClock.adjust("2 seconds")
      expect((yield* log({ token: token.text })).principal.name).toBe("alice")
    }).pipe(Effect.scoped)
  )

  scoped("logging in does not clear guesses at others; a missing token is no guess", () =>
    Effect.gen(function* () {
      const token = yield* Credentials.makeToken
      const { log } = yield* world([Credentials.principal("alice", [token.credential])])
      for (let count = 0; count < 10; count++) {
        yield* refused(log(undefined))
        yield* log({ token: token.text })
        yield* refused(log({ password: "bob:guess" }))
      }
      expect(yield* refused(log({ token: token.text }))).toMatchObject({ _tag: "LoginLimited" })
    }).pipe(Effect.scoped)
  )

  scoped("a principal that is guessed at from everywhere still comes in from where it was", () =>
    Effect.gen(function* () {
      const password = yield* Credentials.makePassword("correct horse")
      const { log } = yield* world([Credentials.principal("alice", [password])])
      yield* log({ password: "alice:correct horse" }, 200)
      for (let host = 1; host <= 10; host++) yield* refused(log({ password: "alice:guess" }, host))
      expect(yield* refused(log({ password: "alice:correct horse" }, 11))).toMatchObject({
        _tag: "LoginLimited"
      })
      yield* log({ password: "alice:correct horse" }, 200)
    }).pipe(Effect.scoped)
  )

  scoped("a hundred guesses at once are ten", () =>
    Effect.gen(function* () {
      const password = yield* Credentials.makePassword("correct horse")
      const { log } = yield* world([Credentials.principal("alice", [password])])
      const errors = yield* Effect.forEach(
        Array.from({ length: 100 }),
        (_, at) => refused(log({ password: `alice:guess ${at}` })),
        { concurrency: "unbounded" }
      )
      const looked = errors.filter(({ _tag }) => _tag === "Unauthorized")
      expect(looked.length).toBe(10)
    }).pipe(Effect.scoped)
  )

  scoped("nothing that was presented is in a log or an error", () =>
    Effect.gen(function* () {
      const token = yield* Credentials.makeToken
      const lines: Array<string> = []
      const logger = Logger.map(Logger.jsonLogger, (line) => void lines.push(line))
      const { log } = yield* world([Credentials.principal("alice", [token.credential])])
      const wrong = `cq_${token.credential.id}_${"Z".repeat(43)}`
      const errors = yield* Effect.forEach(
        [{ token: wrong }, { password: "alice:hunter2hunter2" }, { token: "hunter2hunter2" }],
        (auth) => refused(log(auth))
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const said = lines.join("\n") + errors.map(String).join("\n") + JSON.stringify(errors)
      expect(lines.length).toBe(3)
      for (const secret of ["ZZZZ", "hunter2", token.credential.hash, token.credential.salt])
        expect(said).not.toContain(secret)
    }).pipe(Effect.scoped)
  )
})
