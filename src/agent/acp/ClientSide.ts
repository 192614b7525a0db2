/** ClientSide: what an agent may ask of the gateway while it is at a turn: permissions, files, terminals. */
import {
  type ClientApp,
  type ClientCapabilities,
  methods,
  RequestError,
  type RequestPermissionRequest,
  type RequestPermissionResponse
} from "@agentclientprotocol/sdk"
import { Deferred, Effect, Option } from "effect"
import type { AgentRequest, PermissionOption } from "../AgentRunner.js"
import type { AcpOptions } from "./AcpOptions.js"
import type { Files } from "./Files.js"
import type { Inbox } from "./Inbox.js"
import type { Reader } from "./SessionUpdate.js"
import type { Terminals } from "./Terminals.js"

/** A prompt that was not answered yet. */
export interface Turn {
  readonly reader: Reader
  readonly inbox: Inbox
  readonly ask: AgentRequest["ask"]
  /** The run was aborted or has failed: what it was asked is answered with `cancelled`. */
  readonly abandoned: Deferred.Deferred<void>
  readonly terminals: Terminals
}

export interface ClientSide {
  readonly options: Pick<AcpOptions, "files" | "permissions" | "permissionTimeout" | "terminal">
  readonly files: Files
}

/** What the agent is told that it may ask for. */
export const capabilities = ({ files, terminal }: AcpOptions): ClientCapabilities => ({
  fs: { readTextFile: files !== "none", writeTextFile: files === "readWrite" },
  terminal
})

type RunPromise = <A>(effect: Effect.Effect<A, RequestError>) => Promise<A>

/** Has the SDK answer the agent's requests. What is not offered is answered with "method not found". */
export const register = (
  app: ClientApp,
  { files, options }: ClientSide,
  turns: ReadonlyMap<string, Turn>,
  runPromise: RunPromise
): void => {
  const { fs, session, terminal } = methods.client
  const ofTurn = <A>(sessionId: string, use: (turn: Turn) => Effect.Effect<A, RequestError>) =>
    runPromise(
      Effect.suspend(() => {
        const turn = turns.get(sessionId)
        return turn === undefined
          ? Effect.fail(RequestError.invalidParams(undefined, "the session is at no turn"))
          : use(turn)
      })
    )

  app.onRequest(session.requestPermission, ({ params }) =>
    runPromise(Effect.suspend(() => decide(options, turns.get(params.sessionId), params)))
  )
  if (options.files !== "none") app.onRequest(fs.readTextFile, ({ params }) => runPromise(files.read(params)))
  if (options.files === "readWrite")
    app.onRequest(fs.writeTextFile, ({ params }) => runPromise(Effect.as(files.write(params), {})))
  if (!options.terminal) return
  app.onRequest(terminal.create, ({ params }) =>
    ofTurn(params.sessionId, ({ terminals }) => terminals.create(params))
  )
  app.onRequest(terminal.output, ({ params }) =>
    ofTurn(params.sessionId, ({ terminals }) => terminals.output(params.terminalId))
  )
  app.onRequest(terminal.waitForExit, ({ params }) =>
    ofTurn(params.sessionId, ({ terminals }) => terminals.waitForExit(params.terminalId))
  )
  app.onRequest(terminal.kill, ({ params }) =>
    ofTurn(params.sessionId, ({ terminals }) => Effect.as(terminals.kill(params.terminalId), {}))
  )
  app.onRequest(terminal.release, ({ params }) =>
    ofTurn(params.sessionId, ({ terminals }) => Effect.as(terminals.release(params.terminalId), {}))
  )
}

const cancelled: RequestPermissionResponse = { outcome: { outcome: "cancelled" } }

/** Answers a request for permission. Never more than was asked for: a single yes is preferred to one for ever. */
const decide = (
  { permissionTimeout, permissions }: ClientSide["options"],
  turn: Turn | undefined,
  { options, toolCall }: RequestPermissionRequest
): Effect.Effect<RequestPermissionResponse> => {
  const select = (...kinds: ReadonlyArray<PermissionOption["kind"]>): RequestPermissionResponse => {
    const chosen = kinds
      .map((kind) => options.find((option) => option.kind === kind))
      .find((option) => option !== undefined)
    return chosen === undefined ? cancelled : selected(chosen.optionId)
  }
  const no = select("reject_once", "reject_always")
  if (turn === undefined) return Effect.succeed(cancelled)
  if (permissions === "deny") return Effect.succeed(no)
  if (permissions === "allow")
    return Effect.map(Deferred.isDone(turn.abandoned), (done) =>
      done ? cancelled : select("allow_once", "allow_always")
    )
  const { kind, rawInput, title, toolCallId } = toolCall
  const asked = turn.ask({
    title: title ?? turn.reader.nameOf(toolCallId) ?? kind ?? "use a tool",
    toolCallId,
    ...(rawInput === undefined || rawInput === null ? {} : { args: rawInput }),
    options: options.map((option) => ({ id: option.optionId, name: option.name, kind: option.kind })),
    timeout: permissionTimeout
  })
  const answered = Effect.raceFirst(
    Effect.map(asked, (answer) => (Option.isSome(answer) ? selected(answer.value.id) : no)),
    Effect.as(Deferred.await(turn.abandoned), cancelled)
  )
  // Nobody is asked for a turn that is given up.
  return Effect.flatMap(Deferred.isDone(turn.abandoned), (done) =>
    done ? Effect.succeed(cancelled) : answered
  )
}

const selected = (optionId: string): RequestPermissionResponse => ({
  outcome: { outcome: "selected", optionId }
})
