/** The programs that tests start, and the table of processes as the system gives it. */
import { NodeFileSystem } from "@effect/platform-node"
import { Context, Deferred, Duration, Effect, Layer, Option, Queue, Stream } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type ProcessError, ProcessGroups, type SpawnOptions } from "../../../src/agent/ProcessGroup.js"
import * as ProcessGroupNode from "../../../src/agent/ProcessGroupNode.js"

const path = fileURLToPath(new URL("program.mjs", import.meta.url))

/** One of the programs in `program.mjs`. */
export const program = (name: string, ...args: ReadonlyArray<string>): SpawnOptions => ({
  command: process.execPath,
  args: [path, name, ...args],
  env: {},
  killGrace: Duration.seconds(2)
})

export const layer: Layer.Layer<ProcessGroups> = Layer.provide(ProcessGroupNode.layer, NodeFileSystem.layer)

/** A program that an agent has started. */
export interface Seen {
  readonly pid: number
  /** What it says on stderr, as it comes. */
  readonly errors: Queue.Dequeue<string>
  /** Its scope was closed, and the close is over. */
  readonly closed: Effect.Effect<void>
}

/** The programs that are started, in order. */
export class Watch extends Context.Tag("test/Watch")<Watch, Queue.Dequeue<Seen>>() {}

/** The same as `layer`, watched. */
export const layerWatched: Layer.Layer<ProcessGroups | Watch> = Layer.effectContext(
  Effect.gen(function* () {
    const groups = yield* ProcessGroups
    const watch = yield* Queue.unbounded<Seen>()
    return Context.make(Watch, watch).pipe(
      Context.add(ProcessGroups, {
        find: groups.find,
        spawn: (options) =>
          Effect.gen(function* () {
            const closed = yield* Deferred.make<void>()
            const errors = yield* Queue.unbounded<string>()
            // Behind the group's own finalizer, which is added later.
            yield* Effect.addFinalizer(() => Deferred.succeed(closed, undefined))
            const group = yield* groups.spawn(options)
            yield* Queue.offer(watch, { pid: group.pid, errors, closed: Deferred.await(closed) })
            const tell = (bytes: Uint8Array) => Queue.offer(errors, new TextDecoder().decode(bytes))
            return { ...group, errors: Stream.tap(group.errors, tell) }
          })
      })
    )
  })
).pipe(Layer.provide(layer))

/** Waits for the first line of a pipe. */
export const line = (bytes: Stream.Stream<Uint8Array, ProcessError>): Effect.Effect<string, ProcessError> =>
  bytes.pipe(Stream.decodeText(), Stream.splitLines, Stream.runHead, Effect.map(Option.getOrElse(() => "")))

/** The processes of a group, or one process, that are alive; zombies are not. */
export const alive = (which: { readonly group: number } | { readonly pid: number }): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const [state, , group] = statOf(name)
      if (state === undefined || state === "Z" || state === "X") return false
      return "group" in which ? Number(group) === which.group : Number(name) === which.pid
    })
    .map(Number)

const statOf = (name: string): ReadonlyArray<string> => {
  try {
    const stat = readFileSync(`/proc/${name}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  } catch {
    return []
  }
}
