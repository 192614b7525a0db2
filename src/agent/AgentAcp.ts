/**
 * AgentAcp: an agent that speaks the Agent Client Protocol (version 1) on stdio: Claude Code, Codex, Gemini CLI, OpenCode and
 * their adapters. Its process is started by the first run and lives on; how, and what it is told: docs/decisions/13.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Layer, type Scope, Stream } from "effect"
import * as AcpFailure from "./acp/AcpFailure.js"
import type { AcpOptions } from "./acp/AcpOptions.js"
import * as AcpProcess from "./acp/AcpProcess.js"
import * as AcpProcesses from "./acp/AcpProcesses.js"
import * as AcpSessions from "./acp/AcpSessions.js"
import * as AcpTurn from "./acp/AcpTurn.js"
import * as Files from "./acp/Files.js"
import * as Secrets from "./process/Secrets.js"
import { type Agent, AgentRunner } from "./AgentRunner.js"
import { ProcessGroups } from "./ProcessGroup.js"

export type { AcpOptions } from "./acp/AcpOptions.js"

/** Closing the scope ends all its processes. */
export const make = (
  options: AcpOptions
): Effect.Effect<Agent, never, ProcessGroups | FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const groups = yield* ProcessGroups
    const clientSide = { options, files: yield* Files.make(options.cwd) }
    const workshop: AcpProcess.Workshop = { options, groups, clientSide }
    const sessions = AcpSessions.make(options, yield* AcpProcesses.make(workshop))
    const inTime = Effect.timeoutFail({
      duration: options.startTimeout,
      onTimeout: () => AcpFailure.startTimeout(options.command, options.startTimeout)
    })
    return Secrets.keep(options.env, {
      about: {
        kind: "acp",
        images: options.images ?? true,
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.model === undefined ? {} : { model: { id: options.model, provider: "acp" } }),
        ...(options.runTimeout === undefined ? {} : { runTimeout: options.runTimeout }),
        ...(options.maxConcurrentRuns === undefined ? {} : { maxConcurrentRuns: options.maxConcurrentRuns })
      },
      run: (request) =>
        sessions.open(request).pipe(
          inTime,
          Effect.flatMap((session) => AcpTurn.prompt(options, groups, session, request)),
          Stream.unwrapScoped
        ),
      check: Effect.scoped(inTime(check(workshop)))
    })
  })

/** The one agent of a gateway. */
export const layer = (
  options: AcpOptions
): Layer.Layer<AgentRunner, never, ProcessGroups | FileSystem.FileSystem> =>
  Layer.scoped(
    AgentRunner,
    Effect.map(make(options), ({ about, run }) => ({ agents: about, run }))
  )

/** Starts a process of its own, as far as a session; it is ended when the scope closes. */
const check = (workshop: AcpProcess.Workshop) =>
  Effect.gen(function* () {
    const process = yield* AcpProcess.start(workshop)
    yield* AcpSessions.makeNew(workshop.options, process)
    const { agentCapabilities, agentInfo } = process.info
    const abilities = [
      agentCapabilities?.promptCapabilities?.image === true ? "images" : undefined,
      agentCapabilities?.loadSession === true ? "loading sessions" : undefined
    ].filter((ability) => ability !== undefined)
    const who =
      agentInfo === undefined || agentInfo === null
        ? workshop.options.command
        : `${agentInfo.title ?? agentInfo.name} ${agentInfo.version}`
    return [`${who} answers`, ...(abilities.length === 0 ? [] : [`can do ${abilities.join(" and ")}`])].join(
      ", "
    )
  })
