/** AgentDefinition: an agent as it is to be made, read from the config file and the environment. */
import { Option } from "effect"
import type * as AgentAcp from "../../agent/AgentAcp.js"
import type * as AgentCommand from "../../agent/AgentCommand.js"
import type { AgentPolicy } from "../../agent/AgentPolicy.js"
import type { ModelOptions } from "../../agent/model/ModelOptions.js"
import type { AgentAbout } from "../../domain/AgentAbout.js"

export type AgentDefinition = { readonly policy: AgentPolicy } & (
  | { readonly kind: "demo"; readonly options: Partial<AgentAbout> }
  | { readonly kind: "openai"; readonly options: ModelOptions }
  | { readonly kind: "anthropic"; readonly options: ModelOptions }
  | { readonly kind: "acp"; readonly options: AgentAcp.AcpOptions }
  | { readonly kind: "command"; readonly options: AgentCommand.CommandOptions }
)

/** What answers, in a few words: `anthropic claude-sonnet-4-5`, `acp claude-code-acp`. */
export const describe = (definition: AgentDefinition): string =>
  [definition.kind, Option.getOrElse(programOf(definition), () => modelOf(definition))].join(" ").trim()

/** The program that is started, without its arguments: there may be a secret among them. */
export const programOf = (definition: AgentDefinition): Option.Option<string> =>
  definition.kind === "acp" || definition.kind === "command"
    ? Option.some(definition.options.command)
    : Option.none()

/** The model, as far as one is named. */
export const modelOf = (definition: AgentDefinition): string =>
  definition.kind === "demo" ? "" : (definition.options.model ?? "")
