/**
 * Whoever comes and goes, stalls, and leaves what it was sent unread: what it has read over all its connections is the log of
 * what was published, as far as it may see it, but for pieces of an answer that newer ones have overtaken.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, FastCheck, Layer } from "effect"
import {
  type AgentText,
  type Delta,
  type HubEvent,
  type SessionChanged,
  sessionKeyOf
} from "../../src/domain/HubEvent.js"
import { RunId } from "../../src/domain/Ids.js"
import * as SessionKey from "../../src/domain/SessionKey.js"
import * as EventHub from "../../src/event/EventHub.js"
import * as FanOut from "../../src/event/FanOut.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as EventCodec from "../../src/protocol/EventCodec.js"
import * as FakeSink from "../support/FakeSink.js"
import { Answer, cumulative, put, textAt } from "./Answer.js"
import { Reader } from "./Reader.js"

const side = Either.getOrThrow(SessionKey.parse("side", FakeSink.defaults))
const sessions = [FakeSink.sessionKey, side]

const who = FastCheck.nat(3)
const operation = FastCheck.oneof(
  {
    weight: 8,
    arbitrary: FastCheck.record({ op: FastCheck.constantFrom("append", "replace"), at: who })
  },
  {
    weight: 14,
    arbitrary: FastCheck.record({ op: FastCheck.constantFrom("delta", "delta", "agentText"), at: who })
  },
  {
    weight: 8,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("activity", "end", "inject", "change"),
      at: who
    })
  },
  {
    weight: 14,
    arbitrary: FastCheck.record({
      op: FastCheck.constantFrom("leave", "come", "come", "come", "stall", "take", "take", "flow", "tick"),
      at: who
    })
  },
  { weight: 10, arbitrary: FastCheck.record({ op: FastCheck.constant("yield"), at: who }) }
)
type Operation = typeof operation extends FastCheck.Arbitrary<infer A> ? A : never
const program = FastCheck.array(operation, { minLength: 20, maxLength: 150, size: "max" })
const reader = FastCheck.record({
  view: FastCheck.record<EventCodec.View>({
    version: FastCheck.constantFrom(3 as const, 4 as const),
    deltaOnly: FastCheck.boolean(),
    positions: FastCheck.boolean()
  }),
  hearsChanges: FastCheck.boolean(),
  /** Whoever may see all sessions there are counts as the hub does, or, if not all that there may be, for itself. */
  sees: FastCheck.constantFrom(
    { isOwner: true, sessions },
    { isOwner: false, sessions },
    { isOwner: false, sessions: [side] },
    { isOwner: false, sessions: [] }
  )
})
const readers = FastCheck.array(reader, { minLength: 4, maxLength: 4 })
type Spec = typeof reader extends FastCheck.Arbitrary<infer A> ? A : never

/** Does a newer one say all that it says? */
const isPiece = (event: HubEvent): event is Delta | AgentText | SessionChanged =>
  event._tag === "Delta" || event._tag === "AgentText" || event._tag === "SessionChanged"
const keyOf = (event: HubEvent): string =>
  event._tag === "Injected"
    ? `chat inject-${event.messageId} 0`
    : event._tag === "SessionChanged"
      ? `sessions.changed ${event.runId} undefined`
      : `${EventCodec.eventName(event)} ${event.run.runId} ${"seq" in event ? event.seq : event._tag}`
const keyOfFrame = ({ event, payload }: FakeSink.Frame): string =>
  `${event} ${textAt(payload, "runId")} ${String(payload?.["seq"])}`

/** Runs a program to its end; answers what was published and what was read. */
const perform = (operations: ReadonlyArray<Operation>, specs: ReadonlyArray<Spec>) =>
  Effect.gen(function* () {
    const hub = yield* EventHub.EventHub
    const fanOut = yield* FanOut.FanOut
    const log: Array<HubEvent> = []
    const positions = new Map<string, number>()
    const publish = (event: HubEvent | undefined) => {
      if (event === undefined) return
      log.push(event)
      positions.set(keyOf(event), log.length)
      hub.unsafePublish(event)
    }
    const world = {
      fanOut,
      positionOf: (frame: FakeSink.Frame, reader: Reader) => {
        const pos = positions.get(keyOfFrame(frame))
        return pos === undefined ? undefined : seenBy(reader, log.slice(0, pos)).length
      },
      logged: () => log.length
    }
    let runs = 0
    const begin = (at: number) =>
      new Answer({ ...FakeSink.runRef(`r${runs++}`), sessionKey: sessions[at % 2] ?? side })
    const answers = [0, 1, 2, 3].map(begin)
    const all = specs.map(
      ({ hearsChanges, sees, view }) => new Reader(world, { ...sees, hearsChanges, view })
    )
    let words = 0

    const step = ({ at, op }: Operation): Effect.Effect<void> => {
      const answer = answers[at]
      const one = all[at]
      if (answer === undefined || one === undefined) return Effect.void
      if (op === "append") answer.append(`w${words++} `)
      else if (op === "replace") answer.replace(`new ${words++} `)
      else if (op === "delta") publish(answer.show("Delta"))
      else if (op === "agentText") publish(answer.show("AgentText"))
      else if (op === "activity") {
        publish({ ...FakeSink.activity(answer.run.runId, {}, answer.nextSeq()), run: answer.run })
      } else if (op === "end") {
        publish(answer.end())
        answers[at] = begin(at)
      } else if (op === "inject") {
        publish({ ...FakeSink.injected(`m${log.length}`), sessionKey: answer.run.sessionKey })
      } else if (op === "change") {
        publish(
          FakeSink.changed("message", { sessionKey: answer.run.sessionKey, runId: RunId(`c${log.length}`) })
        )
      } else if (op === "leave") one.leave()
      else if (op === "come") one.come()
      else if (op === "stall") one.stall()
      else if (op === "take") one.take(2)
      else if (op === "flow") one.flow()
      else if (op === "tick") return fanOut.broadcast("tick", { ts: log.length })
      else return Effect.yieldNow()
      return Effect.void
    }
    for (const each of operations) yield* step(each)

    // In the end everybody is here and reads.
    for (const one of all) {
      one.come()
      one.flow()
    }
    for (const sessionKey of sessions) publish({ ...FakeSink.injected(`last ${sessionKey}`), sessionKey })
    // They are the last that it is sent.
    const isDone = () =>
      all.every(({ read: seen, sessions: visible }) => {
        const runIds = seen.slice(-visible.length).map(({ frame }) => textAt(frame.payload, "runId"))
        return visible.every((key) => runIds.includes(`inject-last ${key}`))
      })
    for (let rounds = 0; !isDone() && rounds < 1000; rounds++) yield* Effect.yieldNow()
    expect(isDone()).toBe(true)
    return { log, positions, readers: all }
  })

/** The positions in the log, from 1, of what a reader may see. */
const seenBy = ({ sessions: visible }: Reader, log: ReadonlyArray<HubEvent>): ReadonlyArray<number> =>
  log.flatMap((event, index) => (visible.includes(sessionKeyOf(event)) ? [index + 1] : []))

/** Compares what one reader has read with the log: what is wrong, and how often it was told that something is gone. */
const verify = (log: ReadonlyArray<HubEvent>, positions: ReadonlyMap<string, number>, one: Reader) => {
  const { positions: numbered, deltaOnly, version } = one.view
  const sees = (event: HubEvent) =>
    one.sessions.includes(sessionKeyOf(event)) && (event._tag !== "SessionChanged" || one.hearsChanges)
  const visible = seenBy(one, log)
  /** From a position as it counts to one in the log. */
  const inLog = (own: number | undefined) => (own === undefined ? undefined : (visible[own - 1] ?? 0))
  const wrong: Array<string> = []
  const demand = (holds: boolean, otherwise: string) => {
    if (!holds) wrong.push(otherwise)
  }
  /** Positions that a reset has told to be gone, perhaps: behind the first, up to the second. */
  const lost: Array<readonly [number, number]> = []
  const isLost = (pos: number) => lost.some(([from, to]) => from < pos && pos <= to)
  const texts = new Map<string, string>()
  const ended = new Set<string>()
  const seqs = new Map<number, number>()
  const got = new Set<number>()
  /** It has been told everything up to here. */
  let last = one.start
  /** Whatever was skipped by now does not come any more. */
  const passTo = (pos: number) => {
    for (let skipped = last + 1; skipped <= pos; skipped++) {
      const event = log[skipped - 1]
      if (event === undefined || got.has(skipped) || !sees(event) || isPiece(event)) continue
      demand(isLost(skipped), `missed ${skipped}: ${keyOf(event)}`)
    }
    last = pos
  }

  for (const { connection, frame, logged } of one.read) {
    const { event: name, payload, seq } = frame
    demand(seq === (seqs.get(connection) ?? 0) + 1, `seq ${seq} on connection ${connection}`)
    seqs.set(connection, seq ?? 0)
    const told = inLog(typeof payload?.["pos"] === "number" ? payload["pos"] : undefined)
    if (name === "resume.reset") {
      demand(payload?.["reason"] === "expired" && told !== undefined && told >= last, "a wrong reset")
      passTo(told ?? last)
      lost.push([last, logged])
      continue
    }
    if (name === "tick") {
      demand(numbered ? told !== undefined && told >= last : told === undefined, `a tick at ${told}`)
      passTo(told ?? last)
      continue
    }
    const pos = positions.get(keyOfFrame(frame))
    const event = log[(pos ?? 0) - 1]
    if (pos === undefined || event === undefined) {
      wrong.push(`not published: ${keyOfFrame(frame)}`)
      continue
    }
    demand(sees(event), `not to be seen: ${pos}`)
    demand(told === (numbered ? pos : undefined), `pos ${told} at ${pos}`)
    demand(pos > last, `${pos} behind ${last}`)
    got.add(pos)
    passTo(pos)
    if (!("text" in event) || event._tag === "Injected") continue
    if (event._tag !== "AgentText") demand(!ended.has(event.run.runId), `${pos} behind the end of its run`)
    if (event._tag === "Terminal") ended.add(event.run.runId)
    if (!deltaOnly || event._tag === "Terminal") {
      demand(cumulative(frame) === event.text, `the text at ${pos}`)
    }
    if (event._tag === "Terminal" || (!deltaOnly && version === 3)) continue
    // Who reads whole texts on the raw stream is told what is new only where there is something to append to.
    if (!deltaOnly && event._tag === "AgentText") continue
    const key = `${event._tag} ${event.run.runId}`
    texts.set(key, put(frame, texts.get(key) ?? ""))
    demand(texts.get(key) === event.text, `the text put together at ${pos}`)
  }
  passTo(log.length)

  // A piece that was not read was overtaken: by a newer one, or by the end.
  const overtaken = new Set<string>()
  for (const [index, event] of [...log.entries()].toReversed()) {
    if (event._tag === "Terminal") overtaken.add(`Delta ${event.run.runId}`)
    if (!isPiece(event)) continue
    const key = `${event._tag} ${event._tag === "SessionChanged" ? event.sessionKey : event.run.runId}`
    const pos = index + 1
    if (sees(event) && pos > one.start && !got.has(pos)) {
      demand(overtaken.has(key) || isLost(pos), `missed the newest piece ${pos}`)
    }
    overtaken.add(key)
  }
  return { wrong, resets: lost.length }
}

const check = (operations: ReadonlyArray<Operation>, specs: ReadonlyArray<Spec>, maxEvents: number) =>
  Effect.gen(function* () {
    const { log, positions, readers: all } = yield* perform(operations, specs)
    const found = all.map((one) => verify(log, positions, one))
    expect(found.flatMap(({ wrong }) => wrong)).toEqual([])
    if (maxEvents >= log.length) expect(found.every(({ resets }) => resets === 0)).toBe(true)
  }).pipe(
    Effect.provide(
      FanOut.layer.pipe(
        Layer.provideMerge(EventHub.layer),
        Layer.provide(GatewayConfig.layer({ replayMaxEvents: maxEvents }))
      )
    )
  )

/** Few programs a test, and several tests, so that a busy machine does not make one of them last too long. */
const fastCheck = { numRuns: 20, endOnFailure: true }

describe("resume", () => {
  it.effect("what is given up as soon as it comes is told to be gone, to who counts for itself too", () => {
    const step = (op: Operation["op"]): Operation => ({ op, at: 1 })
    const spec: Spec = {
      view: { version: 4, deltaOnly: false, positions: true },
      hearsChanges: true,
      sees: { isOwner: false, sessions: [side] }
    }
    const operations = ["come", "inject", "yield", "leave", "change", "yield", "come"] as const
    // A buffer of three events has no room for changes of sessions.
    return check(operations.map(step), [spec, spec, spec, spec], 3)
  })

  for (const part of [1, 2, 3, 4]) {
    it.effect.prop(
      `what a reader has read over all its connections is the log (${part})`,
      [program, readers],
      ([operations, specs]) => check(operations, specs, 1000),
      { fastCheck }
    )

    it.effect.prop(
      `with a buffer that is too small, it is that but for what a reset has told to be gone (${part})`,
      [program, readers, FastCheck.integer({ min: 3, max: 12 })],
      ([operations, specs, maxEvents]) => check(operations, specs, maxEvents),
      { fastCheck }
    )
  }
})
