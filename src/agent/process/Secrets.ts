/** Secrets: what of a program's environment must not be told to whoever chats with it. */
import { Effect, Stream } from "effect"
import { type Agent, AgentError } from "../AgentRunner.js"

/** Names of variables that hold a secret, as far as names can tell. */
const secretName = /key|token|secret|passw|credential|auth/i
/** Shorter values are words of every text. */
const shortest = 6

/**
 * The agent, with the values of secret variables taken out of what it fails with: a program may well say its key when that is
 * refused, and its last words are in the error.
 */
export const keep = (env: Readonly<Record<string, string>>, agent: Agent): Agent => {
  const secrets = Object.entries(env)
    .filter(([name, value]) => secretName.test(name) && value.length >= shortest)
    .map(([, value]) => value)
  if (secrets.length === 0) return agent
  const hide = (error: AgentError): AgentError => {
    const message = secrets.reduce((text, secret) => text.replaceAll(secret, "[hidden]"), error.message)
    return message === error.message ? error : new AgentError({ ...error, message })
  }
  return {
    ...agent,
    run: (request) => Stream.mapError(agent.run(request), hide),
    check: Effect.mapError(agent.check, hide)
  }
}
