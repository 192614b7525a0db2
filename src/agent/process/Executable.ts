/** Executable: where the system would find a program, and what is wrong when it can't be started. */
import { FileSystem } from "@effect/platform"
import { Effect } from "effect"
import { isAbsolute, join } from "node:path"
import { ProcessError, type Program } from "../ProcessGroup.js"
import * as SystemCode from "./SystemCode.js"

/** Where programs are looked for when the environment has no `PATH`. */
const defaultPath = "/bin:/usr/bin"

/** The directories on which a program is looked up; empty for one that is named by a path. */
const directories = ({ command, env }: Program): ReadonlyArray<string> =>
  command.includes("/") ? [] : (env["PATH"] ?? defaultPath).split(":")

/** The path of the program, as the system would find it: seen from the working directory that it is started in. */
export const find = (program: Program): Effect.Effect<string, ProcessError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    yield* checkCwd(program)
    const { command, cwd = "" } = program
    const names = command.includes("/")
      ? [command]
      : // An empty entry of PATH is the working directory.
        directories(program).map((directory) => join(directory === "" ? "." : directory, command))
    let code = "ENOENT"
    for (const name of names) {
      const path = isAbsolute(name) ? name : join(cwd, name)
      const found = yield* look(path)
      if (found === "found") return path
      // The system goes on looking, and says this at the end when there was nothing better.
      if (found === "EACCES") code = "EACCES"
    }
    return yield* new ProcessError({ operation: "start", command, code })
  })

/** Is there a file that may be executed? */
const look = (path: string): Effect.Effect<Found, never, FileSystem.FileSystem> =>
  FileSystem.FileSystem.pipe(
    Effect.flatMap((files) => files.stat(path)),
    Effect.map(({ mode, type }): Found => (type === "File" && (mode & 0o111) !== 0 ? "found" : "EACCES")),
    Effect.catchAll((error) => Effect.succeed<Found>(SystemCode.of(error) === "EACCES" ? "EACCES" : "ENOENT"))
  )

type Found = "found" | "EACCES" | "ENOENT"

/** Fails when the working directory can't be entered. The system says the same of that as of a missing program. */
export const checkCwd = ({
  command,
  cwd
}: Program): Effect.Effect<void, ProcessError, FileSystem.FileSystem> =>
  cwd === undefined
    ? Effect.void
    : FileSystem.FileSystem.pipe(
        // The dot needs what entering needs: a directory, and the right to search it.
        Effect.flatMap((files) => files.stat(`${cwd}/.`)),
        Effect.mapError(
          (error) => new ProcessError({ operation: "start", command, code: SystemCode.of(error), cwd })
        ),
        Effect.asVoid
      )
