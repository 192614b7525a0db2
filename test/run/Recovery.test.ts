/** What becomes of runs when the gateway ends in the middle of them, and is started again on what a crash has left. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, type Scope, TestClock } from "effect"
import type { GatewayConfigShape } from "../../src/GatewayConfig.js"
import { GrowingBytes } from "../../src/journal/GrowingBytes.js"
import * as LogLine from "../../src/journal/LogLine.js"
import { RunRegistry } from "../../src/run/RunRegistry.js"
import { type MemoryDisk, SessionStoreMemory } from "../../src/session/SessionStoreMemory.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import { ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type { TestClient } from "../../src/testing/TestClient.js"
import { content, png } from "../support/Pictures.js"
import { abort, conversation, detailOf, history, postSend, send, shown } from "../scenario/Ask.js"

type Services = GatewayTest.Services

/** One gateway from its start to its end. What it leaves is a crash's when the body asks for it before. */
const life = <A, E>(
  disk: MemoryDisk | undefined,
  body: (client: TestClient) => Effect.Effect<A, E, Services | Scope.Scope>,
  config: Partial<GatewayConfigShape> = {}
) =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect()
    // No real I/O lies between the start and the ends that are written at the start: all fibers come to rest.
    yield* TestClock.adjust(0)
    return yield* body(client)
  }).pipe(
    Effect.scoped,
    Effect.provide(
      GatewayTest.layer({
        // Its end is not what is looked at, and takes no time.
        config: { drainGrace: Duration.zero, interruptGrace: Duration.zero, ...config },
        ...(disk === undefined ? {} : { disk })
      })
    )
  )

const crash = Effect.flatMap(SessionStoreMemory, ({ crash }) => crash)

/** A run whose agent is at work, and has said so much of which the journal knows all but the last. */
const speaking = (client: TestClient, key: string) =>
  Effect.gen(function* () {
    const agent = yield* ScriptedAgent
    yield* send(client, key)
    const run = yield* agent.next
    yield* run.say("one")
    yield* shown(client, key, "one")
    yield* TestClock.adjust("1 second")
    yield* run.say(" two")
    yield* TestClock.adjust(150)
    yield* shown(client, key, "one two")
    yield* run.say(" lost")
    yield* TestClock.adjust(150)
    yield* shown(client, key, "one two lost")
    return run
  })

const interrupted = (runId: string, partial: boolean) => ({
  ok: false,
  payload: { runId, status: "error", summary: "interrupted by restart" },
  error: {
    code: "UNAVAILABLE",
    details: {
      code: "INTERRUPTED_BY_RESTART",
      runId,
      acceptedAt: expect.any(Number),
      startedAt: expect.any(Number),
      interruptedAt: expect.any(Number),
      partial
    }
  }
})

const status = (runId: string, is: string) => ({ ok: true, payload: { runId, status: is } })

/** No run is left that could end. */
const expectIdle = Effect.gen(function* () {
  expect(yield* (yield* RunRegistry).list).toEqual([])
})

describe("recovery", () => {
  it.effect("a run whose agent was at work ends with one error, and its text so far is in the history", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) => Effect.zipRight(speaking(client, "r1"), crash))
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          expect(yield* send(client, "r1")).toMatchObject(interrupted("r1", true))
          expect(yield* history(client)).toMatchObject([
            { role: "user", runId: "r1" },
            {
              role: "assistant",
              content: [{ type: "text", text: "one two" }],
              runId: "r1",
              stopReason: "error",
              errorMessage: "interrupted by restart"
            }
          ])
          expect(yield* (yield* ScriptedAgent).runs).toHaveLength(0)
          expect((yield* abort(client, "r1")).payload).toEqual({ ok: true, aborted: false, runIds: [] })
          yield* expectIdle
        })
      )
    })
  )

  it.effect("one that had not said anything is marked in the history, too", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* send(client, "r1")
          yield* (yield* ScriptedAgent).next
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          expect(yield* send(client, "r1")).toMatchObject(interrupted("r1", false))
          expect(yield* history(client)).toMatchObject([
            { role: "user" },
            { role: "assistant", stopReason: "error", errorMessage: "interrupted by restart" }
          ])
        })
      )
    })
  )

  it.effect("a text that was rewritten is kept as it was last", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          const run = yield* speaking(client, "r1")
          yield* TestClock.adjust("1 second")
          yield* run.emit({ _tag: "Text", text: "anew" })
          yield* TestClock.adjust("1 second")
          yield* shown(client, "r1", "anew")
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          expect(yield* conversation(client)).toEqual(["user: message r1", "assistant: anew"])
        })
      )
    })
  )

  it.effect("runs that waited run now, in their order, behind what was answered in part", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* speaking(client, "r1")
          for (const key of ["r2", "r3", "r4"]) yield* send(client, key)
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          const agent = yield* ScriptedAgent
          for (const key of ["r2", "r3", "r4"]) {
            expect(yield* send(client, key)).toMatchObject(status(key, "in_flight"))
            const run = yield* agent.next
            expect(run.request).toMatchObject({ runId: key, message: `message ${key}`, images: [] })
            // One after another.
            expect(yield* agent.runs).toHaveLength(Number(key.slice(1)) - 1)
            yield* run.answer(`answer ${key}`)
            expect(yield* client.terminal(key)).toMatchObject({ state: "final", seq: expect.any(Number) })
            expect(yield* send(client, key)).toMatchObject(status(key, "ok"))
          }
          expect(yield* conversation(client)).toEqual([
            "user: message r1",
            "user: message r2",
            "user: message r3",
            "user: message r4",
            "assistant: one two",
            "assistant: answer r2",
            "assistant: answer r3",
            "assistant: answer r4"
          ])
          yield* expectIdle
        })
      )
    })
  )

  /** A crash while two runs wait, the second one with an image. */
  const waitingWithImage = life(undefined, (client) =>
    Effect.gen(function* () {
      yield* speaking(client, "r1")
      yield* send(client, "r2", "look", { attachments: [{ content: png.data, fileName: "dot.png" }] })
      return yield* crash
    })
  )

  it.effect("a run that waited with an image has it when it runs now", () =>
    Effect.gen(function* () {
      const disk = yield* waitingWithImage
      expect(disk.journal.log.text()).not.toContain(png.data)
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          const run = yield* (yield* ScriptedAgent).next
          expect(run.request).toMatchObject({ runId: "r2", message: "look" })
          expect(run.request.images).toEqual([{ ...content(png), fileName: "dot.png" }])
          yield* run.answer("I see")
          expect(yield* client.terminal("r2")).toMatchObject({ state: "final" })
          const again = { attachments: [{ content: png.data, fileName: "renamed.png" }] }
          expect(yield* send(client, "r2", "look", again)).toMatchObject(status("r2", "ok"))
        })
      )
    })
  )

  it.effect("one whose image is gone ends with an error that says so", () =>
    Effect.gen(function* () {
      const disk = yield* waitingWithImage
      disk.images.clear()
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          expect(
            (yield* send(client, "r2", "look", { attachments: [{ content: png.data }] })).error
          ).toMatchObject({
            message: 'the image "dot.png" could not be read: its file is missing',
            details: { code: "IMAGE_UNAVAILABLE" }
          })
          expect(yield* (yield* ScriptedAgent).runs).toHaveLength(0)
          yield* expectIdle
        })
      )
    })
  )

  it.effect("a journal from before images were kept in files is understood", () =>
    Effect.gen(function* () {
      const disk = yield* waitingWithImage
      const lines = LogLine.read(disk.journal.log.view(0, disk.journal.log.size)).lines.map((json) =>
        LogLine.encode(json.replace(`"size":${png.size},"sha256":"${png.sha256}"`, `"data":"${png.data}"`))
      )
      disk.journal.log = GrowingBytes.of(Buffer.from(lines.join("")))
      expect(disk.journal.log.text()).toContain(png.data)
      disk.images.clear()
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          const run = yield* (yield* ScriptedAgent).next
          expect(run.request.images).toEqual([{ ...content(png), fileName: "dot.png" }])
          const again = { attachments: [{ content: png.data }] }
          expect(yield* send(client, "r2", "look", again)).toMatchObject(status("r2", "in_flight"))
        })
      )
    })
  )

  it.effect("what is sent after the start comes behind what waited before it", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* send(client, "r1")
          yield* send(client, "r2")
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          const agent = yield* ScriptedAgent
          yield* send(client, "r3")
          const second = yield* agent.next
          expect(second.request.runId).toBe("r2")
          yield* second.answer("2")
          expect((yield* agent.next).request.runId).toBe("r3")
        })
      )
    })
  )

  it.effect("runs of other sessions don't wait; more than may wait were accepted, and run all the same", () =>
    Effect.gen(function* () {
      const disk = yield* life(
        undefined,
        (client) =>
          Effect.gen(function* () {
            yield* send(client, "busy", "hi", { sessionKey: "busy" })
            for (const session of ["a", "b"])
              for (const n of [1, 2, 3]) yield* send(client, `${session}${n}`, "hi", { sessionKey: session })
            return yield* crash
          }),
        { maxConcurrentRuns: 1 }
      )
      yield* life(
        disk,
        () =>
          Effect.gen(function* () {
            const agent = yield* ScriptedAgent
            const first = [yield* agent.next, yield* agent.next]
            expect(first.map(({ request }) => String(request.runId)).toSorted()).toEqual(["a1", "b1"])
            for (const run of first) yield* run.answer("x")
            const rest: Array<string> = []
            for (let n = 0; n < 4; n++) {
              const run = yield* agent.next
              rest.push(run.request.runId)
              yield* run.answer("x")
            }
            expect(rest.toSorted()).toEqual(["a2", "a3", "b2", "b3"])
          }),
        { maxQueuedPerSession: 1, maxQueuedRuns: 1 }
      )
    })
  )

  it.effect("a run that waited is the same run: thinking, images, timeout", () =>
    Effect.gen(function* () {
      const png =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
      const options = { thinking: "high", timeoutMs: 5000, attachments: [{ content: png }] }
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* send(client, "r1")
          yield* send(client, "r2", "look", options)
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          const run = yield* (yield* ScriptedAgent).next
          expect(run.request).toMatchObject({
            runId: "r2",
            message: "look",
            thinking: "high",
            images: [{ type: "image", mimeType: "image/png", data: png }]
          })
          expect(yield* send(client, "r2", "look", options)).toMatchObject(status("r2", "in_flight"))
          yield* TestClock.adjust("5 seconds")
          expect(yield* client.terminal("r2")).toMatchObject({ state: "aborted", stopReason: "timeout" })
        })
      )
    })
  )

  it.effect("a run that waited can be aborted, and then never runs, in later lives neither", () =>
    Effect.gen(function* () {
      const first = yield* life(
        undefined,
        (client) =>
          Effect.gen(function* () {
            yield* send(client, "busy", "hi", { sessionKey: "busy" })
            yield* send(client, "r1")
            yield* send(client, "r2")
            return yield* crash
          }),
        { maxConcurrentRuns: 1 }
      )
      const second = yield* life(first, (client) =>
        Effect.gen(function* () {
          yield* (yield* ScriptedAgent).next
          expect((yield* abort(client, "r2")).payload).toEqual({ ok: true, aborted: true, runIds: ["r2"] })
          expect(yield* client.terminal("r2")).toMatchObject({ state: "aborted", stopReason: "rpc" })
          return yield* crash
        })
      )
      yield* life(second, (client) =>
        Effect.gen(function* () {
          expect(yield* send(client, "r2")).toMatchObject(status("r2", "aborted"))
          // The agent had been called for this one by then.
          expect(yield* send(client, "r1")).toMatchObject(interrupted("r1", false))
          expect(yield* (yield* ScriptedAgent).runs).toHaveLength(0)
          yield* expectIdle
        })
      )
    })
  )

  it.effect("keys that had their answer have it still, and other content is a mismatch", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          const agent = yield* ScriptedAgent
          yield* send(client, "ok")
          yield* (yield* agent.next).answer("fine")
          yield* client.terminal("ok")
          yield* send(client, "aborted")
          yield* (yield* agent.next).say("half")
          yield* shown(client, "aborted", "half")
          yield* abort(client, "aborted")
          yield* client.terminal("aborted")
          yield* send(client, "error")
          yield* (yield* agent.next).fail("out of tokens")
          yield* client.terminal("error")
          return yield* crash
        })
      )
      // Life after life, after crashes and orderly ends.
      let left = disk
      for (const _ of [1, 2, 3]) {
        left = yield* life(left, (client) =>
          Effect.gen(function* () {
            expect(yield* send(client, "ok")).toMatchObject(status("ok", "ok"))
            expect(yield* send(client, "aborted")).toMatchObject(status("aborted", "aborted"))
            expect(yield* send(client, "error")).toMatchObject({
              ok: false,
              payload: { runId: "error", status: "error", summary: "out of tokens" }
            })
            for (const key of ["ok", "aborted", "error"]) {
              const refused = yield* send(client, key, "something else")
              expect(detailOf(refused, "code")).toBe("IDEMPOTENCY_MISMATCH")
            }
            expect(yield* conversation(client)).toEqual([
              "user: message ok",
              "assistant: fine",
              "user: message aborted",
              "assistant: half",
              "user: message error"
            ])
            expect(yield* (yield* ScriptedAgent).runs).toHaveLength(0)
            return yield* crash
          })
        )
      }
    })
  )

  it.effect("a key is free when its time is over, also when a restart lies in between", () =>
    Effect.gen(function* () {
      const config = { idempotencyTtl: Duration.hours(1) }
      const disk = yield* life(
        undefined,
        (client) =>
          Effect.gen(function* () {
            yield* send(client, "r1")
            yield* (yield* ScriptedAgent).next.pipe(Effect.flatMap((run) => run.answer("x")))
            yield* client.terminal("r1")
            return yield* crash
          }),
        config
      )
      yield* TestClock.setTime(3_600_000)
      yield* life(
        disk,
        (client) =>
          Effect.gen(function* () {
            expect(yield* send(client, "r1")).toMatchObject(status("r1", "ok"))
            yield* TestClock.adjust(1)
            expect(yield* send(client, "r1")).toMatchObject(status("r1", "started"))
            expect((yield* (yield* ScriptedAgent).next).request.runId).toBe("r1")
          }),
        config
      )
    })
  )

  it.effect("a gateway that crashes again and again ends each run once", () =>
    Effect.gen(function* () {
      let disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* speaking(client, "r1")
          for (const key of ["r2", "r3"]) yield* send(client, key)
          return yield* crash
        })
      )
      for (const key of ["r2", "r3"]) {
        disk = yield* life(disk, (client) =>
          Effect.gen(function* () {
            const run = yield* (yield* ScriptedAgent).next
            expect(run.request.runId).toBe(key)
            expect(yield* send(client, "r1")).toMatchObject(interrupted("r1", true))
            return yield* crash
          })
        )
      }
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          expect(yield* send(client, "r1")).toMatchObject(interrupted("r1", true))
          for (const key of ["r2", "r3"])
            expect(yield* send(client, key)).toMatchObject(interrupted(key, false))
          const messages = yield* history(client)
          expect(messages.map(({ role, runId }) => `${role} ${runId ?? ""}`)).toEqual([
            "user r1",
            "user r2",
            "user r3",
            "assistant r1",
            "assistant r2",
            "assistant r3"
          ])
          expect(yield* (yield* ScriptedAgent).runs).toHaveLength(0)
          yield* expectIdle
        })
      )
    })
  )

  it.effect("an orderly end leaves nothing to recover", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          yield* speaking(client, "r1")
          yield* send(client, "r2")
          const registry = yield* RunRegistry
          yield* registry.shutdown
          yield* client.terminal("r2")
          return yield* crash
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          yield* expectIdle
          for (const key of ["r1", "r2"])
            expect(yield* send(client, key)).toMatchObject(status(key, "aborted"))
          expect(yield* conversation(client)).toEqual([
            "user: message r1",
            "user: message r2",
            "assistant: one two lost"
          ])
        })
      )
    })
  )

  it.effect("a send that was not yet answered is taken whole or not at all", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          const memory = yield* SessionStoreMemory
          yield* memory.setSaveDelay("10 seconds")
          yield* postSend(client, "r1")
          yield* TestClock.adjust("9 seconds")
          const left = yield* crash
          yield* memory.setSaveDelay(0)
          yield* TestClock.adjust("1 second")
          return left
        })
      )
      yield* life(disk, (client) =>
        Effect.gen(function* () {
          yield* expectIdle
          expect(yield* conversation(client)).toEqual([])
          expect(yield* send(client, "r1")).toMatchObject(status("r1", "started"))
          yield* (yield* ScriptedAgent).next
        })
      )
    })
  )

  it.effect("an answer that could not be saved is an error in the next life as well", () =>
    Effect.gen(function* () {
      const disk = yield* life(undefined, (client) =>
        Effect.gen(function* () {
          const memory = yield* SessionStoreMemory
          yield* send(client, "r1")
          const run = yield* (yield* ScriptedAgent).next
          yield* run.say("lost")
          yield* memory.failWrites(1, { kind: "append" })
          yield* run.finish
          expect(yield* client.terminal("r1")).toMatchObject({ state: "error" })
          // Before the correction of its end is written.
          const at = yield* crash
          yield* TestClock.adjust("1 second")
          return [at, yield* crash]
        })
      )
      for (const left of disk) {
        yield* life(left, (client) =>
          Effect.gen(function* () {
            expect(yield* send(client, "r1")).toMatchObject({ ok: false, payload: { status: "error" } })
            expect((yield* conversation(client))[0]).toBe("user: message r1")
            expect(yield* conversation(client)).not.toContain("assistant: lost")
            yield* expectIdle
          })
        )
      }
    })
  )
})
