/** Files: an agent's files through the gateway (`fs/read_text_file`, `fs/write_text_file`), below its working directory. */
import { FileSystem } from "@effect/platform"
import {
  type ReadTextFileRequest,
  type ReadTextFileResponse,
  RequestError,
  type WriteTextFileRequest
} from "@agentclientprotocol/sdk"
import { Effect } from "effect"
import { basename, dirname, isAbsolute, join, sep } from "node:path"
import * as SystemCode from "../process/SystemCode.js"

/**
 * Symbolic links are followed before it is decided whether a path is below the directory. Between that and the access the
 * agent could put another link there: it can read and write as itself in any case, so nothing is won by that.
 */
export interface Files {
  readonly read: (request: ReadTextFileRequest) => Effect.Effect<ReadTextFileResponse, RequestError>
  readonly write: (request: WriteTextFileRequest) => Effect.Effect<void, RequestError>
}

/** The largest file that is read or written. */
export const mostBytes = 1024 * 1024

export const make = (cwd: string): Effect.Effect<Files, never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (files) => {
    const failed = (path: string) => (error: unknown) => {
      const code = SystemCode.of(error)
      return code === "ENOENT"
        ? RequestError.resourceNotFound(path)
        : RequestError.internalError(undefined, `${path}: ${code}`)
    }

    /** The path without symbolic links; of a file that is not there yet, its directory's. */
    const resolve = (path: string): Effect.Effect<string, RequestError> =>
      Effect.gen(function* () {
        if (!isAbsolute(path)) return yield* invalid(`${path} is not absolute`)
        const real = yield* files.realPath(path).pipe(
          Effect.catchAll((error) =>
            SystemCode.of(error) === "ENOENT"
              ? Effect.map(files.realPath(dirname(path)), (directory) => join(directory, basename(path)))
              : Effect.fail(error)
          ),
          Effect.mapError(failed(path))
        )
        const root = yield* Effect.mapError(files.realPath(cwd), failed(cwd))
        if (!real.startsWith(root.endsWith(sep) ? root : root + sep))
          return yield* invalid(`${path} is not below ${cwd}`)
        return real
      })

    /** Fails for what is no file of a bearable size; answers whether it is there. A pipe would never end. */
    const look = (path: string): Effect.Effect<boolean, RequestError> =>
      files.stat(path).pipe(
        Effect.flatMap(({ size, type }) =>
          type !== "File"
            ? invalid(`${path} is no file`)
            : size > BigInt(mostBytes)
              ? invalid(`${path} is larger than ${mostBytes} bytes`)
              : Effect.succeed(true)
        ),
        Effect.catchAll((error) =>
          error instanceof RequestError
            ? Effect.fail(error)
            : SystemCode.of(error) === "ENOENT"
              ? Effect.succeed(false)
              : Effect.fail(failed(path)(error))
        )
      )

    return {
      read: ({ limit, line, path }) =>
        Effect.gen(function* () {
          const real = yield* resolve(path)
          yield* look(real)
          const text = yield* Effect.mapError(files.readFileString(real), failed(path))
          if (!isGiven(line) && !isGiven(limit)) return { content: text }
          const from = Math.max(0, (line ?? 1) - 1)
          const lines = text.split(/(?<=\n)/)
          return { content: lines.slice(from, isGiven(limit) ? from + limit : undefined).join("") }
        }),
      write: ({ content, path }) =>
        Effect.gen(function* () {
          const real = yield* resolve(path)
          yield* look(real)
          if (content.length > mostBytes)
            return yield* invalid(`more than ${mostBytes} characters are not written`)
          yield* Effect.mapError(files.writeFileString(real, content), failed(path))
        })
    }
  })

const isGiven = (value: number | null | undefined): value is number => value !== undefined && value !== null

const invalid = (what: string): Effect.Effect<never, RequestError> =>
  Effect.fail(RequestError.invalidParams(undefined, what))
