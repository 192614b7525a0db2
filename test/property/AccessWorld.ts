/** Carries a program of two principals out on a gateway, and gives every frame that they were sent. */
import { Effect, Layer, TestClock } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import * as AgentEvent from "../../src/domain/AgentEvent.js"
import { Gateway } from "../../src/gateway/Gateway.js"
import { AgentEvents } from "../../src/run/AgentEvents.js"
import { Permissions } from "../../src/run/Permissions.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as TestClient from "../../src/testing/TestClient.js"
import * as World from "../access/World.js"
import * as Pictures from "../support/Pictures.js"
import { quiet } from "../support/Shared.js"
import { type Actor, type From, type Name, type Operation, otherOf, sideOf } from "./AccessProgram.js"

/** What every text of somebody's has in it. Of a length that is a multiple of three: it is seen in base64, too. */
export const markerOf = (name: Name): string => `zq-${name}-mark`.padEnd(15, "!")
export const pictureOf = (name: Name): Pictures.Picture =>
  Pictures.of("image/png", Buffer.from(markerOf(name)))

/** Keys: two that both use, one of one's own, and one that is the other's run in disguise. */
const keyOf = (name: Name, index: number): string =>
  ["k0", "k1", `${markerOf(name)} key`, `${otherOf(name)}\u001fk0`][index] ?? "k0"
export const sessionOf = (name: Name, index: number): string => `agent:main:${name}:${index}`

export interface Options {
  /** Whose traffic there is. */
  readonly sides: ReadonlyArray<Name>
  /** May they come back from where the other one is, or from anywhere that was never theirs? */
  readonly forge: boolean
}

const layer = GatewayTest.layer({
  principals: {
    alice: World.principal("alice", ["agent:*:alice:*"]),
    bob: World.principal("bob", ["agent:main:bob:*", "agent:none:bob:*"]),
    boss: Principal.owner
  },
  agents: ScriptedAgent.cast({
    main: {},
    ops: { name: markerOf("alice"), model: { provider: "p", id: markerOf("alice") } }
  })
})

/** Every frame that somebody was sent, by connection, as texts. */
export interface Received extends Record<Actor, ReadonlyArray<ReadonlyArray<string>>> {
  /** Ids of the other's things that somebody has named: they come back in the answers. */
  readonly named: { readonly [N in Name]: ReadonlySet<string> }
}

/** An id of nothing. */
export const nobody = "00000000-0000-4000-8000-000000000000"

export const perform = (operations: ReadonlyArray<Operation>, { forge, sides }: Options) =>
  Effect.gen(function* () {
    const gateway = yield* Gateway
    const agent = yield* ScriptedAgent.ScriptedAgent
    const events = yield* AgentEvents
    const permissions = yield* Permissions
    const received: { readonly [A in Actor]: Array<Array<string>> } = { alice: [], bob: [], boss: [] }
    /** Ids of the other's things that somebody has named. */
    const named = { alice: new Set<string>(), bob: new Set<string>() }
    let count = 0

    /** A client that keeps every frame as it came. */
    const open = (actor: Actor) => {
      const frames: Array<string> = []
      received[actor].push(frames)
      return TestClient.open((wire) =>
        TestClient.memoryWire(gateway)({
          ...wire,
          onFrame: (text) => {
            count += 1
            frames.push(text)
            wire.onFrame(text)
          }
        })
      )
    }
    /** Until nobody is told anything any more. */
    const stillness = Effect.gen(function* () {
      for (let still = 0; still < 3; still++) {
        const before = count
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        if (count !== before) still = -1
      }
    })
    const come = (actor: Actor, options: TestClient.ConnectOptions) =>
      Effect.gen(function* () {
        const client = yield* open(actor)
        yield* client.connect({ token: actor, caps: ["resume", "sessions"], ...options })
        return client
      })
    const clients: Record<Actor, TestClient.TestClient> = {
      alice: yield* come("alice", {}),
      bob: yield* come("bob", {}),
      boss: yield* come("boss", {})
    }

    const positionFor = (actor: Actor, from: From) =>
      Effect.gen(function* () {
        const own = yield* clients[actor].position
        if (from === "nowhere") return undefined
        if (!forge || from === "own") return own
        const foreign = yield* clients[actor === "alice" ? "bob" : "alice"].position
        switch (from) {
          case "foreign":
            return foreign
          case "start":
            return { ...foreign, pos: 0 }
          case "future":
            return { ...foreign, pos: foreign.pos + 1000 }
          case "carried":
            return { epoch: `${foreign.epoch}<${foreign.epoch}:0`, pos: 0 }
          case "made up":
            return { epoch: nobody, pos: 5 }
        }
      })

    const runsOf = (name: Name) =>
      Effect.map(agent.runs, (runs) =>
        runs.filter(({ request }) => request.sessionKey.startsWith(`agent:main:${name}:`))
      )
    const questionsOf = (name: Name) =>
      Effect.map(permissions.list, (all) => all.filter(({ run }) => run.sessionKey.includes(`:${name}:`)))

    const attachmentsOf = (side: Name, kind: string) =>
      kind === "image" || kind === "bad image"
        ? {
            attachments: [
              {
                fileName: `${markerOf(side)}.png`,
                content: kind === "image" ? pictureOf(side).data : markerOf(side)
              }
            ]
          }
        : {}

    const step = (operation: Operation): Effect.Effect<unknown, TestClient.ContractViolation> =>
      Effect.gen(function* () {
        if (operation.op === "clock") return yield* TestClock.adjust(operation.ms)
        if (operation.op === "agent") return yield* act(operation.of, operation.does)
        const side = sideOf(operation.by)
        const client = clients[operation.by]
        // The owner keeps to alice's sessions.
        const target = "own" in operation && !operation.own && operation.by !== "boss" ? otherOf(side) : side
        const sessionKey = "session" in operation ? sessionOf(target, operation.session) : ""
        const text = `${markerOf(side)} text`
        switch (operation.op) {
          case "send":
            return yield* client.post("chat.send", {
              sessionKey: operation.kind === "no agent" ? `agent:none:${target}:x` : sessionKey,
              message: operation.kind === "stop" ? "/stop" : text,
              idempotencyKey: keyOf(side, operation.key),
              ...attachmentsOf(side, operation.kind)
            })
          case "abort":
            return yield* client.post("chat.abort", {
              sessionKey,
              ...(operation.key < 0 ? {} : { runId: keyOf(target, operation.key) })
            })
          case "history":
            return yield* client.post("chat.history", { sessionKey })
          case "inject":
            return yield* client.post("chat.inject", {
              sessionKey,
              message: text,
              label: `${markerOf(side)} label`
            })
          case "image":
            return yield* client.post("chat.image", { sessionKey, sha256: pictureOf(target).sha256 })
          case "patch":
            return yield* client.post("sessions.patch", { key: sessionKey, label: `${text} label` })
          case "reset":
          case "delete":
            return yield* client.post(`sessions.${operation.op}`, { key: sessionKey })
          case "permissions":
            return yield* client.post("permission.list", { sessionKey })
          case "resolve": {
            const question = (yield* questionsOf(target)).at(-1)?.question.id
            // That there is a question is known to bob from elsewhere; without its id he could not even ask.
            const id = question ?? nobody
            if (target !== side) named[side].add(id)
            return yield* client.post("permission.resolve", { id, optionId: operation.option })
          }
          case "look":
            return yield* client.post(operation.method)
          case "connect": {
            const resume = yield* positionFor(operation.by, operation.from)
            if (!operation.stay) yield* client.leave
            clients[operation.by] = yield* come(operation.by, {
              protocol: operation.protocol,
              caps: operation.hears ? ["resume", "sessions"] : ["resume"],
              ...(resume === undefined ? {} : { resume })
            })
          }
        }
      })

    const act = (name: Name, does: (Operation & { op: "agent" })["does"]) =>
      Effect.gen(function* () {
        const run = (yield* runsOf(name)).at(-1)
        if (run === undefined) return
        const text = `${markerOf(name)} said `
        switch (does) {
          case "say":
            return yield* run.say(text)
          case "rewrite":
            return yield* run.emit(AgentEvent.text(`${text} anew`))
          case "think":
            return yield* run.emit(AgentEvent.thinking(text))
          case "tool":
            return yield* run.emit(
              AgentEvent.tool({ phase: "start", name: text, toolCallId: text, args: { [text]: text } })
            )
          case "ask":
            return yield* Effect.forkDaemon(
              run.request.ask({ ...World.question, title: text, args: { [text]: text } })
            )
          case "finish":
            return yield* run.answer(text)
          case "fail":
            return yield* run.fail(`${text} failed`)
          case "die":
            return yield* run.die(text)
          case "handOff":
            return yield* run.handOff
          case "outside":
            return yield* events.emit(run.request.runId, AgentEvent.textDelta(text))
        }
      })

    const isOfSide = (operation: Operation): boolean =>
      operation.op === "clock" ||
      sides.includes(operation.op === "agent" ? operation.of : sideOf(operation.by))
    yield* stillness
    for (const operation of operations) {
      if (!isOfSide(operation)) continue
      yield* step(operation)
      yield* stillness
    }
    // Nobody was sent anything that breaks the contract.
    for (const client of Object.values(clients)) yield* client.frames
    return {
      ...received,
      named
    } satisfies Received
  }).pipe(Effect.provide(Layer.provideMerge(layer, quiet)))
