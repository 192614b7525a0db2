/** Desk: all that the page shows of one login: the sessions, the open conversations, and what the gateway can do. */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals"
import * as Either from "effect/Either"
import * as Answer from "../../client/Answer.js"
import type { ServerEvent } from "../../client/ServerEvent.js"
import type { Status } from "../../client/Status.js"
import * as OwnSession from "../../client/OwnSession.js"
import * as SessionKey from "../../domain/SessionKey.js"
import type * as Connect from "../../protocol/Connect.js"
import type * as Method from "../../protocol/Method.js"
import type { Gateway } from "../connection/Gateway.js"
import { Conversation } from "./Conversation.js"
import * as Images from "./Images.js"
import type { Memory } from "./Memory.js"
import { Sessions } from "./Sessions.js"
import { messageOf } from "./Wording.js"

export type Agents = Method.ResultOf<"agents.list">

/** Conversations that stay in memory. */
const maxConversations = 12

export interface DeskOptions {
  readonly gateway: Gateway
  readonly memory: Memory
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number
  /** A name for a new session: letters and digits. */
  readonly newName: () => string
}

export class Desk {
  readonly gateway: Gateway
  readonly memory: Memory
  readonly now: () => number
  readonly sessions: Sessions
  readonly #newName: () => string
  readonly #conversations = new Map<string, Conversation>()
  /** The answers that grow in other sessions, by session and run: the gateway tells only what is new in them. */
  readonly #elsewhere = new Map<string, Map<string, string>>()
  /** Of the newest connection; undefined before the first. */
  readonly hello = signal<Connect.HelloOk | undefined>(undefined)
  readonly agents = signal<Agents | undefined>(undefined)
  readonly current = signal<Conversation | undefined>(undefined)
  readonly view = signal<"chat" | "operators">("chat")
  /** What has gone wrong, and goes away by itself. */
  readonly notice = signal<string | undefined>(undefined)
  readonly #stops: Array<() => void> = []

  constructor({ gateway, memory, newName, now }: DeskOptions) {
    this.gateway = gateway
    this.memory = memory
    this.now = now
    this.#newName = newName
    this.sessions = new Sessions(gateway, memory)
    this.#stops.push(
      gateway.status.subscribe((status) => this.#onStatus(status)),
      gateway.onEvent((event) => this.#onEvent(event))
    )
  }

  readonly limits: ReadonlySignal<Images.Limits> = computed(() => Images.limitsOf(this.hello.value))

  /** Does the gateway have the method? */
  has(method: Method.MethodName): boolean {
    return this.hello.value?.features.methods.includes(method) === true
  }

  may(scope: Connect.Scope): boolean {
    const scopes = this.hello.value?.auth?.scopes
    return scopes === undefined || scopes.includes(scope) || scopes.includes("operator.admin")
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.gateway.close()
  }

  /** Shows a session. */
  open(key: string): void {
    this.view.value = "chat"
    if (this.current.value?.key === key) return
    this.current.value = this.#conversation(key)
    this.memory.keepSession(key)
    this.sessions.see(key)
  }

  /** Shows a session that does not exist until something is said in it. */
  begin(agentId?: string): void {
    const hello = this.hello.value
    if (hello !== undefined) this.open(OwnSession.named(hello, `chat-${this.#newName()}`, agentId))
  }

  async rename(key: string, label: string): Promise<void> {
    await this.gateway.call("sessions.patch", { key, label: label === "" ? null : label })
    await this.sessions.reload()
  }

  async reset(key: string): Promise<void> {
    await this.gateway.call("sessions.reset", { key, reason: "reset" })
    this.#renew(key)
    await this.sessions.reload()
  }

  async remove(key: string): Promise<void> {
    await this.gateway.call("sessions.delete", { key })
    this.#gone(key)
    await this.sessions.reload()
  }

  /** Is it the session that can't be deleted? */
  isMain(key: string): boolean {
    return this.hello.value?.snapshot.sessionDefaults.mainSessionKey === key
  }

  /** Does something that may fail, and says so if it does. */
  attempt(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      this.notice.value = messageOf(error)
    })
  }

  get #defaults(): SessionKey.SessionKeyDefaults | undefined {
    const defaults = this.hello.value?.snapshot.sessionDefaults
    if (defaults === undefined) return undefined
    const agent = SessionKey.parseAgentId(defaults.defaultAgentId)
    return Either.isRight(agent) ? { defaultAgentId: agent.right, mainKey: defaults.mainKey } : undefined
  }

  /** Where one begins. */
  get #home(): string | undefined {
    return this.hello.value === undefined ? undefined : OwnSession.home(this.hello.value)
  }

  #canonical(key: string): string {
    const defaults = this.#defaults
    if (defaults === undefined) return key
    return Either.getOrElse(SessionKey.parse(key, defaults), () => key)
  }

  #conversation(key: string): Conversation {
    const known = this.#conversations.get(key)
    if (known !== undefined) return known
    const made = new Conversation(key, this.gateway, this.now)
    this.#conversations.set(key, made)
    for (const [old, conversation] of this.#conversations) {
      if (this.#conversations.size <= maxConversations) break
      if (old !== key && !conversation.isWatched) this.#conversations.delete(old)
    }
    for (const [runId, text] of this.#elsewhere.get(key) ?? []) made.follow(runId).onJoined(text)
    this.#elsewhere.delete(key)
    if (this.gateway.status.value._tag === "Open") this.#refresh(made)
    return made
  }

  #refresh(conversation: Conversation): void {
    void conversation.reload()
    if (this.has("permission.list")) this.attempt(conversation.readQuestions())
    if (this.has("runs.list")) this.attempt(conversation.readRuns())
  }

  #onStatus(status: Status): void {
    if (status._tag !== "Open") return
    const isFirst = this.hello.value === undefined
    const hasRestarted = this.hello.value?.resume.epoch !== status.hello.resume.epoch
    this.hello.value = status.hello
    if (isFirst) void this.#begin()
    // What was missed comes as events; only behind a restart, `resume.reset` says what to read again.
    else if (hasRestarted) this.#readAll()
  }

  async #begin(): Promise<void> {
    const home = this.#home
    for (const sent of await this.gateway.pending()) {
      this.#conversation(this.#canonical(sent.message.sessionKey)).watch(sent)
    }
    const last = this.memory.session() ?? home
    if (this.current.value === undefined && last !== undefined) this.open(last)
    this.#readAll()
  }

  #readAll(): void {
    void this.sessions.reload().then(() => {
      const key = this.current.value?.key
      if (key !== undefined) this.sessions.see(key)
    })
    for (const conversation of this.#conversations.values()) this.#refresh(conversation)
    if (this.has("agents.list")) this.attempt(this.#readAgents())
    if (this.has("runs.list")) this.attempt(this.#readRuns())
  }

  async #readAgents(): Promise<void> {
    this.agents.value = await this.gateway.call("agents.list", {})
  }

  /** Where something is under way: of runs that were begun before this page came, nothing else tells. */
  async #readRuns(): Promise<void> {
    const { runs } = await this.gateway.call("runs.list", {})
    batch(() => {
      const ids = new Set(runs.map(({ runId }) => runId))
      for (const [key, busy] of this.sessions.busy.value) {
        for (const id of busy) if (!ids.has(id)) this.sessions.ended(key, id)
      }
      for (const { runId, sessionKey } of runs) this.sessions.began(sessionKey, runId)
    })
  }

  #onEvent(event: ServerEvent): void {
    switch (event.event) {
      case "chat": {
        const key = this.#canonical(event.payload.sessionKey)
        const { runId, state } = event.payload
        const isOver = state !== "delta"
        if (isOver) this.sessions.ended(key, runId)
        else this.sessions.began(key, runId)
        const conversation = this.#conversations.get(key)
        if (conversation === undefined) this.#overhear(key, event.payload)
        else conversation.onChat(event.payload)
        if (isOver) void this.#relist()
        return
      }
      case "agent": {
        const key = event.payload.sessionKey
        if (key !== undefined) this.#conversations.get(this.#canonical(key))?.onAgent(event.payload)
        return
      }
      case "permission.requested":
        return this.#conversations.get(this.#canonical(event.payload.sessionKey))?.onAsked(event.payload)
      case "permission.resolved":
        return this.#conversations.get(this.#canonical(event.payload.sessionKey))?.onResolved(event.payload)
      case "sessions.changed":
        return this.#onChanged(event.payload)
      case "resume.reset":
        return this.#readAll()
      case "tick":
      case "shutdown":
    }
  }

  /** An answer in a session that is not open. */
  #overhear(key: string, payload: Extract<ServerEvent, { event: "chat" }>["payload"]): void {
    const texts = this.#elsewhere.get(key) ?? new Map<string, string>()
    if (Answer.isTerminal(payload)) texts.delete(payload.runId)
    else texts.set(payload.runId, Answer.next(texts.get(payload.runId) ?? "", payload).text)
    if (texts.size === 0) this.#elsewhere.delete(key)
    else this.#elsewhere.set(key, texts)
  }

  #onChanged({
    reason,
    runId,
    sessionKey
  }: Extract<ServerEvent, { event: "sessions.changed" }>["payload"]): void {
    const conversation = this.#conversations.get(sessionKey)
    if (reason === "message" && runId !== undefined) {
      this.sessions.began(sessionKey, runId)
      conversation?.follow(runId)
    }
    if (reason === "message" || reason === "inject") void conversation?.reload()
    if (reason === "reset") this.#renew(sessionKey)
    if (reason === "delete") this.#gone(sessionKey)
    void this.#relist()
  }

  async #relist(): Promise<void> {
    await this.sessions.reload()
    // Only a page that is looked at has shown it.
    const key = this.current.value?.key
    if (key !== undefined && this.view.value === "chat" && this.isLookedAt()) this.sessions.see(key)
  }

  /** Replaced by the page, which knows whether its tab is in front. */
  isLookedAt: () => boolean = () => true

  #renew(key: string): void {
    const conversation = this.#conversations.get(key)
    conversation?.clear()
    void conversation?.reload()
  }

  #gone(key: string): void {
    this.#conversations.delete(key)
    if (this.current.value?.key !== key) return
    this.current.value = undefined
    const next = this.#home
    if (next !== undefined) this.open(next)
  }
}
