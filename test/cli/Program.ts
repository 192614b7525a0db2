/** The program as its users have it: a bundle of `src/main.ts`, in processes of their own. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, type Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { homedir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

/** How one process ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  /** Waits until that output matches; dies when the process ends before. */
  readonly until: (stream: "stdout" | "stderr", pattern: RegExp) => Effect.Effect<ReadonlyArray<string>>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Stops reading what it writes to standard output. */
  readonly closeStdout: Effect.Effect<void>
  readonly ended: Effect.Effect<Ended>
}

export interface ProgramShape {
  /** The file that Node runs. */
  readonly main: string
  /** Begins a process, which is killed when the scope closes. */
  readonly start: (
    args: ReadonlyArray<string>,
    environment?: Readonly<Record<string, string>>,
    /** What it reads from standard input, to its end. */
    input?: string
  ) => Effect.Effect<Running, never, Scope.Scope>
}

export class Program extends Context.Tag("test/Program")<Program, ProgramShape>() {}

const programOf = (main: string): ProgramShape => ({
  main,
  start: (args, environment = {}, input) => start(main, args, environment, input)
})

/** Bundles once, beside the packages that the bundle may look for. */
export const layer: Layer.Layer<Program> = Layer.scoped(
  Program,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const outdir = yield* fs.makeTempDirectoryScoped({
      directory: join(root, "node_modules"),
      prefix: ".colloquy-test-"
    })
    yield* bundle(outdir)
    return programOf(join(outdir, "main.js"))
  }).pipe(Effect.orDie)
).pipe(Layer.provide(NodeFileSystem.layer))

/** The program as the build makes it, with the page beside it. */
export const layerBuilt: Layer.Layer<Program> = Layer.effect(
  Program,
  Effect.as(
    Effect.async<void>((resume) => {
      execFile(
        process.execPath,
        ["scripts/build.mjs", "--if-stale"],
        { cwd: root },
        (error, _stdout, stderr) =>
          resume(error === null ? Effect.void : Effect.die(new Error(`the build failed: ${stderr}`)))
      )
    }),
    programOf(join(root, "dist/main.js"))
  )
)

const script = `
  import { build } from "esbuild"
  import { bundle } from "./scripts/bundle.mjs"
  await build({ ...bundle, outdir: process.argv[1], sourcemap: false })`

const bundle = (outdir: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    execFile(
      process.execPath,
      ["--input-type=module", "--eval", script, outdir],
      { cwd: root },
      (error, _stdout, stderr) =>
        resume(error === null ? Effect.void : Effect.die(new Error(`the bundle failed: ${stderr}`)))
    )
  })

const start = (
  main: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  input?: string
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(process.execPath, [main, ...args], {
          // Nothing of whoever runs the tests.
          env: { PATH: process.env["PATH"], HOME: homedir(), NO_COLOR: "1", ...environment },
          stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"]
        })
        // It may end without having read it.
        child.stdin?.on("error", () => undefined).end(input)
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    (child) => observe(child, args)
  )

const observe = (child: ChildProcess, args: ReadonlyArray<string>): Running => {
  const output = { stdout: "", stderr: "" }
  let end: Ended | undefined
  const watchers = new Set<() => void>()
  const changed = (): void => watchers.forEach((watcher) => watcher())
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream]?.setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text
      changed()
    })
  }
  child.once("close", (code) => {
    end = { code, ...output }
    changed()
  })

  /** The first result of `look` that is something. */
  const wait = <A>(look: () => A | undefined): Effect.Effect<A> =>
    Effect.async((resume) => {
      const watcher = (): void => {
        const found = look()
        if (found === undefined) return
        watchers.delete(watcher)
        resume(Effect.succeed(found))
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    })

  const ended = wait(() => end)
  return {
    ended,
    until: (stream, pattern) =>
      Effect.raceFirst(
        wait(() => pattern.exec(output[stream]) ?? undefined),
        Effect.flatMap(ended, (how) =>
          Effect.die(new Error(`colloquy ${args.join(" ")} ended before ${pattern}: ${JSON.stringify(how)}`))
        )
      ),
    signal: (signal) => Effect.sync(() => child.kill(signal)),
    closeStdout: Effect.sync(() => child.stdout?.destroy())
  }
}

/** A directory of its own. */
export const makeStateDir = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.orDie(fs.makeTempDirectoryScoped())
)

/** Runs to its end. */
export const run = (
  args: ReadonlyArray<string>,
  environment?: Readonly<Record<string, string>>,
  input?: string
) =>
  Effect.flatMap(Program, (program) =>
    Effect.flatMap(program.start(args, environment, input), (running) => running.ended)
  )

/** A gateway with a state directory of its own, on a free port. */
export const serve = (options: {
  readonly stateDir: string
  /** Default: any free one. */
  readonly port?: string
  readonly flags?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}) =>
  Effect.gen(function* () {
    const program = yield* Program
    const { environment, flags = [], port: wanted = "0", stateDir } = options
    const gateway = yield* program.start(
      ["serve", "--port", wanted, "--state-dir", stateDir, ...flags],
      environment
    )
    const [, url = ""] = yield* gateway.until("stdout", /listens on (ws:\S+) /)
    const [, link = ""] = yield* gateway.until("stdout", /Open: (\S+)\n/)
    yield* gateway.until("stdout", /Try: .*\n/)
    const port = new URL(url).port
    const sendFlags = ["send", "--url", url, "--state-dir", stateDir]
    return {
      ...gateway,
      url,
      port,
      /** The address of the page, with a code that logs in once. */
      link,
      send: (text: string, environment?: Readonly<Record<string, string>>) =>
        program.start([...sendFlags, text], environment),
      /** Sends, and waits for the answer. */
      ask: (text: string, sessionKey = "main") => run([...sendFlags, "--session", sessionKey, text])
    }
  })
