/**
 * AgentSettings: the agents of a gateway, from the config file (`agents`), `--agent` and `--model`, and from the environment:
 * keys, base URLs, and the variables that programs get.
 */
import { type FileSystem, Path } from "@effect/platform"
import { Config, Duration, Effect, Either, Option, Predicate, Redacted } from "effect"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import { defaultBaseUrls } from "../../agent/model/ModelOptions.js"
import type * as SessionKey from "../../domain/SessionKey.js"
import * as HomePath from "../HomePath.js"
import { nearest } from "../Nearest.js"
import * as Settings from "../Settings.js"
import { type SettingProblem, SettingsError } from "../SettingsError.js"
import type { AgentDefinition } from "./AgentDefinition.js"
import * as AgentCast from "./AgentCast.js"
import * as AgentProblems from "./AgentProblems.js"
import * as AgentSchema from "./AgentSchema.js"

/** The agents by id, in the order in which they are written, and which one answers keys that name none. */
export interface Agents {
  readonly definitions: ReadonlyMap<SessionKey.AgentId, AgentDefinition>
  readonly defaultAgentId: SessionKey.AgentId
}

export interface Loaded extends Settings.Loaded {
  readonly agents: Agents
}

/** All settings, and the agents. Fails with all that is wrong with both at once. */
export const load = (
  flags: Settings.Flags
): Effect.Effect<Loaded, SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { given, loaded } = yield* Settings.read(flags)
    // Without the config file nobody knows which agents there are; that it can't be read is said by the settings.
    const agents = Option.isNone(given)
      ? Either.left<Problems>([])
      : yield* Effect.either(agentsOf(given.value))
    if (Either.isRight(loaded) && Either.isRight(agents)) return { ...loaded.right, agents: agents.right }
    return yield* new SettingsError({ problems: [...problemsOf(loaded), ...problemsOf(agents)] })
  })

const problemsOf = (read: Either.Either<unknown, Problems>): Problems =>
  Either.match(read, { onLeft: (problems) => problems, onRight: () => [] })

const agentsOf = (given: AgentCast.Given): Effect.Effect<Agents, Problems, Path.Path> =>
  Effect.gen(function* () {
    const cast = AgentCast.make(given)
    const definitions = new Map<SessionKey.AgentId, AgentDefinition>()
    const problems = [...cast.problems]
    for (const [id, value] of cast.written) {
      const read = yield* Effect.either(definitionOf(value, (path) => `agents.${id}${path} in ${given.file}`))
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(id, read.right)
    }
    if (Option.isSome(cast.quick)) {
      const read = yield* Effect.either(quickDefinition(cast.quick.value, given))
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(cast.defaultAgentId, read.right)
    } else if (Option.isSome(given.model) && cast.problems.length === 0) {
      problems.push({
        where: AgentCast.placeOf(given, "model"),
        message: `only for an agent that --agent makes (${AgentCast.quickKinds.slice(1).join(", ")}); other agents have their model in the config file`
      })
    }
    if (problems.length > 0) return yield* Effect.fail(problems)
    return { definitions, defaultAgentId: cast.defaultAgentId }
  })

type Where = (path: string) => string
type Problems = ReadonlyArray<SettingProblem>

const definitionOf = (value: unknown, where: Where): Effect.Effect<AgentDefinition, Problems, Path.Path> =>
  Effect.gen(function* () {
    if (!Predicate.isReadonlyRecord(value))
      return yield* Effect.fail([{ where: where(""), message: "expected an object" }])
    const { kind } = value
    if (!AgentSchema.isKind(kind)) {
      const known = Object.keys(AgentSchema.kinds)
      const meant = typeof kind === "string" ? nearest(kind, known) : Option.none()
      return yield* Effect.fail([
        {
          where: where(".kind"),
          message: `expected one of ${known.join(", ")}; found ${kind === undefined ? "nothing" : JSON.stringify(kind).slice(0, 80)}${Option.match(meant, { onNone: () => "", onSome: (name) => `. Did you mean ${name}?` })}`
        }
      ])
    }
    const written = yield* Either.mapLeft(AgentSchema.decode(kind, value), (issue) =>
      AgentProblems.list(issue, where, (path) => AgentSchema.fieldsAt(kind, path))
    )
    return yield* complete(written, where)
  })

const quickDefinition = (
  kind: AgentCast.QuickKind,
  given: AgentCast.Given
): Effect.Effect<AgentDefinition, Problems, Path.Path> => {
  const place = AgentCast.placeOf(given, "agent")
  const where: Where = () => `${place} (${kind})`
  if (kind === "demo") {
    return Option.isSome(given.model)
      ? Effect.fail([{ where: AgentCast.placeOf(given, "model"), message: "the demo agent has no model" }])
      : complete({ kind }, where)
  }
  return Option.match(given.model, {
    onNone: () =>
      Effect.fail([{ where: where(""), message: `needs a model, such as --model ${examples[kind]}` }]),
    onSome: (name) => complete({ kind, model: name }, where)
  })
}

const examples = { openai: "gpt-5-mini", anthropic: "claude-sonnet-4-5" } as const

/** Puts to what is written what the environment and the defaults say. */
const complete = (
  written: AgentSchema.Written,
  where: Where
): Effect.Effect<AgentDefinition, Problems, Path.Path> => {
  const policy = policyOf(written)
  switch (written.kind) {
    case "demo":
      return Effect.succeed({ kind: "demo", policy, options: commonOf(written) })
    case "openai":
    case "anthropic":
      return Effect.map(modelOf(written, where), (options) => ({ kind: written.kind, policy, options }))
    case "command":
      return Effect.map(programOf(written), (program) => ({
        kind: "command",
        policy,
        options: { ...program, input: written.input ?? "text", ...imagesOf(written) }
      }))
    case "acp":
      return Effect.map(programOf(written), (program) => ({
        kind: "acp",
        policy,
        options: {
          ...program,
          process: written.process ?? "agent",
          permissions: written.permissions ?? "deny",
          permissionTimeout: written.permissionTimeout ?? Duration.minutes(2),
          cancelGrace: written.cancelGrace ?? Duration.seconds(2),
          startTimeout: written.startTimeout ?? Duration.seconds(30),
          files: written.files ?? "none",
          terminal: written.terminal ?? false,
          ...(written.idleTimeout === undefined ? {} : { idleTimeout: written.idleTimeout }),
          ...imagesOf(written)
        }
      }))
  }
}

const imagesOf = ({ images }: { readonly images?: boolean }) => (images === undefined ? {} : { images })

const policyOf = ({ noProgressTimeout, retry }: AgentSchema.Written): AgentPolicy.AgentPolicy => ({
  noProgressTimeout: noProgressTimeout ?? AgentPolicy.defaults.noProgressTimeout,
  retry: { ...AgentPolicy.defaults.retry, ...retry }
})

const commonOf = ({ concurrency, name, timeout }: AgentSchema.Written) => ({
  ...(name === undefined ? {} : { name }),
  ...(timeout === undefined ? {} : { runTimeout: timeout }),
  ...(concurrency === undefined ? {} : { maxConcurrentRuns: concurrency })
})

/** Providers whose own servers want a key. */
const providers = {
  openai: { keyName: "OPENAI_API_KEY", urlName: "OPENAI_BASE_URL", baseUrl: defaultBaseUrls.openai },
  anthropic: {
    keyName: "ANTHROPIC_API_KEY",
    urlName: "ANTHROPIC_BASE_URL",
    baseUrl: defaultBaseUrls.anthropic
  }
} as const

type WrittenModel = Extract<AgentSchema.Written, { readonly kind: "openai" | "anthropic" }>

const modelOf = (written: WrittenModel, where: Where) =>
  Effect.gen(function* () {
    const {
      apiKeyEnv,
      history,
      kind,
      name: _name,
      noProgressTimeout: _n,
      retry: _r,
      timeout: _t,
      concurrency: _c,
      baseUrl: url,
      ...options
    } = written
    const provider = providers[kind]
    const keyName = apiKeyEnv ?? provider.keyName
    const fromEnvironment = url === undefined ? yield* variable(provider.urlName) : Option.none()
    const baseUrl = url ?? Option.getOrElse(fromEnvironment, () => provider.baseUrl)
    const key = Option.map(yield* variable(keyName), (text) => text.trim())
    const problems = [
      ...Option.match(wrongUrl(baseUrl), {
        onNone: () => [],
        onSome: (message) => [
          { where: Option.isSome(fromEnvironment) ? provider.urlName : where(".baseUrl"), message }
        ]
      }),
      ...Option.match(key, {
        onNone: () =>
          apiKeyEnv !== undefined || isSameHost(baseUrl, provider.baseUrl)
            ? [{ where: where(""), message: missingKey(keyName, baseUrl) }]
            : [],
        onSome: (text) =>
          /^[\u0021-\u007e]+$/.test(text)
            ? []
            : [
                {
                  where: where(""),
                  message: `what is in ${keyName} can't be a key: it has characters that no key has`
                }
              ]
      })
    ]
    if (problems.length > 0) return yield* Effect.fail(problems)
    return {
      ...options,
      ...commonOf(written),
      baseUrl,
      apiKey: Option.map(key, Redacted.make),
      keyName,
      history: { ...AgentSchema.defaultHistory, ...history }
    }
  })

const urlOf = Option.liftThrowable((text: string) => new URL(text))

const isSameHost = (text: string, other: string): boolean =>
  Option.map(urlOf(text), ({ host }) => host).pipe(Option.contains(new URL(other).host))

/** What is behind the path, and before an @, may be a secret. */
const wrongUrl = (text: string): Option.Option<string> => {
  const url = Option.getOrUndefined(urlOf(text))
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const found = /[@?#]/.test(text) ? "something else" : JSON.stringify(text.slice(0, 80))
    return Option.some(`expected a URL that begins with http:// or https://; found ${found}`)
  }
  return url.username === "" && url.password === ""
    ? Option.none()
    : Option.some(
        "a URL with a user name or a password is not taken: what is in it would be shown. Put the key into a variable (apiKeyEnv)"
      )
}

/** Whoever has written the key itself where its variable's name belongs shall not find it in a log. */
const missingKey = (keyName: string, baseUrl: string): string => {
  const name = /^[A-Z_][A-Z0-9_]{0,63}$/.test(keyName)
    ? `the environment variable ${keyName} is not set`
    : "the environment variable that apiKeyEnv names is not set (the name is not shown: it could be a key)"
  const site = Option.match(urlOf(baseUrl), { onNone: () => "", onSome: ({ host }) => ` for ${host}` })
  return `${name}: it holds the key${site}`
}

/** A variable of the environment; an empty one counts as not set. */
const variable = (name: string): Effect.Effect<Option.Option<string>> =>
  Effect.map(
    Effect.option(Config.string(name)),
    Option.filter((value) => value !== "")
  )

type WrittenProgram = Extract<AgentSchema.Written, { readonly kind: "acp" | "command" }>

const programOf = (written: WrittenProgram) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { command, cwd = ".", env, history, killGrace, model, passEnv = [], system } = written
    const passed: Record<string, string> = {}
    for (const name of [...passedAlways, ...passEnv]) {
      const value = yield* variable(name)
      if (Option.isSome(value)) passed[name] = value.value
    }
    return {
      ...commonOf(written),
      // A path counts from where the gateway was started, a name is looked up on the program's own PATH.
      command: command.command.includes("/")
        ? path.resolve(HomePath.expand(command.command))
        : command.command,
      args: command.args,
      cwd: path.resolve(HomePath.expand(cwd)),
      env: { ...passed, ...env },
      killGrace: killGrace ?? Duration.seconds(2),
      history: { ...AgentSchema.defaultHistory, ...history },
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system })
    }
  })

/** What programs need of the gateway's environment to run at all; nothing in it is a secret of the gateway. */
export const passedAlways: ReadonlyArray<string> = [
  ...["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE"],
  ...["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"],
  ...["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
]
