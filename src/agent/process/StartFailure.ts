/** StartFailure: what an operator is told of a program that can't be started. */
import { Effect } from "effect"
import { AgentError } from "../AgentRunner.js"
import type { ProcessError, ProcessGroupsShape, Program } from "../ProcessGroup.js"

/** Turns the failure to start (or to find) a program into the agent's. */
export const describe = (
  groups: Pick<ProcessGroupsShape, "find">,
  program: Program,
  error: ProcessError
): Effect.Effect<AgentError> =>
  error.code === "ENOENT" && error.cwd === undefined
    ? Effect.match(groups.find(program), {
        onFailure: () => notFound(program),
        onSuccess: (path) =>
          new AgentError({
            code: "COMMAND_NOT_EXECUTABLE",
            message: `${path} is there, but not the interpreter that its first line names: install that one, or mend the line`
          })
      })
    : Effect.succeed(make(error))

const notFound = ({ command }: Program): AgentError =>
  new AgentError({
    code: "COMMAND_NOT_FOUND",
    message: command.includes("/")
      ? `there is no program ${command}: install it, or set the agent's command to where it is`
      : `there is no program ${JSON.stringify(command)} on the agent's PATH: ${
          command.includes(" ")
            ? `its arguments belong into an array: ["program", "argument"]`
            : "install it, or set the agent's command to its full path"
        }`
  })

const make = ({ code, command, cwd }: ProcessError): AgentError => {
  if (cwd !== undefined)
    return new AgentError({
      code: "COMMAND_CWD",
      message: `the working directory ${cwd} of ${command} can't be entered (${code}): make it, or set the agent's cwd to another`
    })
  if (code === "EACCES")
    return new AgentError({
      code: "COMMAND_NOT_EXECUTABLE",
      message: `${command} may not be executed by the gateway's user: chmod +x it, or set the agent's command to another program`
    })
  if (isShortage(code))
    return new AgentError({
      code: "COMMAND_NOT_STARTED",
      retryable: true,
      message: `the machine has no room for ${command} at the moment (${code}): let fewer runs work at once, or raise its limits`
    })
  return new AgentError({
    code: "COMMAND_NOT_STARTED",
    message:
      code === "ENOTSUP"
        ? `${command} can't be started: programs need process groups, which this system does not have`
        : `${command} can't be started (${code}): check the agent's command, args and env`
  })
}

/** Too many processes or open files, or too little memory. */
const isShortage = (code: string): boolean => ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"].includes(code)
