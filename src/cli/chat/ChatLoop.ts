/**
 * ChatLoop: a chat at a terminal. Keys, the gateway's events and what becomes of messages come as inputs, one after the
 * other; what takes time runs beside, and its end is an input too, so that Ctrl-C is always heard.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Deferred, Effect, Fiber, FiberSet, Queue, Stream } from "effect"
import { isTerminal } from "../../client/Answer.js"
import type { Run } from "../../client/Run.js"
import * as RunState from "../../client/RunState.js"
import type { ServerEvent } from "../../client/ServerEvent.js"
import type { Status } from "../../client/Status.js"
import type { PermissionQuestion } from "../../protocol/Permission.js"
import type { CliError } from "../CliError.js"
import type * as Remote from "../Remote.js"
import { visible, visibleText } from "../Visible.js"
import * as Command from "./Command.js"
import type { InputHistory } from "./InputHistory.js"
import type { Typed } from "./Keyboard.js"
import type { Room } from "./Room.js"
import type { Screen } from "./Screen.js"
import * as Words from "./Words.js"

export type Input =
  | Typed
  | { readonly _tag: "State"; readonly run: Run; readonly state: RunState.RunState }
  | { readonly _tag: "Event"; readonly event: ServerEvent }
  | { readonly _tag: "Status"; readonly status: Status }
  /** What was asked for beside is there. */
  | { readonly _tag: "Done"; readonly text: string }
  | { readonly _tag: "Failed"; readonly error: CliError }
  /** What somebody else has asked. */
  | { readonly _tag: "Quoted"; readonly text: string }

/** Why a chat ended. */
export type Leave = "asked" | "interrupted" | "refused"

interface Shown {
  readonly run: Run
  /** What the user wrote. */
  readonly question: string
  state: RunState.RunState
  printed: string
  isStopping: boolean
}

export interface ChatLoopOptions {
  readonly talk: Remote.Talk
  readonly room: Room
  readonly screen: Screen
  readonly inputs: Queue.Queue<Input>
  readonly history: InputHistory
}

export class ChatLoop {
  readonly #options: ChatLoopOptions
  readonly #fork: (
    effect: Effect.Effect<void, never, FileSystem.FileSystem | Path.Path>
  ) => Fiber.RuntimeFiber<void>
  readonly #left: Deferred.Deferred<Leave>
  /** The first one is the one whose answer is on the screen. */
  readonly #runs: Array<Shown> = []
  /** Every run that was begun here: what becomes of it is no news. */
  readonly #ours = new Set<string>()
  readonly #questions: Array<typeof PermissionQuestion.Type> = []
  /** What takes time and is not a run. */
  #task: Fiber.RuntimeFiber<void> | undefined
  /** Was the last thing Ctrl-C with nothing to stop? */
  #isLeaving = false
  #wasLost = false

  private constructor(
    options: ChatLoopOptions,
    fork: (effect: Effect.Effect<void, never, FileSystem.FileSystem | Path.Path>) => Fiber.RuntimeFiber<void>,
    left: Deferred.Deferred<Leave>
  ) {
    this.#options = options
    this.#fork = fork
    this.#left = left
  }

  /** Talks until the user, or the gateway, has had enough. */
  static run = (options: ChatLoopOptions) =>
    Effect.scoped(
      Effect.gen(function* () {
        const fork = yield* FiberSet.makeRuntime<FileSystem.FileSystem | Path.Path, void>()
        const left = yield* Deferred.make<Leave>()
        const loop = new ChatLoop(options, fork, left)
        const { inputs, talk } = options
        const offer = (input: Input) => Queue.offer(inputs, input)
        const events = yield* talk.client.subscribe
        yield* Effect.forkScoped(Stream.runForEach(events, (event) => offer({ _tag: "Event", event })))
        yield* Effect.forkScoped(
          Stream.runForEach(talk.client.statuses, (status) => offer({ _tag: "Status", status }))
        )
        loop.#begin(
          Effect.zipWith(options.room.welcome, options.room.history(4), (welcome, messages) =>
            Words.opening(welcome, messages)
          )
        )
        yield* Effect.forkScoped(
          Effect.forever(Effect.flatMap(Queue.take(inputs), (input) => loop.#take(input)))
        )
        return yield* Deferred.await(left)
      })
    )

  #take(input: Input): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (input._tag !== "Interrupt" && input._tag !== "Event" && input._tag !== "Status")
        this.#isLeaving = false
      switch (input._tag) {
        case "Line":
          return this.#entered(input.text)
        case "Escape":
          return this.#stop()
        case "Interrupt":
          return this.#interrupted(input.line)
        case "End":
          return this.#leave("asked")
        case "Quoted":
          return Effect.sync(() => {
            if (input.text !== "") this.#options.screen.lines(input.text)
          })
        case "State":
          return this.#changed(input.run, input.state)
        case "Event":
          return Effect.sync(() => this.#told(input.event))
        case "Status":
          return this.#connected(input.status)
        case "Done":
          return Effect.sync(() => this.#done(input.text))
        case "Failed":
          return Effect.sync(() => this.#done(Words.problem(input.error.message)))
      }
    })
  }

  get #isIdle(): boolean {
    return this.#runs.length === 0 && this.#task === undefined
  }

  /** The prompt is there whenever nothing is under way. */
  #settle(): void {
    if (this.#isIdle) this.#options.screen.prompt()
  }

  /** Has something done beside; what it answers is shown. */
  #begin(work: Effect.Effect<string, CliError, FileSystem.FileSystem | Path.Path>): void {
    const { inputs } = this.#options
    this.#task = this.#fork(
      Effect.matchEffect(work, {
        onFailure: (error) => Queue.offer(inputs, { _tag: "Failed", error }),
        onSuccess: (text) => Queue.offer(inputs, { _tag: "Done", text })
      }).pipe(Effect.asVoid)
    )
  }

  #done(text: string): void {
    this.#task = undefined
    if (text !== "") this.#options.screen.lines(text)
    this.#settle()
  }

  #entered(line: string): Effect.Effect<void> {
    const { history, room, screen } = this.#options
    if (screen.isPrompted) screen.entered()
    const command = Command.parse(line)
    const kept = command._tag === "Nothing" ? Effect.void : history.add(line)
    return Effect.zipRight(
      kept,
      Effect.suspend(() => {
        switch (command._tag) {
          case "Nothing":
            break
          case "Say":
            return this.#say(command.text)
          case "Help":
            screen.lines(room.help)
            break
          case "Wrong":
            screen.lines(Words.problem(command.message))
            break
          case "Sessions":
            this.#begin(room.sessions)
            break
          case "Session":
            this.#begin(room.goTo(command.key))
            break
          case "New":
            this.#begin(room.begin(command.name))
            break
          case "History":
            this.#begin(
              Effect.map(room.history(command.count), (text) =>
                text === "" ? Words.note("no messages yet") : text
              )
            )
            break
          case "Image":
            this.#begin(room.attach(command.file))
            break
          case "Stop":
            this.#begin(room.stop)
            break
          case "Answer":
            this.#answer(command.option)
            break
          case "Quit":
            return this.#leave("asked")
        }
        this.#settle()
        return Effect.void
      })
    )
  }

  #say(text: string): Effect.Effect<void> {
    const { inputs, room } = this.#options
    return room.send(text).pipe(
      Effect.matchEffect({
        onFailure: (error) => Queue.offer(inputs, { _tag: "Failed", error }),
        onSuccess: (run) => this.#sent(run, text)
      }),
      Effect.asVoid
    )
  }

  #sent(run: Run, question: string): Effect.Effect<void> {
    const { inputs } = this.#options
    return Effect.flatMap(run.state, (state) =>
      Effect.sync(() => {
        this.#ours.add(run.key)
        this.#runs.push({ run, question, state, printed: "", isStopping: false })
        this.#fork(
          Stream.runForEach(run.states, (next) =>
            Queue.offer(inputs, { _tag: "State", run, state: next })
          ).pipe(
            Effect.ignore // The client is closed, or refused: its status says so.
          )
        )
      })
    )
  }

  #changed(run: Run, state: RunState.RunState): Effect.Effect<void> {
    return Effect.sync(() => {
      const shown = this.#runs.find((one) => one.run.key === run.key)
      if (shown === undefined) return
      shown.state = state
      this.#show()
    })
  }

  /** Shows what there is of the first answer, and of those behind it when it is over. */
  #show(): void {
    const { screen } = this.#options
    for (let shown = this.#runs[0]; shown !== undefined; shown = this.#runs[0]) {
      const text = RunState.textOf(shown.state)
      if (text.startsWith(shown.printed)) screen.text(visibleText(text.slice(shown.printed.length)))
      else screen.lines(visibleText(text))
      shown.printed = text
      if (!RunState.isOver(shown.state)) return
      screen.close()
      const end = Words.end(shown.state, shown.isStopping)
      if (end !== "") screen.lines(end)
      this.#runs.shift()
      const next = this.#runs[0]
      // It was typed while the other answer grew, and not shown.
      if (next !== undefined) screen.lines(Words.question(next.question))
    }
    this.#settle()
  }

  /** Stops the answer that is on the screen, or what takes time. */
  #stop(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const [shown] = this.#runs
      if (shown !== undefined) {
        if (shown.isStopping) return Effect.void
        shown.isStopping = true
        this.#fork(Effect.ignore(shown.run.abort)) // What keeps it from being aborted is told by the run, too.
        return Effect.void
      }
      if (this.#task === undefined) return Effect.void
      const task = this.#task
      this.#task = undefined
      return Effect.zipRight(
        Fiber.interruptFork(task),
        Effect.sync(() => this.#settle())
      )
    })
  }

  #interrupted(line: string): Effect.Effect<void> {
    const { screen } = this.#options
    const [shown] = this.#runs
    if (shown?.isStopping === true) return this.#leave("interrupted")
    if (!this.#isIdle) return this.#stop()
    if (line !== "") {
      this.#isLeaving = false
      return Effect.void
    }
    if (this.#isLeaving) return this.#leave("interrupted")
    this.#isLeaving = true
    screen.lines(Words.note("Ctrl-C once more leaves, and so does Ctrl-D"))
    return Effect.void
  }

  #leave(why: Leave): Effect.Effect<void> {
    return Effect.zipRight(
      Effect.sync(() => this.#options.screen.close()),
      Effect.asVoid(Deferred.succeed(this.#left, why))
    )
  }

  #answer(option: number): void {
    const { room, screen } = this.#options
    const [question] = this.#questions
    const chosen = question?.options[option - 1]
    if (question === undefined) screen.lines(Words.problem("Nothing was asked."))
    else if (chosen === undefined) {
      screen.lines(Words.problem(`/answer: expected a number from 1 to ${question.options.length}`))
    } else this.#begin(room.answer(question.id, chosen.id))
  }

  /** What the gateway tells of this session. */
  #told(event: ServerEvent): void {
    const { room, screen } = this.#options
    switch (event.event) {
      case "agent": {
        const { data, runId, stream } = event.payload
        if (stream !== "tool" || data["phase"] !== "start" || this.#runs[0]?.run.key !== runId) return
        screen.close()
        screen.lines(Words.tool(data))
        return
      }
      case "chat": {
        const { payload } = event
        // Ours are told by their runs; of what others have asked, only the end.
        if (!isTerminal(payload) || this.#isOurs(payload.runId) || !room.isHere(payload.sessionKey)) return
        screen.lines(Words.elsewhere(payload))
        return
      }
      case "sessions.changed": {
        const { reason, runId, sessionKey } = event.payload
        if (!room.isHere(sessionKey)) return
        if (reason === "message" && runId !== undefined && !this.#isOurs(runId)) this.#quote(runId)
        if (reason === "reset" || reason === "delete") screen.lines(Words.note(Words.changes[reason]))
        return
      }
      case "permission.requested": {
        if (!room.isHere(event.payload.sessionKey)) return
        this.#questions.push(event.payload)
        screen.lines(Words.permission(event.payload))
        return
      }
      case "permission.resolved": {
        const at = this.#questions.findIndex(({ id }) => id === event.payload.id)
        if (at < 0) return
        this.#questions.splice(at, 1)
        screen.lines(Words.resolved(event.payload))
        const next = this.#questions[0]
        if (next !== undefined && at === 0) screen.lines(Words.permission(next))
        return
      }
      case "resume.reset":
        if (this.#isIdle)
          screen.lines(Words.note("some of what was said meanwhile is not shown; /history shows it"))
        return
      case "shutdown":
      case "tick":
        return
    }
  }

  #isOurs(runId: string): boolean {
    return this.#ours.has(runId)
  }

  /** Shows what somebody else has asked here. */
  #quote(runId: string): void {
    const { inputs, room } = this.#options
    this.#fork(
      room.question(runId).pipe(
        Effect.flatMap((text) => Queue.offer(inputs, { _tag: "Quoted", text })),
        Effect.ignore // It is in the history.
      )
    )
  }

  #connected(status: Status): Effect.Effect<void> {
    const { screen } = this.#options
    if (status._tag === "Refused") {
      screen.lines(Words.problem(`The gateway does not let us in any more: ${visible(status.error.message)}`))
      return this.#leave("refused")
    }
    if (status._tag === "Waiting" && !this.#wasLost) {
      this.#wasLost = true
      screen.lines(Words.note(`connection lost (${status.reason}); trying again`))
    }
    if (status._tag === "Open" && this.#wasLost) {
      this.#wasLost = false
      screen.lines(Words.note("connected again"))
    }
    return Effect.void
  }
}
