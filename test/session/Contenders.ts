/** Processes that all want the lock of one state directory, and are told when to try. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Context, Effect, Layer, Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface, type Interface } from "node:readline"

const root = join(import.meta.dirname, "../..")

export interface Contender {
  readonly pid: number | undefined
  /** Tries once to take the lock, and keeps it: `held`, or what the error says. */
  readonly attempt: Effect.Effect<unknown>
  /** Kills it with -9, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

export interface ContendersShape {
  readonly directory: string
  /** Starts some more, and waits until they are ready. They live as long as the layer. */
  readonly add: (count: number) => Effect.Effect<void>
  readonly all: ReadonlyArray<Contender>
}

export class Contenders extends Context.Tag("test/Contenders")<Contenders, ContendersShape>() {}

export const layer: Layer.Layer<Contenders> = Layer.scoped(
  Contenders,
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const scope = yield* Effect.scope
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-lock-" })
    const program = join(yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-lock-" }), "contender.mjs")
    yield* bundle(program)
    const all: Array<Contender> = []
    const startOne = Effect.map(Scope.extend(start([program, directory]), scope), (one) => {
      all.push(one)
    })
    return {
      directory,
      add: (count: number) =>
        Effect.replicateEffect(startOne, count, { concurrency: "unbounded", discard: true }),
      all
    }
  }).pipe(Effect.orDie)
).pipe(Layer.provide(NodeFileSystem.layer))

const contender = `
  import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
  import * as NodePath from "@effect/platform-node/NodePath"
  import { Effect, Layer, Logger, Scope } from "effect"
  import { createInterface } from "node:readline"
  import * as StateLock from "./src/session/StateLock.js"

  const scope = Effect.runSync(Scope.make())
  const platform = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, Logger.remove(Logger.defaultLogger))
  const attempt = StateLock.acquire(process.argv[2]).pipe(
    Scope.extend(scope),
    Effect.match({ onFailure: ({ _tag, pid }) => ({ _tag, pid }), onSuccess: () => "held" }),
    Effect.provide(platform)
  )
  const say = (what) => console.log(JSON.stringify(what))
  createInterface({ input: process.stdin })
    .on("line", () => Effect.runPromise(attempt).then(say))
    .on("close", () => process.exit())
  say("ready")`

const script = `
  import { build } from "esbuild"
  import { bundle } from "./scripts/bundle.mjs"
  const [outfile, contents] = process.argv.slice(1)
  await build({
    ...bundle,
    entryPoints: undefined, outdir: undefined, chunkNames: undefined, splitting: false, sourcemap: false,
    outfile,
    stdin: { contents, resolveDir: process.cwd(), loader: "ts" }
  })`

const bundle = (outfile: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    execFile(
      process.execPath,
      ["--input-type=module", "--eval", script, outfile, contender],
      { cwd: root },
      (error, _stdout, stderr) =>
        resume(error === null ? Effect.void : Effect.die(new Error(`the bundle failed: ${stderr}`)))
    )
  })

const start = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] })),
      (child) => kill(child)
    )
    const lines = createInterface({ input: child.stdout })
    yield* nextLine(lines)
    return {
      pid: child.pid,
      attempt: Effect.zipRight(
        Effect.sync(() => child.stdin.write("\n")),
        nextLine(lines),
        { concurrent: true }
      ),
      kill: kill(child)
    }
  })

const nextLine = (lines: Interface): Effect.Effect<unknown> =>
  Effect.async((resume) => {
    lines.once("line", (line) => resume(Effect.succeed(JSON.parse(line))))
  })

const kill = (child: ChildProcess): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void)).kill("SIGKILL")
  })
