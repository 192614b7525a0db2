/** `colloquy token`: makes, lists and revokes what principals log in with. A running gateway sees it at once. */
import { FileSystem, Path, type Terminal } from "@effect/platform"
import { Array, Console, DateTime, Effect, Either, Option } from "effect"
import * as AccessToken from "../../auth/AccessToken.js"
import * as PasswordHash from "../../auth/PasswordHash.js"
import { namePattern, owner } from "../../auth/Principal.js"
import type { Credential, PrincipalEntry, PrincipalsDocument } from "../../auth/PrincipalsDocument.js"
import { type CliError, failed } from "../CliError.js"
import * as Door from "../Door.js"
import * as Logging from "../Logging.js"
import * as Settings from "../Settings.js"
import { type SettingProblem, SettingsError } from "../SettingsError.js"
import { codeOf } from "../SystemCode.js"
import * as Grants from "./Grants.js"
import * as PasswordPrompt from "./PasswordPrompt.js"
import * as PrincipalsEdit from "./PrincipalsEdit.js"
import * as TokenPage from "./TokenPage.js"

export interface CreateRequest {
  readonly name: string
  readonly scopes: Option.Option<string>
  readonly sessions: Option.Option<string>
  readonly label: Option.Option<string>
  readonly password: boolean
}

type Services = FileSystem.FileSystem | Path.Path
type Failure = CliError | SettingsError

/** The token alone goes to standard output, so that it can be piped; what there is to say of it, to standard error. */
export const create = (
  request: CreateRequest,
  flags: Settings.Flags
): Effect.Effect<void, Failure, Services | Terminal.Terminal> =>
  withFile(flags, (file) =>
    Effect.gen(function* () {
      const wanted = yield* wantedOf(request)
      yield* makeDirectory(file)
      // Before the password is asked for: what can't be done is told at once. It is looked at again under the lock.
      yield* Effect.flatMap(PrincipalsEdit.read(file), (document) => entryFor(document, request, wanted))
      const made = yield* request.password ? makePassword(request) : makeToken(request)
      const { entry, isNew } = yield* PrincipalsEdit.edit(file, (document) =>
        Effect.map(entryFor(document, request, wanted), ({ entry, isNew }) => {
          const extended = { ...entry, credentials: [...entry.credentials, made.credential] }
          return {
            document: {
              ...document,
              principals: isNew
                ? [...document.principals, extended]
                : document.principals.map((other) => (other.name === entry.name ? extended : other))
            },
            result: { entry, isNew }
          }
        })
      )
      yield* Console.error(TokenPage.created(entry, made.credential, isNew))
      if (made.text !== "") yield* Console.log(made.text)
    })
  )

/** One line for each credential. */
export const list = (json: boolean, flags: Settings.Flags): Effect.Effect<void, Failure, Services> =>
  withFile(flags, (file) =>
    Effect.flatMap(PrincipalsEdit.read(file), (document) =>
      Console.log(json ? TokenPage.json(document) : TokenPage.list(document))
    )
  )

/** A principal by its name, with all that it logs in with, or one credential by its id. */
export const revoke = (target: string, flags: Settings.Flags): Effect.Effect<void, Failure, Services> =>
  withFile(flags, (file) =>
    Effect.gen(function* () {
      if (target === owner.name)
        return yield* failed(
          "the owner's token is not in the principals file. To have another one made: remove the file token of the state directory, or set another --token, and start the gateway again."
        )
      // Whoever pastes the token itself means its id.
      const id = Option.match(AccessToken.parse(target), {
        onNone: () => target,
        onSome: (token) => token.id
      })
      const said = yield* PrincipalsEdit.edit(file, (document) => without(document, id, file))
      yield* Console.error(said)
    })
  )

const without = (document: PrincipalsDocument, target: string, file: string) => {
  const principal = document.principals.find(({ name }) => name === target)
  if (principal !== undefined) {
    return Effect.succeed({
      document: { ...document, principals: document.principals.filter((other) => other !== principal) },
      result: TokenPage.revokedPrincipal(principal)
    })
  }
  const holder = document.principals.find(({ credentials }) => credentials.some(({ id }) => id === target))
  if (holder === undefined) {
    return failed(
      `there is no principal and no token of that name or id in ${file}. See: colloquy token list`
    )
  }
  const left = { ...holder, credentials: holder.credentials.filter(({ id }) => id !== target) }
  return Effect.succeed({
    document: {
      ...document,
      principals: document.principals.map((other) => (other === holder ? left : other))
    },
    result: TokenPage.revokedCredential(left, target)
  })
}

const withFile = <A, R>(
  flags: Settings.Flags,
  use: (file: string) => Effect.Effect<A, Failure, R>
): Effect.Effect<A, Failure, R | Services> =>
  Effect.gen(function* () {
    const { origin, settings } = yield* Settings.load(flags)
    const logLevel = Option.isSome(origin("logLevel")) ? settings.logLevel : "warning"
    const file = yield* Door.principalsFile(settings)
    // @effect-diagnostics-next-line strictEffectProvide:off -- how to log is known only when the settings are read
    return yield* Effect.provide(use(file), Logging.layer({ ...settings, logLevel }))
  })

interface Wanted {
  readonly scopes: Option.Option<PrincipalEntry["scopes"]>
  readonly sessions: Option.Option<PrincipalEntry["sessions"]>
}

/** What is asked for, or all that is wrong with it. */
const wantedOf = (request: CreateRequest): Effect.Effect<Wanted, SettingsError> => {
  const scopes = Option.map(request.scopes, Grants.scopes)
  const sessions = Option.map(request.sessions, Grants.sessions)
  const problems = [
    ...(namePattern.test(request.name) && request.name !== owner.name
      ? []
      : [
          {
            where: "NAME",
            message: `expected lower-case letters, digits, - and _, at most 64, a letter or digit first, and not "owner"; found ${JSON.stringify(request.name.slice(0, 80))}`
          }
        ]),
    ...wrongOf(scopes),
    ...wrongOf(sessions)
  ]
  return problems.length > 0
    ? Effect.fail(new SettingsError({ problems }))
    : Effect.succeed({
        scopes: Option.flatMap(scopes, Option.getRight),
        sessions: Option.flatMap(sessions, Option.getRight)
      })
}

const wrongOf = <A>(read: Option.Option<Either.Either<A, SettingProblem>>): ReadonlyArray<SettingProblem> =>
  Option.toArray(Option.flatMap(read, Either.getLeft))

/** The principal that gets the credential: the one there is, or a new one. */
const entryFor = (
  document: PrincipalsDocument,
  { name, password }: CreateRequest,
  { scopes, sessions }: Wanted
): Effect.Effect<{ readonly entry: PrincipalEntry; readonly isNew: boolean }, CliError> => {
  const entry = document.principals.find((other) => other.name === name)
  if (entry === undefined) {
    if (name === "main" && Option.isNone(sessions)) {
      return failed(
        "what a principal gets by its name would be the main session, which is the owner's. Say which sessions it gets: --sessions"
      )
    }
    return Effect.succeed({
      isNew: true,
      entry: {
        name,
        scopes: Option.getOrElse(scopes, () => Grants.defaultScopes),
        sessions: Option.getOrElse(sessions, () => Grants.defaultSessions(name)),
        credentials: []
      }
    })
  }
  const differs =
    Option.exists(scopes, (wanted) => keyOf(wanted) !== keyOf(entry.scopes)) ||
    Option.exists(
      sessions,
      (wanted) => keyOf(wanted) !== keyOf(entry.sessions.map((one) => one.toLowerCase()))
    )
  if (differs) {
    return failed(
      `${name} exists and has ${TokenPage.grants(entry)}: all of its tokens have the same. Leave out --scopes and --sessions, choose another name, revoke ${name} first, or change the principals file by hand.`
    )
  }
  const set = password ? entry.credentials.find(({ kind }) => kind === "password") : undefined
  return set === undefined
    ? Effect.succeed({ entry, isNew: false })
    : failed(`${name} has a password already. Revoke it first: colloquy token revoke ${set.id}`)
}

const keyOf = (items: ReadonlyArray<string>): string => Array.dedupe(items).toSorted().join()

const makeToken = ({ label }: CreateRequest) =>
  Effect.gen(function* () {
    const token = yield* AccessToken.make
    const credential: Credential = {
      id: token.id,
      kind: "token",
      ...(yield* AccessToken.hash(token)),
      ...(yield* describe(label))
    }
    return { credential, text: AccessToken.show(token) }
  })

const makePassword = ({ label, name }: CreateRequest) =>
  Effect.gen(function* () {
    const hash = yield* Effect.flatMap(PasswordPrompt.ask(name), (password) => PasswordHash.make(password))
    const credential: Credential = {
      id: yield* AccessToken.makeId,
      kind: "password",
      ...hash,
      ...(yield* describe(label))
    }
    return { credential, text: "" }
  })

const describe = (label: Option.Option<string>) =>
  Effect.map(DateTime.now, (now) => ({
    createdAt: DateTime.formatIso(now),
    ...(Option.isSome(label) && { label: label.value })
  }))

/** The state directory may not be there yet. */
const makeDirectory = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = path.dirname(file)
    yield* Effect.mapError(fs.makeDirectory(directory, { recursive: true, mode: 0o700 }), (error) =>
      failed(`the directory ${directory} can't be made (${codeOf(error)}).`)
    )
  })
