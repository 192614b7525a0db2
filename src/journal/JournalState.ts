/**
 * JournalState: what a journal's records add up to. The same code reads a journal at the start and keeps what a compacted
 * one must say, so the two can't differ.
 *
 * A record may come twice, and one may come of a run that is not known any more: a compacted journal may hold already what
 * the lines behind it say again.
 */
import type { MessageId, RunId, SessionId } from "../domain/Ids.js"
import type { AbortReason } from "../domain/RunState.js"
import type {
  AcceptedRun,
  Entry,
  JournalRecord,
  Removal,
  RunEnd,
  SettledKey as SettledTuple
} from "./JournalRecord.js"
import { packOutcome, unpackOutcome } from "./JournalRecord.js"
import { SettledKeys } from "./SettledKeys.js"

/** A run that was accepted and is not over. */
export interface OpenRun {
  readonly run: AcceptedRun
  readonly entry: Entry
  /** When its agent was about to be called, in milliseconds; undefined: it was not. */
  readonly startedAt: number | undefined
  /** Was it answered that it is aborted? */
  readonly aborting: AbortReason | undefined
  /** What was kept of its answer. */
  readonly text: string
}

/** A run that ended. */
export interface EndedRun {
  readonly run: AcceptedRun
  readonly end: RunEnd
  readonly text: string
  /** The position of its terminal event, if that is known. */
  readonly toldAt: number | undefined
  /** The same for those who saw only some sessions, by their perspective. */
  readonly seenAt: Readonly<Record<string, number>> | undefined
  /** The lives of the gateway before the one in which it ended. */
  readonly olderLives: ReadonlyArray<string>
}

/** A run that has ended with a message that may yet be withdrawn: then it has not. */
interface Ending {
  readonly end: RunEnd
  /** The run as it was before; undefined: it was never accepted. */
  readonly open: OpenRun | undefined
}

const keysPerLine = 500
/** Lives that are remembered, and ends: a client that comes from before is told to reload. */
const maxLives = 64
const maxEnds = 4096

export class JournalState {
  readonly settled = new SettledKeys()
  /** In the order of acceptance. */
  readonly open = new Map<RunId, OpenRun>()
  /** Messages that may not be in their transcripts, in the order of their records. */
  readonly entries = new Map<MessageId, Entry>()
  /** Sessions that were removed and whose entries may still be in the index. */
  readonly removals = new Map<SessionId, Removal>()
  /** How many sessions were removed. */
  removed = 0
  /** The lives of the gateway, the newest last. */
  lives: ReadonlyArray<string> = []
  /** Aborts that were answered before their runs were accepted. */
  readonly aborting = new Map<RunId, AbortReason>()
  /** By the message that is in `entries`. */
  readonly #endings = new Map<MessageId, Ending>()
  /** The runs that ended, newest last, while `remembersEnds`. */
  readonly ended = new Map<RunId, EndedRun>()
  /** Only who reads a journal wants to know how the runs of the life before ended. */
  remembersEnds = true

  apply(record: JournalRecord): void {
    switch (record.type) {
      case "accepted": {
        const { entry, run } = record
        if (this.settled.get(run.runId) !== undefined) this.#beginAnew(run.runId)
        const known = this.open.get(run.runId)
        // Put in anew, so that what is said again stays in its order, too.
        this.open.delete(run.runId)
        this.open.set(run.runId, {
          run,
          entry,
          // When it is said again, so is all that came behind it.
          startedAt: undefined,
          text: "",
          aborting: known?.aborting ?? this.aborting.get(run.runId)
        })
        this.aborting.delete(run.runId)
        if (record.stored !== true) this.#addEntry(entry)
        return
      }
      case "message":
        this.#addEntry(record.entry)
        return
      case "life":
        this.lives = [...this.lives.filter((epoch) => epoch !== record.epoch), record.epoch].slice(-maxLives)
        return
      case "aborting": {
        const open = this.open.get(record.runId)
        if (open !== undefined) this.open.set(record.runId, { ...open, aborting: record.reason })
        else if (this.settled.get(record.runId) === undefined) this.aborting.set(record.runId, record.reason)
        return
      }
      case "started": {
        const open = this.open.get(record.runId)
        if (open !== undefined) this.open.set(record.runId, { ...open, startedAt: record.at })
        return
      }
      case "text": {
        const open = this.open.get(record.runId)
        // What came before it was lost: better a part that ends too soon than one with a hole.
        if (open === undefined || record.from > open.text.length) return
        this.open.set(record.runId, { ...open, text: open.text.slice(0, record.from) + record.text })
        return
      }
      case "ended":
        this.#end(record.end, record.entry, record.run)
        return
      case "told": {
        const ended = this.ended.get(record.runId)
        if (ended !== undefined) this.ended.set(record.runId, { ...ended, toldAt: record.pos })
        return
      }
      case "seen": {
        const ended = this.ended.get(record.runId)
        if (ended !== undefined) this.ended.set(record.runId, { ...ended, seenAt: record.perspectives })
        return
      }
      case "withdrawn":
        this.#withdraw(record.id)
        return
      case "removed":
        this.#remove(record.removal)
        return
      case "keys":
        for (const key of record.keys) this.#addKey(key)
        return
      case "checkpoint":
        this.entries.clear()
        this.#endings.clear()
        this.removals.clear()
        return
      case "journal":
      case "blank":
        return
    }
  }

  /** Whoever writes the index knows of the removal. */
  removalApplied(sessionId: SessionId): void {
    this.removals.delete(sessionId)
  }

  /** The message is in its transcript. */
  applied(id: MessageId): void {
    this.entries.delete(id)
    this.#endings.delete(id)
  }

  /**
   * The records of a journal that says what this one says, with the messages of `entries` and the removals of `removals`, and
   * without what is stored for good. It may be read while the state changes.
   */
  *snapshot(
    entries: ReadonlyMap<MessageId, Entry>,
    removals: Iterable<Removal> = []
  ): Iterable<JournalRecord> {
    yield { type: "journal", version: 1 }
    for (const removal of removals) yield { type: "removed", removal }
    for (const epoch of this.lives) yield { type: "life", epoch }
    for (const [runId, reason] of this.aborting) yield { type: "aborting", runId, reason }
    for (const entry of entries.values()) {
      const ending = this.#endings.get(entry.id)
      if (ending?.open === undefined) yield { type: "message", entry }
      else {
        yield* recordsOf(ending.open)
        yield { type: "ended", end: ending.end, entry }
      }
    }
    // Before the keys: a run that ends in between is in both then, not in neither, and its end is in the lines behind.
    for (const open of this.open.values()) yield* recordsOf(open)
    let keys: Array<SettledTuple> = []
    for (const [runId, { at, fingerprint, outcome, principal }] of this.settled.entries()) {
      keys.push([runId, fingerprint, principal, at, packOutcome(outcome)])
      if (keys.length < keysPerLine) continue
      yield { type: "keys", keys }
      keys = []
    }
    if (keys.length > 0) yield { type: "keys", keys }
  }

  #end(end: RunEnd, entry: Entry | undefined, run: AcceptedRun | undefined): void {
    const { at, outcome, runId } = end
    if (entry !== undefined) this.#addEntry(entry)
    const open = this.open.get(runId)
    const known = open?.run ?? run ?? this.ended.get(runId)?.run
    if (known === undefined) {
      // Said again: a key takes its place in time again.
      const key = this.settled.get(runId)
      if (key !== undefined) this.settled.add(runId, { ...key, outcome, at })
      return
    }
    this.open.delete(runId)
    this.aborting.delete(runId)
    if (entry !== undefined)
      this.#endings.set(entry.id, { end, open: open ?? this.#endings.get(entry.id)?.open })
    this.settled.add(runId, { fingerprint: known.fingerprint, principal: known.principal, outcome, at })
    if (!this.remembersEnds) return
    this.ended.delete(runId)
    const life = this.lives.indexOf(end.epoch)
    const olderLives = life < 0 ? [] : this.lives.slice(0, life)
    this.ended.set(runId, {
      run: known,
      end,
      text: textOf(entry),
      toldAt: undefined,
      seenAt: undefined,
      olderLives
    })
    if (this.ended.size <= maxEnds) return
    for (const oldest of this.ended.keys()) {
      this.ended.delete(oldest)
      return
    }
  }

  /** A key whose time is over is used again: the run that it had is not taken up any more, whatever becomes of this one. */
  #beginAnew(runId: RunId): void {
    this.settled.delete(runId)
    for (const [id, { end }] of this.#endings) if (end.runId === runId) this.#endings.delete(id)
  }

  #withdraw(id: MessageId): void {
    this.entries.delete(id)
    for (const { entry, run } of this.open.values()) if (entry.id === id) this.open.delete(run.runId)
    const ending = this.#endings.get(id)
    if (ending === undefined) return
    this.#endings.delete(id)
    const { runId } = ending.end
    this.settled.delete(runId)
    this.ended.delete(runId)
    if (ending.open !== undefined) this.open.set(runId, ending.open)
  }

  #remove(removal: Removal): void {
    this.removed += 1
    this.removals.set(removal.sessionId, removal)
    for (const [id, entry] of this.entries) if (entry.sessionId === removal.sessionId) this.applied(id)
  }

  #addEntry(entry: Entry): void {
    this.entries.delete(entry.id)
    this.entries.set(entry.id, entry)
  }

  #addKey([runId, fingerprint, principal, at, outcome]: SettledTuple): void {
    this.settled.add(runId, { fingerprint, principal, at, outcome: unpackOutcome(outcome) })
  }
}

function* recordsOf({ aborting, entry, run, startedAt, text }: OpenRun): Iterable<JournalRecord> {
  yield { type: "accepted", run, entry, stored: true }
  if (aborting !== undefined) yield { type: "aborting", runId: run.runId, reason: aborting }
  if (startedAt !== undefined) yield { type: "started", runId: run.runId, at: startedAt }
  if (text !== "") yield { type: "text", runId: run.runId, from: 0, text }
}

const textOf = (entry: Entry | undefined): string => {
  const content = entry?.message["content"]
  if (!Array.isArray(content)) return ""
  return content.map((block: unknown) => textOfBlock(block)).join("")
}

const textOfBlock = (block: unknown): string =>
  typeof block === "object" && block !== null && "text" in block && typeof block.text === "string"
    ? block.text
    : ""
