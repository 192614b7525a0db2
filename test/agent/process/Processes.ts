/** The programs that tests start, and the table of processes as the system gives it. */
import { NodeFileSystem } from "@effect/platform-node"
import { Duration, Effect, Layer, Option, Stream } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { ProcessError, ProcessGroups, SpawnOptions } from "../../../src/agent/ProcessGroup.js"
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
