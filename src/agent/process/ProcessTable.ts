/**
 * ProcessTable: what the system says of a group whose processes don't go away. Only Linux is asked, by its /proc.
 *
 * A process that has ended stays in its group as a zombie until its parent has asked for its exit code. Orphans are given to
 * process 1, and in a container that is often a program that never asks: the gateway itself, for example.
 */
import { FileSystem } from "@effect/platform"
import { Effect } from "effect"

/** Are there only zombies left in the group? Reads the whole table: for the rare case only. */
export const hasOnlyZombies = (pgid: number): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const names = yield* files.readDirectory("/proc")
    let zombies = 0
    for (const name of names) {
      if (!/^\d+$/.test(name)) continue
      // One that is gone by now is none.
      const { group, state } = parse(
        yield* Effect.orElseSucceed(files.readFileString(`/proc/${name}/stat`), () => "")
      )
      if (group !== pgid) continue
      if (state !== "Z" && state !== "X") return false
      zombies += 1
    }
    return zombies > 0
  }).pipe(Effect.orElseSucceed(() => false))

/** `12 (name of it) Z 1 4711 …`: the state, and the process group. The name may hold anything. */
const parse = (stat: string): { readonly state: string | undefined; readonly group: number } => {
  const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return { state, group: Number(group) }
}
