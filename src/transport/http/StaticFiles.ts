/**
 * StaticFiles: the files of the page, held in memory. What is asked for is looked up by its path as it stands, so there is no
 * path that leads out of the directory.
 */
import type * as Http from "node:http"
import { createHash } from "node:crypto"
import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"
import { securityHeaders } from "../SecurityHeaders.js"

interface StaticFile {
  readonly type: string
  readonly etag: string
  /** Does its name change with what is in it? */
  readonly isHashed: boolean
  readonly plain: Buffer
  /** The same, compressed by the build. */
  readonly br?: Buffer
  readonly gzip?: Buffer
}

export interface StaticFiles {
  /** Answers a GET or HEAD of a path such as `/` or `/assets/x.js`; `false`: there is no such file. */
  readonly serve: (path: string, request: Http.IncomingMessage, response: Http.ServerResponse) => boolean
}

const types: Readonly<Record<string, string | undefined>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".txt": "text/plain; charset=utf-8",
  ".woff2": "font/woff2"
}

/** What the page may do: nothing but talk to where it came from. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'"
].join("; ")

export const none: StaticFiles = { serve: () => false }

/** Reads a directory, subdirectories included. One that is not there holds nothing. */
export const load = (
  directory: string
): Effect.Effect<StaticFiles, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* Effect.orElseSucceed(fs.readDirectory(directory, { recursive: true }), () => [])
    const contents = new Map<string, Buffer>()
    yield* Effect.forEach(
      names,
      (name) =>
        fs.readFile(path.join(directory, name)).pipe(
          Effect.tap((bytes) =>
            Effect.sync(() => contents.set(`/${name.split(path.sep).join("/")}`, Buffer.from(bytes)))
          ),
          Effect.ignore // A directory.
        ),
      { concurrency: 8, discard: true }
    )
    const files = new Map<string, StaticFile>()
    for (const [name, plain] of contents) {
      const type = types[path.extname(name)]
      if (type === undefined) continue
      const br = contents.get(`${name}.br`)
      const gzip = contents.get(`${name}.gz`)
      files.set(name, {
        type,
        etag: `"${createHash("sha256").update(plain).digest("base64url").slice(0, 22)}"`,
        isHashed: name.startsWith("/assets/"),
        plain,
        ...(br === undefined ? {} : { br }),
        ...(gzip === undefined ? {} : { gzip })
      })
    }
    const index = files.get("/index.html")
    if (index !== undefined) files.set("/", index)
    return {
      serve: (asked, request, response) => {
        const file = files.get(asked)
        if (file === undefined) return false
        answer(file, request, response)
        return true
      }
    }
  })

const answer = (file: StaticFile, request: Http.IncomingMessage, response: Http.ServerResponse): void => {
  const headers = {
    ...securityHeaders,
    "Content-Security-Policy": pagePolicy,
    "Cache-Control": file.isHashed ? "public, max-age=31536000, immutable" : "no-cache",
    ETag: file.etag,
    Vary: "Accept-Encoding"
  }
  if (request.headers["if-none-match"]?.includes(file.etag) === true) {
    response.writeHead(304, headers).end()
    return
  }
  const [encoding, body] = encoded(file, request.headers["accept-encoding"])
  response.writeHead(200, {
    ...headers,
    "Content-Type": file.type,
    "Content-Length": body.length,
    ...(encoding === undefined ? {} : { "Content-Encoding": encoding })
  })
  response.end(request.method === "HEAD" ? undefined : body)
}

/** The smallest that the client takes. */
const encoded = (
  file: StaticFile,
  accepted: Http.IncomingHttpHeaders["accept-encoding"]
): readonly [string | undefined, Buffer] => {
  const takes = new Set(
    (Array.isArray(accepted) ? accepted.join(",") : (accepted ?? ""))
      .split(",")
      .filter((one) => !/;\s*q=0(\.0*)?\s*$/.test(one))
      .map((one) => one.split(";")[0]?.trim().toLowerCase())
  )
  if (file.br !== undefined && takes.has("br")) return ["br", file.br]
  if (file.gzip !== undefined && takes.has("gzip")) return ["gzip", file.gzip]
  return [undefined, file.plain]
}
