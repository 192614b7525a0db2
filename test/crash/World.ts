/** World: one gateway over all of its lives, its clients, and the rounds of storm, kills and quiet that they go through. */
import { Cause, Effect, type Fiber } from "effect"
import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as Checks from "./Checks.js"
import { Client, type Home } from "./Client.js"
import * as Files from "./Files.js"
import type { Findings, Report } from "./Findings.js"
import * as GatewayProcess from "./GatewayProcess.js"
import { Ledger, type SendRecord } from "./Ledger.js"
import { type Break, type Disk, gatewayArgs } from "./Options.js"
import * as Plan from "./Plan.js"
import * as Prng from "./Prng.js"

export interface WorldOptions {
  /** Its number; with the seed it decides everything that it draws. */
  readonly index: number
  readonly seed: string
  readonly kills: number
  readonly disk: Disk
  readonly break: Break
  /** Of its own. */
  readonly directory: string
  /** The bundled gateway. */
  readonly main: string
  readonly findings: Findings
}

/** What went on, for people. */
export interface Stats {
  readonly kills: number
  readonly sends: number
  readonly ended: Readonly<Record<string, number>>
  /** Terminals that a client did not see after `resume.reset`: its own runs, others'. */
  readonly unseenOwn: number
  readonly unseenOthers: number
}

/** Within this a gateway is up, clients are back, runs are over; it is much more than they need. */
const patienceMs = 15_000

export const run = (options: WorldOptions): Effect.Effect<Stats> =>
  Effect.scoped(Effect.flatMap(make(options), (world) => world.play))

const make = (options: WorldOptions) =>
  Effect.gen(function* () {
    const { directory, findings, index, main, seed } = options
    const label = `${seed}-w${index}`
    const prng = Prng.make(label, "world")
    const stateDir = join(directory, "state")
    const callsFile = join(directory, "calls")
    const heldFile = join(directory, "held.json")
    mkdirSync(directory, { recursive: true })

    let kills = 0
    let life = 0
    // The first round in which something is wrong is the last one: its files tell what.
    const isFine = () => !findings.all.some(({ world }) => world === index)
    const report: Report = (check, subject, what, details) => {
      findings.add({ check, what, world: index, kill: kills, details: { subject, life, details } }, subject)
    }
    const ledger = new Ledger(report, (key) => readCalls(callsFile).includes(`\n${key}\n`))
    const storm = yield* Effect.makeLatch()
    let gateway: GatewayProcess.GatewayProcess
    let expectsEnd = false

    const start = Effect.gen(function* () {
      life += 1
      expectsEnd = false
      const born = GatewayProcess.start(
        main,
        gatewayArgs({
          stateDir,
          calls: callsFile,
          held: heldFile,
          disk: options.disk,
          break: options.break,
          seed: `${label}-${life}`
        }),
        join(directory, "gateway.log")
      )
      gateway = born
      yield* born.ended.pipe(
        Effect.map((how) => {
          if (gateway === born && !expectsEnd)
            report("process", `life ${life}`, "the gateway ended by itself", how)
        }),
        Effect.forkScoped
      )
    })
    const up = Effect.suspend(() =>
      Effect.raceFirst(Effect.asSome(gateway.up), Effect.zipRight(gateway.ended, Effect.succeedNone))
    ).pipe(
      Effect.timeoutOption(patienceMs),
      Effect.map((url) => url._tag === "Some" && url.value._tag === "Some")
    )

    const home: Home = {
      label,
      ledger,
      report,
      storm,
      kills: () => kills,
      address: Effect.suspend(() => {
        const ours = life
        return Effect.map(
          Effect.raceFirst(gateway.up, Effect.zipRight(gateway.ended, Effect.succeed(""))),
          (url) => ({ url: url === "" ? "ws://127.0.0.1:1" : url, life: ours })
        )
      })
    }
    const clients: Array<Client> = []
    for (let at = 0; at < Plan.clients; at++) clients.push(new Client(at, home, clients))
    const held: Effect.Effect<Files.Held> = Effect.gen(function* () {
      if (options.disk === "real" || expectsEnd) return {}
      rmSync(heldFile, { force: true })
      yield* gateway.signal("SIGUSR2")
      yield* until(() => Files.held(heldFile) !== undefined)
      return Files.held(heldFile) ?? {}
    })
    const subject: Checks.Subject = { stateDir, callsFile, ledger, clients, report, held }

    const end = (signal: NodeJS.Signals) =>
      Effect.gen(function* () {
        expectsEnd = true
        yield* gateway.signal(signal)
        const how = yield* Effect.timeoutOption(gateway.ended, patienceMs)
        // What the dead one has said must be read before its successor says anything.
        yield* until(() => clients.every(({ socket }) => socket?.isOpen() !== true))
        return how
      })

    const kill = Effect.gen(function* () {
      yield* end("SIGKILL")
      kills += 1
      Checks.whenDead(subject)
      if (options.break === "journal") Files.dropJournal(stateDir)
      yield* start
    })

    const ask = (record: SendRecord) =>
      Effect.suspend(() => clients[record.client]?.send(record) ?? Effect.void)

    const settle = (record: SendRecord) =>
      Effect.gen(function* () {
        for (let waited = 0; record.final === undefined && waited < patienceMs; waited += 20) {
          yield* ask(record)
          if (record.final === undefined) yield* Effect.sleep("20 millis")
        }
        if (record.final === undefined)
          report(
            "answer-final",
            record.key,
            `its key has no final answer after ${patienceMs} ms of quiet`,
            record
          )
      })

    /** Everybody is back and nothing is under way. False: that did not come about. */
    const quiet = Effect.gen(function* () {
      storm.unsafeClose()
      if (!(yield* up)) {
        report(
          "process",
          `life ${life}`,
          "the gateway did not come up",
          Files.readText(join(directory, "gateway.log"))?.slice(-4000)
        )
        return false
      }
      if (!(yield* until(() => clients.every(({ idle, socket }) => idle && socket?.isOpen() === true)))) {
        const away = clients
          .filter(({ idle }) => !idle)
          .map(({ index, socket }) => ({
            client: index,
            open: socket?.isOpen(),
            waitsFor: socket?.waiting()
          }))
        report("process", `life ${life}`, "clients could not come back", away)
        return false
      }
      const open = [...ledger.records.values()].filter(({ final }) => final === undefined)
      yield* Effect.forEach(open, settle, { concurrency: "unbounded", discard: true })
      yield* until(() => !Checks.unseen(subject).some(({ excused }) => !excused), 2000)
      for (const { client, excused, record } of Checks.unseen(subject)) {
        if (!excused)
          report(
            "terminal-missing",
            `${record.key} ${client}`,
            `client ${client} did not see how it ended`,
            record
          )
      }
      return true
    })

    const checkAll = (sessions: ReadonlySet<string>) =>
      Effect.gen(function* () {
        yield* Checks.whenQuiet(subject, sessions)
        const reader = clients[prng.between(0, clients.length - 1)]
        if (reader === undefined) return
        const limit = prng.between(3, 200)
        const notOnDisk = yield* held
        yield* Effect.forEach(
          sessions,
          (session) => Checks.history(subject, reader, session, limit, notOnDisk),
          {
            discard: true
          }
        )
        // Once more, those that something happened to, and some of the old ones.
        const again = [...ledger.records.values()].filter(
          ({ session }) => sessions.has(session) || prng.chance(0.05)
        )
        yield* Effect.forEach(again, ask, { concurrency: 16, discard: true })
      })

    const round = Effect.gen(function* () {
      storm.unsafeOpen()
      for (const { afterMs, from } of Plan.round(prng).slice(0, options.kills - kills)) {
        if (from === "up") yield* up
        yield* Effect.sleep(afterMs)
        yield* kill
      }
      if (!(yield* quiet)) return
      const touched = new Set(ledger.touched)
      ledger.touched.clear()
      yield* checkAll(touched)
    })

    /** An orderly end, a last look at everything, and every key once more. */
    const finish = Effect.gen(function* () {
      const everything = new Set([...ledger.records.values()].map(({ session }) => session))
      const how = yield* end("SIGTERM")
      if (how._tag === "None" || how.value.code !== 0)
        report("process", "stop", "the gateway did not stop in order", how)
      yield* Checks.whenQuiet(subject, everything)
      yield* start
      if (!(yield* quiet)) return
      yield* checkAll(everything)
    })

    const play = Effect.gen(function* () {
      yield* start
      const fibers: ReadonlyArray<Fiber.RuntimeFiber<never>> = yield* Effect.forEach(clients, (client) =>
        client.run.pipe(
          Effect.tapErrorCause((cause) =>
            Effect.sync(() => {
              if (!Cause.isInterrupted(cause))
                report("process", `client ${client.index}`, "died", Cause.pretty(cause))
            })
          ),
          Effect.forkScoped
        )
      )
      while (kills < options.kills && isFine()) yield* round
      if (isFine()) yield* finish
      yield* Effect.forEach(fibers, (fiber) => Effect.asVoid(Effect.fork(fiber.interruptAsFork(fiber.id()))))
      yield* end("SIGKILL")
      return stats()
    }).pipe(Effect.ensuring(Effect.suspend(() => ((expectsEnd = true), gateway.signal("SIGKILL")))))

    const stats = (): Stats => {
      const records = [...ledger.records.values()]
      const lost = Checks.unseen(subject).filter(({ excused }) => excused)
      const own = lost.filter(({ client, record }) => client === record.client).length
      const ended: Record<string, number> = {}
      for (const { final } of records) {
        const how = final?.status ?? "open"
        ended[how] = (ended[how] ?? 0) + 1
      }
      return { kills, sends: records.length, ended, unseenOwn: own, unseenOthers: lost.length - own }
    }

    return { play }
  })

const readCalls = (file: string): string => {
  try {
    return `\n${readFileSync(file, "utf8")}`
  } catch {
    return ""
  }
}

/** Looks again and again, for so many milliseconds at most. */
const until = (holds: () => boolean, limitMs = patienceMs): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    for (let waited = 0; waited < limitMs; waited += 5) {
      if (holds()) return true
      yield* Effect.sleep("5 millis")
    }
    return holds()
  })
