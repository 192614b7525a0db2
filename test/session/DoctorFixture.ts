/** State directories that a real store has made, and what is in them byte for byte. */
import { FileSystem, Path } from "@effect/platform"
import { Context, Effect, Exit, Layer, Option, Scope } from "effect"
import { RunId } from "../../src/domain/Ids.js"
import { text } from "../../src/domain/Message.js"
import { main, parse, type SessionKey } from "../../src/domain/SessionKey.js"
import type { AcceptedRun } from "../../src/journal/JournalRecord.js"
import { RunJournal } from "../../src/journal/RunJournal.js"
import { SessionStore } from "../../src/session/SessionStore.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import { content, jpeg, png } from "../support/Pictures.js"
import { defaultAgentId, sessionKeyDefaults, storeOptions } from "../contract/StoreProbe.js"

export const mainKey = main(sessionKeyDefaults)
export const notesKey: SessionKey = Option.getOrThrow(Option.getRight(parse("notes", sessionKeyDefaults)))

export const runOf = (runId: string, sessionKey: SessionKey): AcceptedRun => ({
  runId: RunId(runId),
  sessionKey,
  requestedKey: sessionKey,
  agentId: defaultAgentId,
  principal: "tester",
  fingerprint: "f",
  acceptedAt: 0
})

export interface State {
  readonly directory: string
  /** The transcripts of the main session and of `notes`, as file names. */
  readonly transcripts: readonly [main: string, notes: string]
  /** The texts that were said, by session. */
  readonly said: ReadonlyMap<SessionKey, ReadonlyArray<string>>
}

const opened = (stateDir: string) =>
  Effect.map(Layer.build(SessionStoreFile.layer({ ...storeOptions, stateDir })), (context) => ({
    store: Context.get(context, SessionStore),
    journal: Context.get(context, RunJournal)
  }))

/**
 * Two sessions with `count` messages each, the first one of `notes` with a PNG, the last one of each with a JPEG;
 * the last two sends of `main` are runs that are not over, and one was begun.
 */
const fill = (stateDir: string, count: number) =>
  Effect.gen(function* () {
    const { journal, store } = yield* opened(stateDir)
    const said = new Map<SessionKey, Array<string>>()
    const sessions: Array<string> = []
    for (const key of [mainKey, notesKey]) {
      const texts: Array<string> = []
      for (let at = 0; at < count; at++) {
        const words = `${key} says ${at} ☕`
        texts.push(words)
        const run = key === mainKey && at >= count - 2 ? runOf(`run-${at}`, key) : undefined
        const images = key === notesKey && at === 0 ? [content(png)] : at === count - 1 ? [content(jpeg)] : []
        const said = text("user", words, at)
        const { sessionId } = yield* store.accept(
          key,
          { ...said, content: [...said.content, ...images] },
          run
        )
        if (at === 0) sessions.push(sessionId)
      }
      said.set(key, texts)
    }
    yield* journal.started(RunId(`run-${count - 1}`), 1)
    yield* store.flush
    return { said, transcripts: [`${sessions[0]}.jsonl`, `${sessions[1]}.jsonl`] as const }
  })

/** As an orderly stop leaves it. */
export const stopped = (count = 4) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = `${yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-doctor-" })}/state`
    return { directory, ...(yield* Effect.scoped(fill(directory, count))) } satisfies State
  })

/** As kill -9 leaves it, but for the lock. */
export const killed = (count = 4) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const root = yield* fs.makeTempDirectoryScoped({ prefix: "colloquy-doctor-" })
    const directory = `${root}/killed`
    const filled = yield* Effect.scoped(
      Effect.zipLeft(fill(`${root}/state`, count), fs.copy(`${root}/state`, directory))
    )
    yield* fs.remove(`${directory}/lock`)
    for (const each of [directory, `${directory}/attachments`]) yield* fs.chmod(each, 0o700)
    return { directory, ...filled } satisfies State
  })

/** A gateway's store that is at work in the directory until the scope closes. */
export const atWork = (directory: string) => Effect.asVoid(opened(directory))

/** Every name with its mode, its time of change and its bytes. */
export const tree = (directory: string, except: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = (yield* fs.readDirectory(directory, { recursive: true })).toSorted()
    const readable = names.filter((name) => !except.includes(name))
    const entries = yield* Effect.forEach([".", ...readable], (name) =>
      Effect.gen(function* () {
        const file = path.join(directory, name)
        const { mode, mtime, type } = yield* fs.stat(file)
        const bytes = type === "File" ? Buffer.from(yield* fs.readFile(file)).toString("latin1") : ""
        return [
          name,
          `${type} ${mode.toString(8)} ${Option.getOrUndefined(mtime)?.getTime()} ${bytes}`
        ] as const
      })
    )
    return new Map<string, string>(entries)
  })

/** What the next start finds: the texts of a session, oldest first. */
export const history = (directory: string, key: SessionKey) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const { store } = yield* Scope.extend(opened(directory), scope)
    const { messages } = yield* store.history(key, { limit: 1000, maxBytes: 10_000_000 })
    yield* Scope.close(scope, Exit.void)
    return messages.map((message) =>
      Array.isArray(message["content"]) ? String(message["content"][0]?.text) : "?"
    )
  })
