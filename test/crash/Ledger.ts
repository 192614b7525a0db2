/**
 * Ledger: what the clients of one gateway were told about each of their sends, over all of its lives. It judges each
 * answer and each event as it comes; what needs the files or some quiet is judged in `Checks`.
 *
 * Moments are counted, not timed: the driver is one thread, so what has the lower number was known before.
 */
import * as Behaviour from "./Behaviour.js"
import type { Report } from "./Findings.js"
import type { Reply } from "./Socket.js"

/** What a key answers when its run is over. */
export interface FinalAnswer {
  readonly status: "ok" | "aborted" | "error"
  readonly summary?: string
}

export interface Terminal {
  readonly state: string
  readonly life: number
  readonly pos: number | undefined
  readonly errorMessage?: string
}

export interface SendRecord {
  readonly key: string
  readonly session: string
  readonly message: string
  /** The client whose send it is. */
  readonly client: number
  /** When it was first sent. */
  readonly sentAt: number
  /** When, and in which life of the gateway, it was first said to be accepted; `aborted` alone says nothing of its message. */
  acked: { readonly at: number; readonly life: number; readonly status: string } | undefined
  /** In which lives it was answered `started`. */
  readonly started: Array<number>
  /** A request is under way, or its answer was lost: the client has to send it again. */
  open: boolean
  final: (FinalAnswer & { readonly at: number; readonly life: number }) | undefined
  /** The first abort that was answered with this run; `uncalled`: the agent had not been called then. */
  aborted: { readonly life: number; readonly uncalled: boolean } | undefined
  /** By client. */
  readonly terminals: Map<number, Array<Terminal>>
}

const terminalOf = { ok: "final", aborted: "aborted", error: "error" } as const

export class Ledger {
  readonly records = new Map<string, SendRecord>()
  /** Sessions that something happened to since they were last checked. */
  readonly touched = new Set<string>()
  readonly #report: Report
  readonly #called: (key: string) => boolean
  #now = 0

  constructor(report: Report, called: (key: string) => boolean) {
    this.#report = report
    this.#called = called
  }

  /** The number of this moment. */
  tick(): number {
    return ++this.#now
  }

  /** A send that will be requested now. */
  begin(key: string, session: string, message: string, client: number): SendRecord {
    const record: SendRecord = {
      key,
      session,
      message,
      client,
      sentAt: this.tick(),
      acked: undefined,
      started: [],
      open: true,
      final: undefined,
      aborted: undefined,
      terminals: new Map()
    }
    this.records.set(key, record)
    this.touched.add(session)
    return record
  }

  /** The answer to a `chat.send` that was requested at the moment `asked`, also of a key that was sent again. */
  sent(record: SendRecord, reply: Reply, life: number, asked: number): void {
    const status = reply.payload?.["status"]
    if (status !== "started" && status !== "in_flight" && !isFinal(status)) {
      if (reply.code !== "UNAVAILABLE")
        this.#report("requests", record.key, `a send was answered ${JSON.stringify(reply)}`, record)
      return
    }
    record.open = false
    record.acked ??= { at: this.tick(), life, status }
    this.touched.add(record.session)
    if (status === "started") {
      record.started.push(life)
      if (record.started.length > 1 || record.acked.life < life)
        this.#report("started-once", record.key, "a key that was accepted before was started again", record)
    }
    if (!isFinal(status)) {
      // Answers over two connections may overtake each other.
      if (record.final !== undefined && record.final.at < asked)
        this.#report("answer-same", record.key, `the key's answer went back to ${status}`, record)
      return
    }
    const summary = reply.payload?.["summary"]
    const answer = { status, ...(typeof summary === "string" ? { summary } : {}) }
    if (record.final === undefined) record.final = { ...answer, at: this.tick(), life }
    else if (record.final.status !== answer.status || record.final.summary !== answer.summary)
      this.#report("answer-same", record.key, `the key's answer became ${JSON.stringify(answer)}`, record)
    this.#judge(record)
  }

  /** The answer to `chat.abort`. Read the witness only now: an agent that is called later was called after the abort. */
  abortAnswered(runIds: ReadonlyArray<unknown>, life: number): void {
    for (const key of runIds) {
      const record = typeof key === "string" ? this.records.get(key) : undefined
      if (record === undefined) {
        this.#report("requests", String(key), "an abort named a run that nobody sent")
        continue
      }
      record.aborted ??= { life, uncalled: !this.#called(record.key) }
      this.touched.add(record.session)
      this.#judge(record)
    }
  }

  /** A chat event that a client has read. */
  event(client: number, payload: Readonly<Record<string, unknown>>, life: number): void {
    const { errorMessage, pos, runId, state } = payload
    const record = typeof runId === "string" ? this.records.get(runId) : undefined
    if (record === undefined) {
      this.#report("stream-order", String(runId), "an event of a run that nobody sent", payload)
      return
    }
    const terminals = record.terminals.get(client) ?? []
    if (state === "delta") {
      if (terminals.length > 0)
        this.#report("stream-order", record.key, `client ${client} saw a delta after the terminal`, record)
      return
    }
    record.terminals.set(client, [
      ...terminals,
      {
        state: String(state),
        life,
        pos: typeof pos === "number" ? pos : undefined,
        ...(typeof errorMessage === "string" ? { errorMessage } : {})
      }
    ])
    if (terminals.length > 0)
      this.#report("terminal-once", record.key, `client ${client} saw a second terminal`, record)
    if (state === "final" && textOf(payload["message"]) !== Behaviour.of(record.key).text)
      this.#report("terminal-agrees", record.key, "the final event does not hold the answer", {
        record,
        payload
      })
    this.#judge(record)
  }

  /** An abort that was answered binds when the send was accepted before, or in the same life. */
  abortBinds(record: SendRecord): boolean {
    return (
      record.aborted !== undefined && record.acked !== undefined && record.acked.life <= record.aborted.life
    )
  }

  /** Answer, abort and terminals of a run must agree, whichever came last. */
  #judge(record: SendRecord): void {
    const { final } = record
    if (final === undefined) return
    if (this.abortBinds(record) && final.status !== "aborted")
      this.#report("abort-stands", record.key, `its abort was answered, its key says ${final.status}`, record)
    for (const [client, terminals] of record.terminals) {
      if (terminals.some(({ state }) => state !== terminalOf[final.status]))
        this.#report(
          "terminal-agrees",
          record.key,
          `the key says ${final.status}, client ${client} saw else`,
          record
        )
    }
  }
}

const isFinal = (status: unknown): status is FinalAnswer["status"] =>
  status === "ok" || status === "aborted" || status === "error"

/** The text of a message with one or more text parts. */
export const textOf = (message: unknown): string => {
  if (typeof message !== "object" || message === null || !("content" in message)) return ""
  const { content } = message
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  const parts: ReadonlyArray<unknown> = content
  return parts
    .map((part) =>
      typeof part === "object" && part !== null && "text" in part && typeof part.text === "string"
        ? part.text
        : ""
    )
    .join("")
}
