/**
 * RunJournal: what became of every accepted run, kept across crashes and restarts. Accepted, started, ended: each is a
 * line in the file `runs.journal`, durable before anybody is told of it.
 *
 * A record that brings a message (a send, an answer) is made by the session store, in one line with that message: see
 * `SessionStore.accept` and `append`. Everything else about runs is recorded here.
 */
import { Context, Effect, Option, Scope } from "effect"
import type { MessageId, RunId, SessionId } from "../domain/Ids.js"
import type { AbortReason } from "../domain/RunState.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import type { AcceptedRun, Entry, JournalRecord, Removal, RunEnd } from "./JournalRecord.js"
import * as Record from "./JournalRecord.js"
import { type EndedRun, JournalState, type OpenRun } from "./JournalState.js"
import * as Log from "./Log.js"
import type { LogDriver } from "./LogDriver.js"
import * as LogLine from "./LogLine.js"
import type { SettledKey } from "./SettledKeys.js"

/** The name of the journal's file. Not `*.jsonl`: an entry of `sessions.json` may name any such file as a transcript. */
export const fileName = "runs.journal"

export interface RunJournalShape {
  /** The runs that were not over when the gateway stopped, in the order of their acceptance. Found at the start. */
  readonly unfinished: ReadonlyArray<OpenRun>
  /**
   * The runs that ended in earlier lives of the gateway, oldest first, as far back as the journal goes: not everybody may
   * have been told. Found at the start.
   */
  readonly ended: ReadonlyArray<EndedRun>
  /** The answer of a key whose run is over. */
  readonly settled: (runId: RunId) => SettledKey | undefined
  /** Forgets the keys of runs that ended before a time (milliseconds since the epoch). */
  readonly forget: (before: number) => void
  /** A life of the gateway begins, whose events have this epoch. Not waited for. */
  readonly begin: (epoch: string) => Effect.Effect<void>
  /** Aborts are about to be answered: durable when it succeeds. A run may not be accepted yet. */
  readonly aborting: (
    runIds: ReadonlyArray<RunId>,
    reason: AbortReason
  ) => Effect.Effect<void, SessionStoreError>
  /** The run's agent is about to be called: durable when it succeeds. */
  readonly started: (runId: RunId, at: number) => Effect.Effect<void, SessionStoreError>
  /** The run ended without a message for its transcript: durable when it succeeds. */
  readonly ending: (end: RunEnd, run: AcceptedRun) => Effect.Effect<void, SessionStoreError>
  /** The same when `ending` has failed: from now on for this process, and for the next one once the disk is back. */
  readonly endAnyway: (end: RunEnd, run: AcceptedRun) => Effect.Effect<void>
  /**
   * Keeps more of an answer, soon: `text` from `from` on (UTF-16 code units), and nothing behind it. Not waited for. False:
   * it is not kept, and neither may be what would come behind it.
   */
  readonly keepText: (runId: RunId, from: number, text: string) => Effect.Effect<boolean>
  /** The run's terminal event has this position. Not waited for. */
  readonly told: (runId: RunId, pos: number) => Effect.Effect<void>
  /** The same for those who see only some sessions: its position by their perspective. Like `told`. */
  readonly seen: (runId: RunId, perspectives: Readonly<Record<string, number>>) => Effect.Effect<void>
}

/** The port. The layers of the session store give it too: a message and what it means for a run are one record. */
export class RunJournal extends Context.Tag("colloquy/RunJournal")<RunJournal, RunJournalShape>() {}

/** What the session store needs of the journal. */
export interface MessageJournal {
  /** Messages that may not be in their transcripts, in order. Found at the start. */
  readonly found: ReadonlyArray<Entry>
  /** Sessions that were removed and whose entries may still be in the index. Found at the start. */
  readonly removals: ReadonlyArray<Removal>
  /** Records that a session is removed, all messages of which are applied: durable when it succeeds. */
  readonly remove: (removal: Removal) => Effect.Effect<void, SessionStoreError>
  /** The next `store` says so too. */
  readonly removalApplied: (sessionId: SessionId) => void
  /** Records messages, all or none, each for a run or for itself; durable when it succeeds. */
  readonly commit: (messages: ReadonlyArray<JournalMessage>) => Effect.Effect<void, SessionStoreError>
  /** They are in their transcript. */
  readonly applied: (ids: ReadonlyArray<MessageId>) => void
  /**
   * They can't be put into their transcript: whoever sent them is refused, and a run that one of them has ended is not over.
   * Durable behind this unless the journal can't be
   * written either; then as soon as it can.
   */
  readonly withdraw: (ids: ReadonlyArray<MessageId>) => Effect.Effect<void>
  /**
   * Says that all messages that were applied are stored for good. `store` makes it so; it is given the chance at each
   * compaction, too.
   */
  readonly checkpoint: Effect.Effect<void, SessionStoreError>
  readonly problem: Effect.Effect<Option.Option<SessionStoreError>>
}

export interface JournalMessage {
  readonly entry: Entry
  /** The message's JSON text, so that it is not made twice. */
  readonly messageJson: string
  /** The run that the message begins. */
  readonly run?: AcceptedRun | undefined
  /** The end that the message is the answer of. */
  readonly end?: RunEnd | undefined
}

export interface Options {
  readonly driver: LogDriver
  /** Makes what was applied so far durable: transcripts and the index of sessions. */
  readonly store: Effect.Effect<void, SessionStoreError>
  /** The file is compacted when it is larger than this (and than twice its last compact size), in bytes. */
  readonly compactAbove?: number | undefined
}

export interface Opened {
  readonly journal: RunJournalShape
  readonly messages: MessageJournal
}

const defaultCompactAbove = 8 * 1024 * 1024

/**
 * Reads the journal and opens it for writing. What can't be read is kept in a file beside it, cut out, and said in the log.
 * When the scope closes, what waits is written.
 */
export const open = (options: Options): Effect.Effect<Opened, SessionStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { driver, store } = options
    const found = LogLine.read(yield* driver.read)
    if (found.torn.length > 0) {
      const bytes = Buffer.concat(found.torn)
      yield* driver.setAside(bytes)
      yield* Effect.logWarning(
        `the run journal had ${found.sound ? "an end that was cut off" : "damaged lines"}: ${bytes.length} bytes were put aside`
      )
    }

    const state = new JournalState()
    let foreign = 0
    for (const json of found.lines) {
      Option.match(Record.decode(json), { onNone: () => foreign++, onSome: (record) => state.apply(record) })
    }
    if (foreign > 0)
      yield* Effect.logWarning(`the run journal has ${foreign} lines that this version does not know`)
    const unfinished = Array.from(state.open.values())
    const ended = Array.from(state.ended.values())
    const messagesFound = Array.from(state.entries.values())
    const removalsFound = Array.from(state.removals.values())
    state.remembersEnds = false
    state.ended.clear()

    /** The state's lines. What is committed from now on is appended behind them. */
    const snapshot = Effect.suspend(() => {
      const entries = new Map(state.entries)
      const removals = Array.from(state.removals.values())
      return Effect.as(store, lines(state.snapshot(entries, removals)))
    })

    if (!found.sound) {
      yield* driver.stage([
        Buffer.from(
          Array.from(lines(state.snapshot(state.entries, state.removals.values())), LogLine.encode).join("")
        )
      ])
      yield* driver.swap([])
    } else if (found.torn.length > 0) yield* driver.truncate(found.end)

    const scope = yield* Scope.make()
    const log = yield* Log.make({
      driver,
      size: found.end,
      snapshot,
      blank: Record.encode({ type: "blank" }),
      compactAbove: options.compactAbove ?? defaultCompactAbove
    }).pipe(Scope.extend(scope))
    yield* Effect.addFinalizer((exit) =>
      log.flush.pipe(
        Effect.catchAll((error) =>
          Effect.logWarning("the end of the run journal could not be written", error)
        ),
        Effect.zipRight(Scope.close(scope, exit))
      )
    )
    if (found.end === 0) yield* log.note(Record.encode({ type: "journal", version: 1 }))

    const record = (...records: ReadonlyArray<JournalRecord>): Effect.Effect<void, SessionStoreError> =>
      log.commit(records.map(Record.encode), () => {
        for (const what of records) state.apply(what)
      })
    const note = (what: JournalRecord): Effect.Effect<void> =>
      Effect.suspend(() => {
        state.apply(what)
        return log.note(Record.encode(what))
      })

    return {
      journal: {
        unfinished,
        ended,
        settled: (runId) => state.settled.get(runId),
        forget: (before) => state.settled.forget(before),
        begin: (epoch) => note({ type: "life", epoch }),
        aborting: (runIds, reason) =>
          record(...runIds.map((runId) => ({ type: "aborting" as const, runId, reason }))),
        started: (runId, at) => record({ type: "started", runId, at }),
        ending: (end, run) => record(endedRecord(state, end, run)),
        endAnyway: (end, run) => note(endedRecord(state, end, run)),
        keepText: (runId, from, text) =>
          // While nothing can be written, memory is not for what may be lost.
          Effect.flatMap(log.problem, (problem) =>
            Option.isSome(problem)
              ? Effect.succeed(false)
              : Effect.as(note({ type: "text", runId, from, text }), true)
          ),
        told: (runId, pos) => note({ type: "told", runId, pos }),
        seen: (runId, perspectives) => note({ type: "seen", runId, perspectives })
      },
      messages: {
        found: messagesFound,
        removals: removalsFound,
        remove: (removal) => record({ type: "removed", removal }),
        removalApplied: (sessionId) => state.removalApplied(sessionId),
        commit: (messages) =>
          log.commit(messages.map(encodeMessage), () => {
            for (const message of messages) state.apply(recordOf(message))
          }),
        applied: (ids) => {
          for (const id of ids) state.applied(id)
        },
        withdraw: (ids) => {
          const records = ids.map((id): JournalRecord => ({ type: "withdrawn", id }))
          const apply = () => records.forEach((what) => state.apply(what))
          return Effect.catchAll(log.commit(records.map(Record.encode), apply), () =>
            Effect.forEach(records, note, { discard: true })
          )
        },
        checkpoint: Effect.suspend(() => {
          const begun = new Map(state.entries)
          const { removed } = state
          return Effect.zipRight(
            store,
            Effect.suspend(() =>
              // What is under way is not stored, and a record can't except it.
              begun.size > 0 || state.entries.size > 0 || state.removed !== removed
                ? Effect.void
                : record({ type: "checkpoint" })
            )
          )
        }),
        problem: log.problem
      }
    }
  })

/** A run that was never saved is not known yet: its key must have its answer all the same. */
const endedRecord = (state: JournalState, end: RunEnd, run: AcceptedRun): JournalRecord =>
  state.open.has(end.runId) ? { type: "ended", end } : { type: "ended", end, run }

const recordOf = ({ end, entry, run }: JournalMessage): JournalRecord =>
  run !== undefined
    ? { type: "accepted", run, entry }
    : end !== undefined
      ? { type: "ended", end, entry }
      : { type: "message", entry }

/** The record's JSON, with the message's own text in it. */
const encodeMessage = (message: JournalMessage): string => {
  const record = recordOf({ ...message, entry: { ...message.entry, message: {} } })
  // The entry is the last field of each of these records, and the message that of the entry.
  return `${Record.encode(record).slice(0, -"{}}}".length)}${message.messageJson}}}`
}

function* lines(records: Iterable<JournalRecord>): Iterable<string> {
  for (const record of records) yield Record.encode(record)
}
