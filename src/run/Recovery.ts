/** Recovery: from what the run journal says of a run of an earlier life to what becomes of it in this one. */
import { Deferred, Exit, Schema } from "effect"
import type { HubEvent, Terminal } from "../domain/HubEvent.js"
import type { SessionId } from "../domain/Ids.js"
import { type Image, isImageContent, isImageReference, TextContent } from "../domain/Message.js"
import * as Projection from "../domain/Projection.js"
import type { AbortReason, Outcome } from "../domain/RunState.js"
import type { EndedRun, OpenRun } from "../journal/JournalState.js"
import { Run, type RunRequest } from "./Run.js"
import { interruptedCode } from "./RunLife.js"

export interface Restored {
  readonly run: Run
  readonly sessionId: SessionId
  /** When its agent was called, in milliseconds since the Unix epoch; undefined: it was not. */
  readonly startedAt: number | undefined
  /** Was it answered that it is aborted? */
  readonly aborting: AbortReason | undefined
}

export interface Options {
  /** Milliseconds since the Unix epoch. */
  readonly now: number
  readonly maxLength: number
  readonly publish: (event: HubEvent) => number
}

/** The run as it stood: waiting for its turn, or with an agent of which nobody hears any more. */
export const restore = (open: OpenRun, options: Options): Restored => {
  const { aborting, entry, run: accepted, startedAt, text } = open
  const { acceptedAt, fingerprint, ...rest } = accepted
  const run = new Run({
    ...options,
    request: { ...rest, ...contentOf(entry.message["content"]) },
    fingerprint,
    now: acceptedAt,
    state: startedAt === undefined ? { _tag: "Queued" } : { _tag: "Running" },
    firstSeq: startedAt === undefined ? 0 : seqAfter(startedAt, options.now)
  })
  run.answer = Projection.append(run.answer, text)
  Deferred.unsafeDone(run.saved, Exit.succeed({ _tag: "Started" }))
  return { run, sessionId: entry.sessionId, startedAt, aborting }
}

/** How many deltas were told is not known, but how many there can have been at most. */
const seqAfter = (startedAt: number, now: number): number =>
  Math.ceil(Math.max(0, now - startedAt) / Projection.chatInterval) + 1

/** How a run ends whose agent was at work when the gateway ended. */
export const interrupted = ({ run, startedAt }: Restored, now: number): Outcome => ({
  _tag: "Error",
  message: "interrupted by restart",
  details: {
    code: interruptedCode,
    acceptedAt: run.acceptedAt,
    ...(startedAt === undefined ? {} : { startedAt }),
    interruptedAt: now,
    partial: run.answer.text !== ""
  }
})

/** The end of a run of the last life, for those who may not have been told. */
export const retold = ({ end, olderLives, run, seenAt, text, toldAt }: EndedRun): Terminal => ({
  _tag: "Terminal",
  run: {
    runId: run.runId,
    sessionKey: run.sessionKey,
    requestedKey: run.requestedKey,
    agentId: run.agentId
  },
  seq: end.seq,
  outcome: end.outcome,
  text,
  timestamp: end.at,
  retold: {
    epoch: end.epoch,
    pos: toldAt === undefined ? end.pos : toldAt - 1,
    // Told to those who see everything, it was told to all.
    ...(toldAt === undefined && seenAt === undefined ? {} : { perspectives: seenAt ?? {} }),
    older: olderLives
  }
})

const isText = Schema.is(TextContent)
/** Journals from before images were kept in files hold their bytes. */
const isImage = (block: unknown): block is Image => isImageContent(block) || isImageReference(block)

/** What was sent, from the message that it became. */
const contentOf = (content: unknown): Pick<RunRequest, "message" | "images"> => {
  const blocks: ReadonlyArray<unknown> = Array.isArray(content) ? content : []
  return { message: blocks.find(isText)?.text ?? "", images: blocks.filter(isImage) }
}
