/**
 * The process groups that are alive, and the signals to them. Should the gateway's own process end without its finalizers
 * (a second Ctrl-C), all of them are killed on the way out.
 */
import { Effect, type Scope } from "effect"

export interface LiveGroups {
  /** Right after the start of its first process. */
  readonly add: (pid: number) => LiveGroup
}

export interface LiveGroup {
  /**
   * Sends a signal to all processes of the group; 0 only asks. Answers whether there is still one, be it a zombie. Once there
   * is none, nothing is ever sent again: the id may by then be another group's.
   */
  readonly signal: (signal: "SIGTERM" | "SIGKILL" | 0) => boolean
  /** Whatever is left is nothing to send a signal to. */
  readonly forget: () => void
}

/** Closing the scope kills what is left. */
export const make: Effect.Effect<LiveGroups, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const live = new Map<number, LiveGroup>()

    const killAll = (): void => {
      for (const group of [...live.values()]) group.signal("SIGKILL")
    }

    const add = (pid: number): LiveGroup => {
      const group: LiveGroup = {
        signal: (signal) => {
          // An id is given again only when its group is gone.
          if (live.get(pid) !== group) return false
          if (send(pid, signal)) return true
          group.forget()
          return false
        },
        forget: () => {
          if (live.get(pid) === group) live.delete(pid)
          if (live.size === 0) process.off("exit", killAll)
        }
      }
      if (live.size === 0) process.on("exit", killAll)
      live.set(pid, group)
      return group
    }

    const close = (): void => {
      killAll()
      process.off("exit", killAll)
    }
    return { add, close }
  }),
  ({ close }) => Effect.sync(close)
)

const send = (pid: number, signal: "SIGTERM" | "SIGKILL" | 0): boolean => {
  try {
    return process.kill(-pid, signal)
  } catch {
    // ESRCH: nobody is there. EPERM: nobody whom we may signal (all that is left runs as another user).
    return false
  }
}
