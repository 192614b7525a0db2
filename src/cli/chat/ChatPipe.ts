/** ChatPipe: a chat whose lines come from a pipe or a file: one after the other, each answer before the next line is read. */
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Effect, Ref, Stream } from "effect"
import { CliError, exitCodes } from "../CliError.js"
import * as Output from "../Output.js"
import type * as Remote from "../Remote.js"
import { runFailure } from "../Send.js"
import * as Signals from "../Signals.js"
import * as Command from "./Command.js"
import * as PipedLines from "./PipedLines.js"
import type { Room } from "./Room.js"

type Environment = FileSystem.FileSystem | Path.Path | Terminal.Terminal

/** Answers go to standard output, what goes wrong to standard error. Fails at the end when something went wrong. */
export const run = (talk: Remote.Talk, room: Room): Effect.Effect<void, CliError, Environment> =>
  Effect.gen(function* () {
    const failures = yield* Ref.make(0)
    yield* Effect.asVoid(room.welcome)
    yield* PipedLines.lines.pipe(
      Stream.map(Command.parse),
      Stream.takeWhile(({ _tag }) => _tag !== "Quit"),
      Stream.runForEach((command) =>
        perform(talk, room, command).pipe(
          Effect.catchIf(
            ({ exitCode }) => exitCode === exitCodes.failed,
            ({ message }) =>
              Effect.zipRight(
                Ref.update(failures, (count) => count + 1),
                Effect.sync(() => void process.stderr.write(`colloquy: ${message}\n`))
              )
          )
        )
      )
    )
    if ((yield* Ref.get(failures)) > 0)
      return yield* new CliError({ message: "", exitCode: exitCodes.failed })
  }).pipe(Effect.raceFirst(Effect.flatMap(talk.signal, Signals.interrupted)))

const perform = (
  talk: Remote.Talk,
  room: Room,
  command: Command.Command
): Effect.Effect<void, CliError, Environment> => {
  switch (command._tag) {
    case "Say":
      return say(talk, room, command.text)
    case "Help":
      return Output.printLine(room.help)
    case "Sessions":
      return Effect.flatMap(room.sessions, Output.printLine)
    case "Session":
      return Effect.asVoid(room.goTo(command.key))
    case "New":
      return Effect.asVoid(room.begin(command.name))
    case "History":
      return Effect.flatMap(room.history(command.count), Output.printLine)
    case "Image":
      return Effect.asVoid(room.attach(command.file))
    case "Stop":
      return Effect.asVoid(room.stop)
    case "Answer":
      return new CliError({ message: "/answer: there is nobody to ask", exitCode: exitCodes.failed })
    case "Wrong":
      return new CliError({ message: command.message, exitCode: exitCodes.failed })
    case "Nothing":
    case "Quit":
      return Effect.void
  }
}

/** Sends, and prints the answer as it grows. Whoever ends the chat meanwhile aborts the run. */
const say = (talk: Remote.Talk, room: Room, text: string) =>
  Effect.gen(function* () {
    const run = yield* room.send(text)
    yield* run.deltas.pipe(
      Stream.runForEach(({ added, rewritten }) => Output.print(rewritten ? `\n${added}` : added)),
      Effect.mapError((error) => (error instanceof CliError ? error : runFailure(talk.target, error))),
      Effect.onInterrupt(() => Effect.ignore(Effect.interruptible(run.abort))),
      Effect.ensuring(Effect.ignore(Output.print("\n")))
    )
  })
