/** `colloquy chat`: talks with a session's agent, at a terminal or through a pipe. */
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Effect, Option, Queue } from "effect"
import { CliError } from "../CliError.js"
import * as Input from "../Input.js"
import * as Output from "../Output.js"
import * as Remote from "../Remote.js"
import type * as Settings from "../Settings.js"
import type { SettingsError } from "../SettingsError.js"
import * as Signals from "../Signals.js"
import { type Input as ChatInput, ChatLoop, type Leave } from "./ChatLoop.js"
import * as ChatPipe from "./ChatPipe.js"
import * as Command from "./Command.js"
import * as InputHistory from "./InputHistory.js"
import * as Keyboard from "./Keyboard.js"
import { Room } from "./Room.js"
import { Screen } from "./Screen.js"

export interface Request {
  readonly session: Option.Option<string>
  /** Where the gateway is; absent: where `colloquy serve` with these settings listens. */
  readonly url: Option.Option<string>
}

export const chat = (
  { session, url }: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path | Terminal.Terminal> =>
  Remote.talk(url, flags, ["operator.read", "operator.write"], (talk) => {
    const room = new Room(talk.client, talk.target, Option.getOrUndefined(session))
    const isAtTerminal = Input.isTerminal() && Output.isTerminal()
    return Effect.if(isAtTerminal, {
      onTrue: () => atTerminal(talk, room),
      onFalse: () => ChatPipe.run(talk, room)
    })
  })

const atTerminal = (talk: Remote.Talk, room: Room) =>
  Effect.gen(function* () {
    const inputs = yield* Queue.unbounded<ChatInput>()
    const history = yield* InputHistory.open(talk.settings.stateDir)
    const keyboard = yield* Keyboard.open({
      onTyped: (typed) => void Queue.unsafeOffer(inputs, typed),
      history: history.lines,
      complete: Command.complete
    })
    const screen = new Screen((text) => void process.stdout.write(text), keyboard.prompt)
    const why = yield* Effect.raceFirst(
      ChatLoop.run({ talk, room, screen, inputs, history }),
      Effect.flatMap(talk.signal, Signals.interrupted)
    )
    if (exitCodes[why] !== 0) return yield* new CliError({ message: "", exitCode: exitCodes[why] })
  })

/** Leaving by Ctrl-C ends as shells expect of it. */
const exitCodes: Readonly<Record<Leave, number>> = { asked: 0, interrupted: 130, refused: 1 }
