/**
 * Outbox: the messages of a client and the runs they began. A message stays in the outbox until the gateway has said that it has
 * it, and is put on the wire again, with the same key, when that answer was lost: so one message stays one message. Those of
 * one session go one after another, each behind the answer to the one before, so that they can't change places.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Chat from "../protocol/Chat.js"
import type { WireError } from "../protocol/Frame.js"
import * as Backoff from "./Backoff.js"
import { type CallError, OutboxFull, RequestFailed } from "./ClientError.js"
import type { Link } from "./Link.js"
import { Observed } from "./Observed.js"
import type { OutboxStore, PendingMessage } from "./OutboxStore.js"
import * as RunState from "./RunState.js"
import type { ServerEvent } from "./ServerEvent.js"

export interface OutboxOptions {
  readonly store: OutboxStore
  /** Messages that may wait. */
  readonly max: number
  readonly backoff: Backoff.Backoff
  readonly fork: (effect: Effect.Effect<void>) => void
}

/** A message and what has become of it. */
export interface Entry {
  readonly message: PendingMessage
  readonly state: Observed<RunState.RunState>
  /** On which connection its fate is being asked for. */
  askedOn: Link | undefined
  /** Is it accepted, and does its end have to be asked for? */
  inDoubt: boolean
}

const decodeSend = Schema.decodeUnknownEither(Chat.SendResult)
const decodeFailure = Schema.decodeUnknownEither(
  Schema.Struct({ status: Schema.Literal("error"), summary: Schema.String })
)
const decodeHistory = Schema.decodeUnknownEither(Chat.HistoryResult)
const decodeAnswer = Schema.decodeUnknownEither(
  Schema.Struct({
    role: Schema.Literal("assistant"),
    runId: Schema.String,
    content: Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) }))
  })
)

/** In how many of the newest messages an answer is looked for whose end was not told. */
const lookBack = 100

export class Outbox {
  readonly #options: OutboxOptions
  readonly #entries = new Map<string, Entry>()
  /** What is not acknowledged, by session, in order. */
  readonly #lanes = new Map<string, Array<Entry>>()
  #link: Link | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** What is not acknowledged, in the order of the sessions. */
  get pending(): ReadonlyArray<Entry> {
    return [...this.#lanes.values()].flat()
  }

  find(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Takes a message in. One with a known key is that one. */
  add(message: PendingMessage): Either.Either<Entry, OutboxFull> {
    const known = this.#entries.get(message.idempotencyKey)
    if (known !== undefined) return Either.right(known)
    const { max } = this.#options
    if (this.pending.length >= max) return Either.left(new OutboxFull({ max }))
    const entry: Entry = {
      message,
      state: new Observed<RunState.RunState>({ _tag: "Sending", attempts: 0 }),
      askedOn: undefined,
      inDoubt: false
    }
    this.#entries.set(message.idempotencyKey, entry)
    this.#enqueue(entry)
    return Either.right(entry)
  }

  /** Puts a message that was rejected on the wire again, with the same key. */
  retry(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.state.value._tag !== "Rejected") return
    entry.state.set({ _tag: "Sending", attempts: 0 })
    this.#enqueue(entry)
  }

  /** Forgets a message that is rejected, or was never on the wire. `false`: it is too late. */
  discard(key: string): boolean {
    const entry = this.#entries.get(key)
    const state = entry?.state.value
    if (entry === undefined || state === undefined) return false
    const isUnsent = state._tag === "Sending" && state.attempts === 0
    if (!isUnsent && state._tag !== "Rejected") return false
    this.#entries.delete(key)
    this.#leave(entry)
    if (isUnsent) entry.state.set({ _tag: "Aborted", text: "", reason: "rpc" })
    return true
  }

  /** Forgets those that are over. */
  forget(key: string): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined && RunState.isOver(entry.state.value)) this.#entries.delete(key)
  }

  /** There is a connection: what waits is sent, what is in doubt is asked for. */
  opened(link: Link): void {
    this.#link = link
    for (const lane of this.#lanes.values()) this.#pump(lane)
    for (const entry of this.#entries.values()) if (entry.inDoubt) this.#ask(entry, link)
  }

  /** It is gone. */
  lost(): void {
    this.#link = undefined
  }

  /** What a connection tells. */
  onEvent(event: ServerEvent): void {
    if (event.event === "resume.reset") {
      // The end of any of them may be among what is gone.
      for (const entry of this.#entries.values()) {
        if (entry.state.value._tag !== "Accepted") continue
        entry.inDoubt = true
        if (this.#link !== undefined) this.#ask(entry, this.#link)
      }
      return
    }
    if (event.event !== "chat") return
    const { runId, sessionKey } = event.payload
    const entry = this.#entries.get(runId)
    if (entry === undefined || entry.message.sessionKey !== sessionKey) return
    const state = entry.state.value
    if (RunState.isOver(state)) return
    this.#become(entry, RunState.onEvent(state, event.payload))
  }

  #enqueue(entry: Entry): void {
    const { sessionKey } = entry.message
    const lane = this.#lanes.get(sessionKey) ?? []
    this.#lanes.set(sessionKey, lane)
    lane.push(entry)
    this.#options.fork(this.#options.store.put(entry.message))
    this.#pump(lane)
  }

  /** Sends the first message of a session. */
  #pump(lane: ReadonlyArray<Entry>): void {
    const [entry] = lane
    if (entry !== undefined && this.#link !== undefined) this.#ask(entry, this.#link)
  }

  /** Sends a message, for the first time or to hear what has become of it. */
  #ask(entry: Entry, link: Link): void {
    if (entry.askedOn === link) return
    entry.askedOn = link
    const { state } = entry
    if (state.value._tag === "Sending") {
      state.set({ ...state.value, attempts: state.value.attempts + 1 })
    }
    this.#options.fork(
      link.request("chat.send", entry.message).pipe(
        Effect.matchEffect({
          onFailure: (error) => this.#refused(entry, link, error),
          onSuccess: (payload) => this.#answered(entry, link, payload)
        })
      )
    )
  }

  #answered(entry: Entry, link: Link, payload: unknown): Effect.Effect<void> {
    const result = decodeSend(payload)
    entry.askedOn = undefined
    if (Either.isLeft(result)) {
      this.#become(entry, { _tag: "Rejected", error: unreadable })
      return Effect.void
    }
    const { right } = result
    if (!("status" in right)) {
      this.#become(entry, { _tag: "Stopped", runIds: right.runIds })
      return Effect.void
    }
    const state = entry.state.value
    if (RunState.isOver(state)) return Effect.void
    const text = RunState.textOf(state)
    switch (right.status) {
      case "started":
      case "in_flight":
        this.#become(entry, { _tag: "Accepted", text })
        return Effect.void
      case "aborted":
        this.#become(entry, { _tag: "Aborted", text })
        return Effect.void
      case "ok":
        // It is over, and its end was told to nobody here: what it was is in the history.
        this.#become(entry, { _tag: "Accepted", text })
        entry.inDoubt = true
        return this.#lookUp(entry, link)
    }
  }

  #lookUp(entry: Entry, link: Link): Effect.Effect<void> {
    const { idempotencyKey, sessionKey } = entry.message
    return link.request("chat.history", { sessionKey, limit: lookBack }).pipe(
      Effect.match({
        // On the next connection it is asked for again.
        onFailure: () => undefined,
        onSuccess: (payload) => {
          const state = entry.state.value
          if (RunState.isOver(state)) return
          const messages = Either.match(decodeHistory(payload), {
            onLeft: () => [],
            onRight: ({ messages }) => messages
          })
          const answer = messages
            .flatMap((message) =>
              Either.match(decodeAnswer(message), { onLeft: () => [], onRight: (one) => [one] })
            )
            .find(({ runId }) => runId === idempotencyKey)
          const text = answer?.content.map((part) => part.text ?? "").join("") ?? RunState.textOf(state)
          this.#become(entry, { _tag: "Final", text })
        }
      })
    )
  }

  #refused(entry: Entry, link: Link, error: CallError): Effect.Effect<void> {
    if (!(error instanceof RequestFailed)) {
      // The connection is gone, and with it the answer: `opened` sends it again.
      if (entry.askedOn === link) entry.askedOn = undefined
      return Effect.void
    }
    const state = entry.state.value
    if (RunState.isOver(state)) {
      entry.askedOn = undefined
      return Effect.void
    }
    const failure = decodeFailure(error.payload)
    if (Either.isRight(failure)) {
      entry.askedOn = undefined
      const { details } = error.error
      this.#become(entry, {
        _tag: "Failed",
        text: RunState.textOf(state),
        errorMessage: failure.right.summary,
        ...(details === undefined ? {} : { details })
      })
      return Effect.void
    }
    if (error.error.retryable !== true) {
      entry.askedOn = undefined
      this.#become(entry, { _tag: "Rejected", error: error.error })
      return Effect.void
    }
    const attempts = state._tag === "Sending" ? state.attempts : 1
    if (state._tag === "Sending") entry.state.set({ ...state, problem: error.error })
    return Backoff.delay(this.#options.backoff, attempts, error.error.retryAfterMs ?? 0).pipe(
      Effect.flatMap((wait) => Effect.sleep(wait)),
      Effect.zipRight(
        Effect.sync(() => {
          if (entry.askedOn === link) entry.askedOn = undefined
          if (this.#link === link) this.#ask(entry, link)
        })
      )
    )
  }

  /** The next state; whoever is acknowledged with it makes room for the next of its session. */
  #become(entry: Entry, next: RunState.RunState): void {
    const wasSending = entry.state.value._tag === "Sending"
    if (RunState.isOver(next)) entry.inDoubt = false
    entry.state.set(next)
    if (wasSending && next._tag !== "Sending") this.#leave(entry)
  }

  #leave(entry: Entry): void {
    const { idempotencyKey, sessionKey } = entry.message
    this.#options.fork(this.#options.store.remove(idempotencyKey))
    const lane = (this.#lanes.get(sessionKey) ?? []).filter((one) => one !== entry)
    if (lane.length === 0) this.#lanes.delete(sessionKey)
    else this.#lanes.set(sessionKey, lane)
    this.#pump(lane)
  }
}

const unreadable: WireError = { code: "UNAVAILABLE", message: "the gateway's answer can't be read" }
