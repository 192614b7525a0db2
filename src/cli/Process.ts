/** The process: runs the program and ends with its exit code. */
import { Effect, Exit } from "effect"

/** No timer of Node's can be longer. */
const longest = 2 ** 31 - 1

export const run = (program: Effect.Effect<number>): void => {
  // Whoever reads what we write may go (`colloquy ... | head`). Writing fails then; that must not end a gateway.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined)
  // A program that waits for a signal holds nothing else that keeps Node going.
  const alive = setInterval(() => undefined, longest)
  Effect.runFork(program).addObserver((exit) => {
    clearInterval(alive)
    const code = Exit.isSuccess(exit) ? exit.value : 1
    // Behind what is still to be written.
    process.stdout.write("", () => process.exit(code))
  })
}
