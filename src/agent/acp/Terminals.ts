/** Terminals: the programs that an agent has started through the gateway (`terminal/*`), in one turn. */
import {
  type CreateTerminalRequest,
  type CreateTerminalResponse,
  RequestError,
  type TerminalOutputResponse,
  type WaitForTerminalExitResponse
} from "@agentclientprotocol/sdk"
import { Deferred, Effect, ExecutionStrategy, Exit, Option, Scope, Stream } from "effect"
import { isAbsolute } from "node:path"
import type { ProcessExit, ProcessGroupsShape } from "../ProcessGroup.js"
import type { AcpOptions } from "./AcpOptions.js"

export interface Terminals {
  readonly create: (request: CreateTerminalRequest) => Effect.Effect<CreateTerminalResponse, RequestError>
  readonly output: (id: string) => Effect.Effect<TerminalOutputResponse, RequestError>
  readonly waitForExit: (id: string) => Effect.Effect<WaitForTerminalExitResponse, RequestError>
  /** Ends the program to its last process; its output stays. */
  readonly kill: (id: string) => Effect.Effect<void, RequestError>
  readonly release: (id: string) => Effect.Effect<void, RequestError>
  /** Ends all of them; no more can be created. */
  readonly close: Effect.Effect<void>
}

interface Terminal {
  readonly scope: Scope.CloseableScope
  readonly exit: Effect.Effect<ProcessExit>
  /** The same, for those who don't wait. */
  readonly exited: Deferred.Deferred<ProcessExit>
  readonly output: Tail
}

/** The most programs that one turn may have at once, and the most bytes of output that are kept of each. */
const mostTerminals = 32
const mostBytes = 1024 * 1024

export const make = (groups: ProcessGroupsShape, options: AcpOptions): Effect.Effect<Terminals> =>
  Effect.gen(function* () {
    const all = yield* Scope.make(ExecutionStrategy.parallel)
    const terminals = new Map<string, Terminal>()
    let made = 0
    let closed = false

    const find = (id: string): Effect.Effect<Terminal, RequestError> =>
      Effect.suspend(() => {
        const terminal = terminals.get(id)
        return terminal === undefined
          ? Effect.fail(RequestError.resourceNotFound(`terminal ${id}`))
          : Effect.succeed(terminal)
      })

    const create: Terminals["create"] = ({ args = [], command, cwd, env = [], outputByteLimit }) =>
      Effect.gen(function* () {
        if (closed) return yield* refuse("the turn is over")
        if (terminals.size >= mostTerminals)
          return yield* refuse(`there are ${mostTerminals} terminals already`)
        const directory = cwd ?? options.cwd
        if (!isAbsolute(directory)) return yield* refuse(`${directory} is not absolute`)
        const scope = yield* Scope.fork(all, ExecutionStrategy.sequential)
        const group = yield* groups
          .spawn({
            command,
            args,
            cwd: directory,
            env: { ...options.env, ...Object.fromEntries(env.map(({ name, value }) => [name, value])) },
            killGrace: options.killGrace
          })
          .pipe(
            Scope.extend(scope),
            Effect.mapError((error) => RequestError.internalError(undefined, error.message)),
            Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
          )
        const output = makeTail(Math.min(mostBytes, outputByteLimit ?? mostBytes))
        const exited = yield* Deferred.make<ProcessExit>()
        const hear = Stream.merge(group.output, group.errors).pipe(
          Stream.runForEach((bytes) => Effect.sync(() => output.add(bytes))),
          Effect.ignore
        )
        yield* Effect.forkIn(Effect.interruptible(hear), scope)
        yield* group.exit.pipe(
          Effect.flatMap((exit) => Deferred.succeed(exited, exit)),
          Effect.interruptible,
          // Not in the terminal's own scope: also one that was killed has an exit status.
          Effect.forkIn(all)
        )
        made += 1
        const terminalId = `t${made}`
        terminals.set(terminalId, { scope, exit: group.exit, exited, output })
        return { terminalId }
      }).pipe(Effect.uninterruptible)

    const kill = (id: string) => Effect.flatMap(find(id), ({ scope }) => Scope.close(scope, Exit.void))

    return {
      create,
      output: (id) =>
        Effect.flatMap(find(id), ({ exited, output }) =>
          Effect.map(Effect.flatMap(Deferred.poll(exited), Effect.transposeOption), (exit) => ({
            ...output.text(),
            ...(Option.isNone(exit) ? {} : { exitStatus: statusOf(exit.value) })
          }))
        ),
      waitForExit: (id) => Effect.flatMap(find(id), ({ exit }) => Effect.map(exit, statusOf)),
      kill,
      release: (id) =>
        Effect.zipRight(
          kill(id),
          Effect.sync(() => terminals.delete(id))
        ),
      close: Effect.suspend(() => {
        closed = true
        return Scope.close(all, Exit.void)
      })
    }
  })

const refuse = (why: string): Effect.Effect<never, RequestError> =>
  Effect.fail(RequestError.invalidParams(undefined, why))

const statusOf = ({ code, signal }: ProcessExit): WaitForTerminalExitResponse => ({ exitCode: code, signal })

interface Tail {
  readonly add: (bytes: Uint8Array) => void
  readonly text: () => { readonly output: string; readonly truncated: boolean }
}

/** The newest bytes of an output. */
const makeTail = (limit: number): Tail => {
  const parts: Array<Uint8Array> = []
  let size = 0
  let truncated = false
  return {
    add: (bytes) => {
      parts.push(bytes)
      size += bytes.length
      if (size <= limit) return
      truncated = true
      // Put together only when twice as much is there, so that a flood is not copied with each piece.
      while (parts.length > 1 && size - (parts[0]?.length ?? 0) >= limit) size -= parts.shift()?.length ?? 0
    },
    text: () => {
      const whole = Buffer.concat(parts)
      let from = Math.max(0, whole.length - limit)
      // Cut at the border of a character, as the protocol demands.
      while (from > 0 && from < whole.length && ((whole[from] ?? 0) & 0xc0) === 0x80) from += 1
      return { output: whole.subarray(from).toString("utf8"), truncated }
    }
  }
}
