/** World: one gateway over all of its lives, its clients, and the rounds of storm, kills and quiet that they go through. */
import { Effect, Option } from "effect"
import * as Checks from "./Checks.js"
import { Client } from "./Client.js"
import * as Files from "./Files.js"
import type { Findings, Report } from "./Findings.js"
import { Ledger, type SendRecord } from "./Ledger.js"
import * as Lives from "./Lives.js"
import type { Break, Disk } from "./Options.js"
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

/** Until its kills are used up, or something is wrong. */
export const run = (options: WorldOptions): Effect.Effect<Stats> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { directory, findings, index, main, seed } = options
      const label = `${seed}-w${index}`
      const prng = Prng.make(label, "world")
      let kills = 0
      // What was sent before that is over and was looked at.
      let quietAt = 0
      const report: Report = (check, subject, what, details) => {
        const about = { subject, life: lives.count(), details }
        findings.add({ check, what, world: index, kill: kills, details: about }, subject)
      }
      const lives = Lives.make({ main, directory, disk: options.disk, break: options.break, label, report })
      const ledger = new Ledger(report, (key) => Files.calls(lives.callsFile).includes(key))
      const storm = yield* Effect.makeLatch()
      const address = Effect.suspend(() => {
        const life = lives.count()
        return Effect.map(lives.up, (url) => ({ url, life }))
      })
      const clients: Array<Client> = []
      const home = { label, ledger, report, storm, kills: () => kills, address }
      for (let at = 0; at < Plan.clients; at++) clients.push(new Client(at, home, clients))
      const subject: Checks.Subject = { lives, ledger, clients, report }

      const end = (signal: NodeJS.Signals) =>
        // What the dead one has said must be read before its successor says anything.
        Effect.zipLeft(
          lives.end(signal),
          Lives.until(() => clients.every(({ socket }) => socket?.isOpen() !== true))
        )

      const kill = Effect.gen(function* () {
        yield* end("SIGKILL")
        kills += 1
        Checks.whenDead(subject)
        if (options.break === "journal") Files.dropJournal(lives.stateDir)
        yield* lives.start
      })

      const ask = (record: SendRecord) =>
        Effect.suspend(() => clients[record.client]?.send(record) ?? Effect.void)

      const settle = (record: SendRecord) =>
        Effect.gen(function* () {
          for (let waited = 0; record.final === undefined && waited < Lives.patience; waited += 20)
            yield* Effect.zipRight(ask(record), Effect.sleep("20 millis"))
          if (record.final === undefined)
            report("answer-final", record.key, "its key has no final answer, after much quiet", record)
        })

      /** Everybody is back and nothing is under way. False: that did not come about. */
      const quiet = Effect.gen(function* () {
        storm.unsafeClose()
        if (Option.isNone(yield* lives.up)) {
          report("process", `life ${lives.count()}`, "the gateway did not come up", lives.log())
          return false
        }
        if (!(yield* Lives.until(() => clients.every(({ isReady }) => isReady)))) {
          const away = clients.filter(({ isReady }) => !isReady).map((client) => client.describe())
          report("process", `life ${lives.count()}`, "clients could not come back", away)
          return false
        }
        const recent = [...ledger.records.values()].filter(({ sentAt }) => sentAt > quietAt)
        const open = recent.filter(({ final }) => final === undefined)
        yield* Effect.forEach(open, settle, { concurrency: "unbounded", discard: true })
        yield* Lives.until(() => Checks.unseen(subject, recent).every(({ excused }) => excused), 2000)
        quietAt = ledger.tick()
        for (const { client, excused, record } of Checks.unseen(subject, recent))
          if (!excused)
            report(
              "terminal-missing",
              `${record.key} ${client}`,
              `client ${client} did not see how it ended`,
              record
            )
        return true
      })

      const checkAll = (sessions: ReadonlySet<string>) =>
        Effect.gen(function* () {
          yield* Checks.whenQuiet(subject, sessions)
          const reader = clients[prng.between(0, clients.length - 1)]
          if (reader !== undefined) yield* Checks.histories(subject, reader, sessions, prng.between(3, 200))
          // Once more, those that something happened to, and some of the old ones.
          const again = [...ledger.records.values()].filter(
            ({ session }) => sessions.has(session) || prng.chance(0.05)
          )
          yield* Effect.forEach(again, ask, { concurrency: 16, discard: true })
        })

      const round = Effect.gen(function* () {
        storm.unsafeOpen()
        for (const { afterMs, from } of Plan.round(prng).slice(0, options.kills - kills)) {
          if (from === "up") yield* lives.up
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
        if (Option.getOrUndefined(how)?.code !== 0)
          report("process", "stop", "the gateway did not stop in order", how)
        yield* Checks.whenQuiet(subject, everything)
        yield* lives.start
        if (yield* quiet) yield* checkAll(everything)
      })

      yield* lives.start
      yield* Effect.forEach(clients, (client) =>
        client.run.pipe(
          Effect.catchAllDefect((defect) =>
            Effect.sync(() =>
              report("process", `client ${client.index}`, "the test's client died", String(defect))
            )
          ),
          Effect.forkScoped
        )
      )
      // The first round in which something is wrong is the last one: its files tell what.
      const isFine = () => !findings.all.some(({ world }) => world === index)
      while (kills < options.kills && isFine()) yield* round
      if (isFine()) yield* finish
      yield* end("SIGKILL")
      return { kills, ...summary(subject) }
    })
  )

const summary = (subject: Checks.Subject): Omit<Stats, "kills"> => {
  const records = [...subject.ledger.records.values()]
  const lost = Checks.unseen(subject, records).filter(({ excused }) => excused)
  const own = lost.filter(({ client, record }) => client === record.client).length
  const ended: Record<string, number> = {}
  for (const { final } of records) {
    const how = final?.status ?? "open"
    ended[how] = (ended[how] ?? 0) + 1
  }
  return { sends: records.length, ended, unseenOwn: own, unseenOthers: lost.length - own }
}
