/** Conversation: one session as the page holds it: its history, the runs under way, and the questions of its agent. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals"
import type { ServerEvent } from "../../client/ServerEvent.js"
import type { AttachmentParam } from "../../protocol/Chat.js"
import type * as Method from "../../protocol/Method.js"
import type { Gateway, SentRun } from "../connection/Gateway.js"
import { LiveRun } from "./LiveRun.js"
import { isSettled, questionOf, type Row, rowsOf, type RunInView } from "./Timeline.js"
import * as Transcript from "../../client/Transcript.js"
import { messageOf } from "./Wording.js"

/** Messages that are asked for at once. */
export const pageSize = 80

export type Question = Method.ResultOf<"permission.list">["permissions"][number]
type EventOf<N extends ServerEvent["event"]> = Extract<ServerEvent, { readonly event: N }>["payload"]

interface Shown {
  readonly entries: ReadonlyArray<Transcript.Entry>
  readonly hasMore: boolean
}

export class Conversation {
  /** In its canonical form. */
  readonly key: string
  readonly #gateway: Gateway
  readonly #now: () => number
  readonly #shown = signal<Shown>({ entries: [], hasMore: false })
  readonly #runs = signal<ReadonlyArray<LiveRun>>([])
  /** `first`: nothing is shown yet. */
  readonly loading = signal<"first" | "older" | undefined>("first")
  /** Why the history is not shown, or not on. */
  readonly problem = signal<string | undefined>(undefined)
  readonly questions = signal<ReadonlyArray<Question>>([])
  /** What was said last, for those who hear the page instead of seeing it. */
  readonly said = signal("")
  #reading: Promise<void> | undefined
  #isStale = false

  constructor(key: string, gateway: Gateway, now: () => number) {
    this.key = key
    this.#gateway = gateway
    this.#now = now
  }

  readonly #inView = computed((): ReadonlyArray<RunInView> =>
    this.#runs.value.map((run) => ({ run, phase: run.phase.value._tag }))
  )
  readonly rows: ReadonlySignal<ReadonlyArray<Row>> = computed(() =>
    rowsOf(this.#shown.value.entries, this.#inView.value)
  )
  readonly hasMore: ReadonlySignal<boolean> = computed(() => this.#shown.value.hasMore)
  /** Is anything under way that can be stopped? */
  readonly isBusy: ReadonlySignal<boolean> = computed(() =>
    this.#inView.value.some(({ phase }) => phase === "Accepted" || phase === "Sending")
  )
  /** Does it hold what a reload would lose? */
  get isWatched(): boolean {
    return this.#runs.value.some((run) => !run.isOver)
  }

  /** Reads the newest messages. Asked again meanwhile, it reads once more afterwards. */
  async reload(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#isStale = true
      return this.#reading
    }
    this.#reading = this.#readNewest()
    await this.#reading
    this.#reading = undefined
    if (this.#isStale) {
      this.#isStale = false
      await this.reload()
    }
  }

  async #readNewest(): Promise<void> {
    try {
      const page = await this.#gateway.call("chat.history", { sessionKey: this.key, limit: pageSize })
      batch(() => {
        this.#shown.value = Transcript.mergeNewest(this.#shown.value, {
          entries: page.messages.map(Transcript.read),
          hasMore: page.hasMore
        })
        this.#runs.value = this.#runs.value.filter(
          (run) => !isSettled({ run, phase: run.phase.value._tag }, this.#shown.value.entries)
        )
        this.problem.value = undefined
        if (this.loading.value === "first") this.loading.value = undefined
      })
    } catch (error) {
      this.problem.value = messageOf(error)
      if (this.loading.value === "first") this.loading.value = undefined
    }
  }

  /** Reads the messages before the oldest that is shown. */
  async older(): Promise<void> {
    const [oldest] = this.#shown.value.entries
    if (oldest === undefined || !this.#shown.value.hasMore || this.loading.value !== undefined) return
    this.loading.value = "older"
    try {
      const page = await this.#gateway.call("chat.history", {
        sessionKey: this.key,
        limit: pageSize,
        before: oldest.id
      })
      // A newer reading may have dropped what this page would stand before.
      if (this.#shown.value.entries[0]?.id === oldest.id) {
        const entries = page.messages.map(Transcript.read)
        this.#shown.value = {
          entries: [...entries, ...this.#shown.value.entries],
          hasMore: page.hasMore && entries.length > 0
        }
      }
    } catch (error) {
      this.problem.value = messageOf(error)
    } finally {
      this.loading.value = undefined
    }
  }

  /** What waits for an answer. */
  async readQuestions(): Promise<void> {
    const { permissions } = await this.#gateway.call("permission.list", { sessionKey: this.key })
    this.questions.value = permissions
  }

  /** What is under way, by whomever and since whenever. */
  async readRuns(): Promise<void> {
    const { runs } = await this.#gateway.call("runs.list", { sessionKey: this.key })
    batch(() => {
      this.retain(new Set(runs.map(({ runId }) => runId)))
      for (const { runId, text } of runs) this.follow(runId).onJoined(text ?? "")
    })
  }

  /** Watches a message that was sent from here. */
  watch(sent: SentRun): void {
    const run = new LiveRun(sent.key, this.#now(), sent)
    this.#runs.value = [...this.#runs.value.filter(({ id }) => id !== sent.key), run]
    sent.onState((state) => {
      const was = run.isOver
      if (state._tag === "Stopped") return this.forget(run.id)
      batch(() => run.onState(state))
      if (!was && run.isOver && state._tag !== "Rejected") this.#ended(run)
    })
  }

  /** Sends a message again that was not taken. To be rejected was its end: from here on it is watched anew. */
  retry(runId: string): void {
    const handle = this.#runs.value.find(({ id }) => id === runId)?.handle
    if (handle === undefined) return
    this.#gateway.retry(runId)
    this.watch(handle)
  }

  /** A run of anybody that is known to be under way. */
  follow(runId: string): LiveRun {
    const known = this.#runs.value.find(({ id }) => id === runId)
    if (known !== undefined) return known
    const run = new LiveRun(runId, this.#now())
    this.#runs.value = [...this.#runs.value, run]
    return run
  }

  /** Only these are under way, by what the gateway says. */
  retain(runIds: ReadonlySet<string>): void {
    this.#runs.value = this.#runs.value.filter(
      (run) => run.handle !== undefined || run.isOver || runIds.has(run.id)
    )
  }

  forget(runId: string): void {
    this.#runs.value = this.#runs.value.filter(({ id }) => id !== runId)
  }

  /** It begins anew. */
  clear(): void {
    this.#shown.value = { entries: [], hasMore: false }
    this.#runs.value = this.#runs.value.filter((run) => run.phase.value._tag === "Sending")
    this.questions.value = []
  }

  async send(message: string, attachments: ReadonlyArray<AttachmentParam>): Promise<void> {
    this.watch(
      await this.#gateway.send({
        sessionKey: this.key,
        message,
        ...(attachments.length === 0 ? {} : { attachments })
      })
    )
  }

  /** Stops what is under way, and takes back what was never on the wire. */
  async stop(): Promise<void> {
    const unsent = this.#runs.value.filter((run) => run.phase.value._tag === "Sending")
    await Promise.all([
      ...unsent.map((run) => run.handle?.abort()),
      this.#gateway.call("chat.abort", { sessionKey: this.key })
    ])
  }

  /** What was asked in a run; undefined: it is not known here. */
  questionOf(runId: string): string | undefined {
    const sent = this.#runs.value.find(({ id }) => id === runId)?.sent?.message
    return sent ?? questionOf(this.#shown.value.entries, runId)
  }

  async answer(id: string, optionId: string): Promise<void> {
    await this.#gateway.call("permission.resolve", { id, optionId })
    this.questions.value = this.questions.value.filter((question) => question.id !== id)
  }

  onChat(payload: EventOf<"chat">): void {
    if (payload.runId.startsWith("inject-")) return void this.reload()
    const known = this.#runs.value.find(({ id }) => id === payload.runId)
    // The client tells of its own.
    if (known?.handle !== undefined) return
    const run = known ?? this.follow(payload.runId)
    batch(() => run.onChat(payload))
    if (run.isOver) this.#ended(run)
  }

  onAgent({ data, runId, stream }: EventOf<"agent">): void {
    if (stream !== "tool" && stream !== "thinking") return
    this.follow(runId).onAgent(stream, data)
  }

  onAsked({ pos: _pos, ...question }: EventOf<"permission.requested">): void {
    this.questions.value = [...this.questions.value.filter(({ id }) => id !== question.id), question]
    this.said.value = `The agent asks: ${question.title}`
  }

  onResolved({ id }: EventOf<"permission.resolved">): void {
    this.questions.value = this.questions.value.filter((question) => question.id !== id)
  }

  #ended(run: LiveRun): void {
    const phase = run.phase.value
    this.said.value =
      phase._tag === "Failed"
        ? `The run has failed: ${phase.message}`
        : phase._tag === "Aborted"
          ? "Stopped."
          : run.text.value
    void this.reload()
  }
}
