/**
 * AgentSettings: the agents of a gateway, from the config file (`agents`), `--agent` and `--model`, and from the environment:
 * keys, base URLs, and the variables that programs get.
 */
import { Path } from "@effect/platform"
import { Array, Config, Duration, Effect, Either, Option, Predicate, Redacted } from "effect"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import { defaultBaseUrls } from "../../agent/model/ModelOptions.js"
import type * as SessionKey from "../../domain/SessionKey.js"
import * as HomePath from "../HomePath.js"
import { nearest } from "../Nearest.js"
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

/** Reads all of it, or says all that is wrong. */
export const load = (given: AgentCast.Given): Effect.Effect<Agents, SettingsError, Path.Path> =>
  Effect.gen(function* () {
    const cast = yield* Either.mapLeft(AgentCast.make(given), (problems) => new SettingsError({ problems }))
    const definitions = new Map<SessionKey.AgentId, AgentDefinition>()
    const problems: Array<SettingProblem> = []
    for (const [id, value] of cast.written) {
      const read = yield* Effect.either(definitionOf(value, (path) => `agents.${id}${path} in ${given.file}`))
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(id, read.right)
    }
    if (Option.isSome(cast.quick)) {
      const read = yield* Effect.either(quickDefinition(cast.quick.value, given.model))
      if (Either.isLeft(read)) problems.push(...read.left)
      else definitions.set(cast.defaultAgentId, read.right)
    } else if (Option.isSome(given.model)) {
      problems.push({
        where: "--model",
        message: `only for an agent that --agent makes (${AgentCast.quickKinds.slice(1).join(", ")}); other agents have their model in the config file`
      })
    }
    if (Array.isNonEmptyReadonlyArray(problems)) return yield* new SettingsError({ problems })
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
  model: Option.Option<string>
): Effect.Effect<AgentDefinition, Problems, Path.Path> => {
  const where: Where = (path) => (path === ".model" ? "--model" : `--agent ${kind}${path}`)
  if (kind === "demo") {
    return Option.isSome(model)
      ? Effect.fail([{ where: "--model", message: "the demo agent has no model" }])
      : complete({ kind }, where)
  }
  return Option.match(model, {
    onNone: () =>
      Effect.fail([
        {
          where: where(".model"),
          message: `--agent ${kind} needs a model, such as --model ${examples[kind]}`
        }
      ]),
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
    const place = Option.isSome(fromEnvironment) ? provider.urlName : where(".baseUrl")
    const wrong = wrongUrl(baseUrl)
    if (wrong !== undefined) return yield* Effect.fail([{ where: place, message: wrong }])
    const apiKey = Option.map(yield* variable(keyName), Redacted.make)
    if (Option.isNone(apiKey) && (baseUrl === provider.baseUrl || apiKeyEnv !== undefined)) {
      return yield* Effect.fail([
        {
          where: where(""),
          message: `the environment variable ${keyName} is not set: it holds the key for ${baseUrl}`
        }
      ])
    }
    return {
      ...options,
      ...commonOf(written),
      baseUrl,
      apiKey,
      keyName,
      history: { ...AgentSchema.defaultHistory, ...history }
    }
  })

const wrongUrl = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return `expected a URL that begins with http:// or https://; found ${JSON.stringify(text.slice(0, 80))}`
  }
  return url.username === "" && url.password === ""
    ? undefined
    : "a URL with a user name or a password is not taken: what is in it would be shown. Put the key into a variable (apiKeyEnv)"
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
