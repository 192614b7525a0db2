/** One client: it goes through its steps while there is a storm, and comes back after every loss of its connection. */
import { Effect, Option } from "effect"
import * as Behaviour from "./Behaviour.js"
import { message } from "./Files.js"
import * as Files from "./Files.js"
import type { Report } from "./Findings.js"
import type { Ledger, SendRecord } from "./Ledger.js"
import * as Plan from "./Plan.js"
import * as Prng from "./Prng.js"
import * as Socket from "./Socket.js"
import { Stream } from "./Stream.js"

/** Where a client lives: one gateway over all of its lives. */
export interface Home {
  readonly label: string
  readonly ledger: Ledger
  readonly report: Report
  /** Open while clients are to send. */
  readonly storm: Effect.Latch
  readonly kills: () => number
  /** The gateway, when it listens; none when it ends instead. */
  readonly address: Effect.Effect<{ readonly url: Option.Option<string>; readonly life: number }>
}

type Fields = Readonly<Record<string, unknown>>

/** A gateway that is up answers within this. */
const patience = "15 seconds"

export class Client {
  readonly index: number
  readonly home: Home
  readonly stream: Stream
  socket: Socket.Socket | undefined
  /** All clients of the gateway. */
  readonly #all: ReadonlyArray<Client>
  readonly #prng: Prng.Prng
  readonly #own: Array<SendRecord> = []
  /** Everything was sent again whose answer was lost, and it waits for a storm. */
  #idle = false
  #life = 0
  #count = 0

  constructor(index: number, home: Home, all: ReadonlyArray<Client>) {
    this.index = index
    this.home = home
    this.#all = all
    this.stream = new Stream(index, home.ledger, home.report)
    this.#prng = Prng.make(home.label, "client", index)
  }

  readonly run: Effect.Effect<never> = Effect.suspend(() => Effect.forever(this.#visit()))

  /** Connected, and nothing under way. */
  get isReady(): boolean {
    return this.#idle && this.socket?.isOpen() === true
  }

  /** What it is about, when it is not ready. */
  describe(): unknown {
    return { client: this.index, open: this.socket?.isOpen(), waitsFor: this.socket?.waiting() }
  }

  /** Sends a record's message; again, when it was sent before. */
  send(record: SendRecord): Effect.Effect<void> {
    return Effect.suspend(() => {
      const asked = this.home.ledger.tick()
      const life = this.#life
      const image = Behaviour.imageOf(record.key)
      return this.request(
        "chat.send",
        {
          sessionKey: record.session,
          message: record.message,
          idempotencyKey: record.key,
          ...(image === undefined ? {} : { attachments: [{ content: image.data }] })
        },
        (reply) => this.home.ledger.sent(record, reply, life, asked)
      ).pipe(Effect.asVoid)
    })
  }

  request(
    method: string,
    params: Fields,
    onReply?: (reply: Socket.Reply) => void
  ): Effect.Effect<Option.Option<Socket.Reply>> {
    return Effect.suspend(() => {
      const { socket } = this
      if (socket === undefined) return Effect.succeedNone
      return Effect.flatMap(
        Effect.timeoutOption(socket.request(method, params, onReply), patience),
        Option.match({
          onNone: () => {
            this.home.report("requests", method, `${method} was not answered within ${patience}`, params)
            socket.cut()
            return Effect.succeedNone
          },
          onSome: Effect.succeed
        })
      )
    })
  }

  /** One connection. */
  #visit(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const { life, url } = yield* this.home.address
      if (Option.isNone(url)) return yield* Effect.sleep("5 millis")
      const socket = yield* Socket.open(url.value, (event) => this.stream.event(event, life))
      if (Option.isNone(socket)) return yield* Effect.sleep("5 millis")
      this.socket = socket.value
      this.#life = life
      const hello = yield* this.request("connect", this.#connectParams(), ({ ok, payload }) => {
        if (ok) this.stream.hello(payload ?? {}, life)
      })
      if (Option.isSome(hello)) {
        if (hello.value.ok) {
          yield* Effect.forEach(
            this.#own.filter(({ open }) => open),
            (record) => this.send(record),
            {
              concurrency: "unbounded",
              discard: true
            }
          )
          yield* this.#work(socket.value)
        } else this.home.report("requests", "connect", "the handshake was refused", hello.value)
      }
      this.#idle = false
      socket.value.cut()
      yield* socket.value.closed
    })
  }

  #connectParams(): Fields {
    const version = this.index % 2 === 0 ? 4 : 3
    return {
      minProtocol: version,
      maxProtocol: version,
      client: { id: "test", version: "0", platform: "crash", mode: "test", instanceId: String(this.index) },
      caps: ["resume"],
      auth: { token: "crash" },
      ...(this.stream.position === undefined ? {} : { resume: this.stream.position })
    }
  }

  #work(socket: Socket.Socket): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      while (socket.isOpen()) {
        this.#idle = true
        yield* Effect.raceFirst(this.home.storm.await, socket.closed)
        if (!socket.isOpen()) return
        this.#idle = false
        yield* this.#step(Plan.step(this.#prng, this.index, this.#count, this.home.kills()))
        yield* Effect.sleep(Plan.think(this.#prng))
      }
    })
  }

  #begin(session: string, length: number): SendRecord {
    const key = `${this.home.label}-c${this.index}-${++this.#count}`
    const record = this.home.ledger.begin(key, session, message(key, length), this.index)
    this.#own.push(record)
    return record
  }

  #step(step: Plan.Step): Effect.Effect<void> {
    switch (step._tag) {
      case "Send": {
        const record = this.#begin(step.session, step.length)
        if (step.times === 1) return this.send(record)
        // The second one over another connection, when there is one: two windows of one user.
        const other = this.#all.find(({ index, socket }) => index > this.index && socket?.isOpen() === true)
        return inParallel([this.send(record), (other ?? this).send(record)])
      }
      case "Burst":
        return inParallel(Array.from({ length: step.count }, () => this.send(this.#begin(step.session, 0))))
      case "Abort": {
        const record = this.#begin(step.session, 0)
        const params = step.all ? {} : { runId: record.key }
        const abort = this.#abort({ sessionKey: step.session, ...params })
        return step.waits
          ? Effect.zipRight(this.send(record), Effect.delay(abort, step.afterMs))
          : inParallel([this.send(record), step.afterMs === 0 ? abort : Effect.delay(abort, step.afterMs)])
      }
      case "History":
        return this.#history(step)
      case "Ask": {
        const record = this.#own[Math.floor(step.which * this.#own.length)]
        return record === undefined ? Effect.void : this.send(record)
      }
      case "Leave":
        return Effect.sync(() => this.socket?.cut())
    }
  }

  #abort(params: Fields): Effect.Effect<void> {
    return Effect.suspend(() => {
      const life = this.#life
      return Effect.map(this.request("chat.abort", params), (reply) => {
        if (Option.isNone(reply)) return
        const { ok, payload } = reply.value
        const { aborted, runIds } = payload ?? {}
        if (ok && Array.isArray(runIds) && aborted === runIds.length > 0)
          this.home.ledger.abortAnswered(runIds, life)
        else
          this.home.report("requests", "chat.abort", "an abort was answered", { params, reply: reply.value })
      })
    })
  }

  /** Reads while others write: a page that has all must have what was acknowledged before it was asked for. */
  #history(step: { readonly session: string; readonly limit: number }): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { ledger, report } = this.home
      const asked = ledger.tick()
      return Effect.map(
        this.request("chat.history", { sessionKey: step.session, limit: step.limit }),
        (reply) => {
          if (Option.isNone(reply)) return
          const { hasMore, messages } = reply.value.payload ?? {}
          if (!reply.value.ok || !Array.isArray(messages) || messages.length > step.limit)
            return report("requests", "chat.history", "a history was answered", { step, reply: reply.value })
          if (hasMore === true) return
          const read = new Set(
            messages.map((line) => Files.lineOf(line)).map(({ key, role }) => `${role} ${key}`)
          )
          for (const record of ledger.records.values()) {
            if (record.session !== step.session || record.acked === undefined) continue
            if (
              record.acked.at < asked &&
              record.acked.status !== "aborted" &&
              !read.has(`user ${record.key}`)
            )
              report("history-pages", record.key, "an acknowledged message is not in a whole history", record)
          }
        }
      )
    })
  }
}

const inParallel = (effects: ReadonlyArray<Effect.Effect<void>>): Effect.Effect<void> =>
  Effect.all(effects, { concurrency: "unbounded", discard: true })
