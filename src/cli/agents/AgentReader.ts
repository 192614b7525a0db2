/** AgentReader: one agent, from what is written of it and from the environment. */
import { Path } from "@effect/platform"
import { Duration, Effect, Either, Option, Predicate } from "effect"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import * as HomePath from "../HomePath.js"
import { nearest } from "../Nearest.js"
import type { AgentDefinition } from "./AgentDefinition.js"
import * as AgentProblems from "./AgentProblems.js"
import type { Problems, Where } from "./AgentProblems.js"
import * as AgentSchema from "./AgentSchema.js"
import * as Environment from "./Environment.js"
import * as ModelAccess from "./ModelAccess.js"

/** An agent of the config file. */
export const read = (value: unknown, where: Where): Effect.Effect<AgentDefinition, Problems, Path.Path> =>
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

/** Puts to what is written what the environment and the defaults say. */
export const complete = (
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

type WrittenModel = Extract<AgentSchema.Written, { readonly kind: "openai" | "anthropic" }>

const modelOf = (written: WrittenModel, where: Where) =>
  Effect.gen(function* () {
    const {
      apiKeyEnv: _key,
      baseUrl: _url,
      history,
      kind: _kind,
      name: _name,
      noProgressTimeout: _noProgress,
      retry: _retry,
      timeout: _timeout,
      concurrency: _concurrency,
      ...options
    } = written
    return {
      ...options,
      ...commonOf(written),
      ...(yield* ModelAccess.read(written, where)),
      history: { ...AgentSchema.defaultHistory, ...history }
    }
  })

type WrittenProgram = Extract<AgentSchema.Written, { readonly kind: "acp" | "command" }>

const programOf = (written: WrittenProgram) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { command, cwd = ".", env, history, killGrace, model, passEnv = [], system } = written
    return {
      ...commonOf(written),
      // A path counts from where the gateway was started, a name is looked up on the program's own PATH.
      command: command.command.includes("/")
        ? path.resolve(HomePath.expand(command.command))
        : command.command,
      args: command.args,
      cwd: path.resolve(HomePath.expand(cwd)),
      env: { ...(yield* Environment.passed(passEnv)), ...env },
      killGrace: killGrace ?? Duration.seconds(2),
      history: { ...AgentSchema.defaultHistory, ...history },
      ...(model === undefined ? {} : { model }),
      ...(system === undefined ? {} : { system })
    }
  })
