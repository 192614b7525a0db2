/**
 * StateLock: one gateway at a time uses a state directory. It holds the file `lock` there, which says who it is.
 *
 * Whether the holder still lives is told by its pid where that can be seen from here: then at once. A holder elsewhere
 * (another host, another container, the machine before its last start) is watched: it renews its lock's time every 2
 * seconds, and one that doesn't for 6 is gone. Only what was seen is compared with what is seen, so no two clocks have
 * to agree.
 *
 * How the lock X of a holder that is gone is taken over, so that never two have it: each lock can have one successor,
 * the file `lock.X.next`, and making that is atomic. Who has made it, behind the last of the chain of those that are
 * gone, has the lock, if `lock` is still X. It then puts its own lock in the place of `lock`, and only after that
 * removes the successors of X. So whoever comes late and finds no successor of X finds that `lock` isn't X any more.
 */
import type { FileSystem, Path } from "@effect/platform"
import { Context, Deferred, Duration, Effect, Option, type Scope } from "effect"
import { SessionStoreError, StateDirLocked } from "../domain/SessionError.js"
import * as LockFiles from "./LockFiles.js"
import * as LockOwner from "./LockOwner.js"
import * as LockWatch from "./LockWatch.js"

export interface StateLockShape {
  /**
   * Completes when the lock is no longer ours: somebody has removed it, or, on a shared file system, taken it over while
   * this process stood still. Another gateway may write into the directory from then on; this one should stop.
   */
  readonly lost: Effect.Effect<void>
}

/** The lock of a state directory that is held. `SessionStoreFile.layer` gives it with its store. */
export class StateLock extends Context.Tag("colloquy/StateLock")<StateLock, StateLockShape>() {}

const renewEvery = Duration.seconds(2)
/** How often it begins anew because others take and leave the lock meanwhile. */
const attempts = 32

/**
 * Takes the lock until the scope closes; then removes it, if it is still ours. Makes the directory when it is missing.
 * Two calls in one process exclude each other too. Interrupted while it watches another holder, it leaves nothing behind.
 */
export const acquire = (
  directory: string
): Effect.Effect<
  StateLockShape,
  StateDirLocked | SessionStoreError,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> => Effect.flatMap(LockOwner.local, (identity) => acquireAs(directory, identity))

/** The same as somebody else, which tests are. */
export const acquireAs = (
  directory: string,
  identity: LockOwner.Identity
): Effect.Effect<
  StateLockShape,
  StateDirLocked | SessionStoreError,
  FileSystem.FileSystem | Path.Path | Scope.Scope
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const files = yield* LockFiles.make(directory, identity.me)
      const { id } = identity.me
      const leave = leaving(files, id)
      yield* Effect.onError(
        enter(directory, files, identity, restore(Effect.sleep(LockWatch.lookEvery))),
        () => leave
      )
      yield* Effect.addFinalizer(() => leave)
      const lost = yield* Deferred.make<void>()
      yield* Effect.forkScoped(
        restore(Effect.sleep(renewEvery)).pipe(
          Effect.zipRight(renew(files, id)),
          Effect.repeat({ while: (isOurs) => isOurs }),
          Effect.zipRight(Effect.logError(`the lock of the state directory ${directory} is lost`)),
          Effect.zipRight(Deferred.succeed(lost, undefined))
        )
      )
      return { lost: Deferred.await(lost) }
    })
  )

const enter = (
  directory: string,
  files: LockFiles.LockFiles,
  { judge }: LockOwner.Identity,
  pause: Effect.Effect<void>
) => {
  const locked = ({ host, pid, since }: LockOwner.LockOwner) =>
    new StateDirLocked({ directory, pid, host, since })

  /** True when the lock is stale; false when it has changed. Fails when its holder lives. */
  const isStale = (name: string, seen: LockFiles.Seen) =>
    Effect.gen(function* () {
      const verdict = yield* LockWatch.watch({
        look: files.look(name),
        seen,
        judge,
        pause,
        onWait: Effect.logInfo("waiting whether the lock of the state directory is renewed").pipe(
          Effect.annotateLogs({ directory, ...Option.getOrUndefined(seen.owner) })
        )
      })
      if (verdict === "alive" && Option.isSome(seen.owner)) return yield* locked(seen.owner.value)
      return verdict === "dead"
    })

  const takeOver = (root: LockFiles.Seen) =>
    Effect.gen(function* () {
      const successors: Array<string> = []
      let name = LockFiles.lockName
      let last = root
      while (successors.length < attempts) {
        if (!(yield* isStale(name, last))) return false
        name = `${LockFiles.lockName}.${last.token}.next`
        successors.push(name)
        const next = yield* files.look(name)
        if (Option.isSome(next)) last = next.value
        else return yield* succeed(root, name, successors)
      }
      return false
    })

  const succeed = (root: LockFiles.Seen, name: string, successors: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      if (!(yield* files.create(name))) return false
      const withdraw = Effect.ignore(files.remove(name))
      const isLast = yield* Effect.onError(
        Effect.tap(
          Effect.map(files.look(LockFiles.lockName), (now) => LockWatch.isLock(now, root)),
          (isLast) => (isLast ? files.replace : withdraw)
        ),
        () => withdraw
      )
      if (!isLast) return false
      yield* Effect.forEach(successors, (successor) => Effect.ignore(files.remove(successor)))
      yield* Effect.logInfo("took over the lock of a gateway that is gone").pipe(
        Effect.annotateLogs({ directory, ...Option.getOrUndefined(root.owner) })
      )
      return true
    })

  return Effect.gen(function* () {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const seen = yield* files.look(LockFiles.lockName)
      const entered = Option.isSome(seen)
        ? yield* takeOver(seen.value)
        : yield* files.create(LockFiles.lockName)
      if (entered) return yield* Effect.ignore(files.clear)
    }
    return yield* new SessionStoreError({
      operation: "write",
      subject: LockFiles.lockName,
      reason: "changed by others again and again"
    })
  })
}

/** False when the lock is not ours any more. A file system that fails takes no lock away. */
const renew = (files: LockFiles.LockFiles, id: string): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const seen = yield* files.look(LockFiles.lockName)
    if (Option.isNone(seen)) return !(yield* files.isThere)
    if (seen.value.token !== id) return false
    yield* files.renew
    return true
  }).pipe(
    Effect.catchAll((error) =>
      Effect.as(Effect.logWarning("could not renew the lock of the state directory", error), true)
    )
  )

/** Removes the lock if it is ours, and whatever else taking it has left. */
const leaving = (files: LockFiles.LockFiles, id: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* files.clear
    const seen = yield* files.look(LockFiles.lockName)
    if (Option.isSome(seen) && seen.value.token === id) yield* files.remove(LockFiles.lockName)
  }).pipe(
    Effect.catchAll((error) => Effect.logWarning("could not remove the lock of the state directory", error))
  )
