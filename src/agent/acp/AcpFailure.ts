/** AcpFailure: what an operator is told when an ACP agent fails. */
import type { RequestError } from "@agentclientprotocol/sdk"
import { Duration } from "effect"
import { stripVTControlCharacters } from "node:util"
import { AgentError } from "../AgentRunner.js"
import type { ProcessExit } from "../ProcessGroup.js"

/** Fails the runs that an agent's process had when it ended by itself. */
export const died = (command: string, exit: ProcessExit | undefined, tail: string): AgentError =>
  new AgentError({
    code: "ACP_AGENT_DIED",
    retryable: true,
    message: [
      `${command} `,
      exit === undefined
        ? "has closed its output, and was stopped"
        : exit.code === null
          ? `was ended by ${exit.signal}${exit.signal === "SIGKILL" ? " (was the machine out of memory?)" : ""}`
          : `has ended with exit code ${exit.code}`,
      "; the next message starts it anew. ",
      tail === ""
        ? "It has said nothing on stderr: run it by hand to see why"
        : `Mend what it says on stderr:\n${tail}`
    ].join("")
  })

/** Fails the runs of a process that the gateway has stopped. `why` is a clause: `it did not …`. */
export const stopped = (command: string, why: string): AgentError =>
  new AgentError({
    code: "ACP_AGENT_DIED",
    retryable: true,
    message: `${command} was stopped, since ${why}; the next message starts it anew`
  })

/** It is not ready in time. */
export const startTimeout = (command: string, limit: Duration.Duration): AgentError =>
  new AgentError({
    code: "ACP_START_TIMEOUT",
    message: `${command} was not ready within ${Duration.format(limit)}: check that its arguments make it speak the Agent Client Protocol on stdio, see what it says on stderr in the log (level debug), or raise startTimeout`
  })

/** It says what the protocol does not allow. `what` is a clause. */
export const protocol = (command: string, what: string): AgentError =>
  new AgentError({
    code: "ACP_PROTOCOL",
    message: `${command} ${what}: install a version of it that speaks version 1 of the Agent Client Protocol`
  })

/** A way to log in, as an agent offers it. */
export interface AuthMethod {
  readonly id: string
  readonly name?: string | null | undefined
}

/** JSON-RPC's code for it, as the protocol has it. */
const authRequired = -32000

/** It has answered a request with an error. */
export const refused = (
  command: string,
  method: string,
  error: RequestError,
  authMethods: ReadonlyArray<AuthMethod>
): AgentError => {
  const said = short([error.message, detailsOf(error.data)].filter((part) => part !== "").join(": "))
  if (error.code !== authRequired)
    return new AgentError({
      code: "ACP_REQUEST_FAILED",
      message: `${command} has answered ${method} with an error: ${said} (${error.code})`
    })
  const ways = authMethods.map(({ id, name }) => name ?? id).join(", ")
  return new AgentError({
    code: "ACP_AUTH_REQUIRED",
    message: [
      `${command} is not logged in (${said}): log in with its own command, as the gateway's user and with the same HOME, `,
      "or put its key into the agent's env",
      ways === "" ? "" : `. It offers: ${short(ways)}`
    ].join("")
  })
}

const detailsOf = (data: unknown): string => {
  if (typeof data === "string") return data
  if (typeof data !== "object" || data === null) return ""
  if ("details" in data && typeof data.details === "string") return data.details
  return "message" in data && typeof data.message === "string" ? data.message : ""
}

const short = (text: string): string => {
  const clean = stripVTControlCharacters(text).replace(/\p{Cc}+/gu, " ")
  return clean.length > 1000 ? `${clean.slice(0, 1000)} ...` : clean
}

/** The model behind the agent won't answer this. */
export const filtered = (command: string): AgentError =>
  new AgentError({
    code: "CONTENT_FILTERED",
    message: `${command} refuses to answer this: say it in other words, or begin a new session`
  })

/** It has given up its turn by itself. */
export const cancelled = (command: string): AgentError =>
  new AgentError({
    code: "ACP_CANCELLED",
    message: `${command} has cancelled its turn, though nobody has asked it to: send the message again`
  })

export const imagesNotSupported = (command: string): AgentError =>
  new AgentError({
    code: "IMAGES_NOT_SUPPORTED",
    message: `${command} can't see images: send the message without them`
  })

export const modelNotOffered = (command: string, model: string, offered: ReadonlyArray<string>): AgentError =>
  new AgentError({
    code: "ACP_MODEL_NOT_OFFERED",
    message: `${command} does not offer the model ${model}: set the agent's model to one of ${short(offered.join(", "))}`
  })

/** A run that is not heard out holds up all others of its process. */
export const notHeard = (limit: Duration.Duration): AgentError =>
  new AgentError({
    code: "ACP_NOT_HEARD",
    message: `the gateway did not take what the agent says for ${Duration.format(limit)}: it is overloaded`
  })
