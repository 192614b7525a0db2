/**
 * The crash test: gateways that are killed at random moments while clients use them, and what must hold all the same. Run
 * by scripts/crash.mjs. Ends with 1 when a promise was broken, or when one that was broken on purpose went unnoticed.
 */
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Check, checks, type Finding, Findings } from "./Findings.js"
import { type Break, type DriverOptions, help, parseDriver } from "./Options.js"
import * as World from "./World.js"

/** Some gateways side by side. */
interface Campaign {
  readonly name: string
  readonly kills: number
  readonly worlds: number
  readonly break: Break
}

interface Result {
  readonly campaign: Campaign
  readonly findings: Findings
  readonly stats: ReadonlyArray<World.Stats>
}

/** A broken promise that is not noticed within so many kills is not tested. */
const killsUntilNoticed = 30

export const main = (args: ReadonlyArray<string>, gateway: string): Promise<number> => {
  const options = parseDriver(args, randomBytes(4).toString("hex"))
  if (options === "help") {
    console.log(help)
    return Promise.resolve(0)
  }
  return Effect.runPromise(drive(options, gateway))
}

const drive = (options: DriverOptions, gateway: string) =>
  Effect.gen(function* () {
    console.log(`seed ${options.seed}`)
    const directory = mkdtempSync(join(tmpdir(), "colloquy-crash-"))
    const play = (campaign: Campaign) => runCampaign(options, campaign, directory, gateway)
    const main = yield* play({
      name: options.break === "none" ? "main" : options.break,
      kills: options.kills,
      worlds: Math.min(options.worlds, options.kills),
      break: options.break
    })
    print(main, join(directory, main.campaign.name))
    const broken = options.ci
      ? yield* Effect.forEach(
          ["fsync", "journal"] as const,
          (name) => play({ name, kills: killsUntilNoticed, worlds: 1, break: name }),
          { concurrency: "unbounded" }
        )
      : []
    const results = [
      ...Object.entries(checks).map(([check, what]) => ({
        name: what,
        ok: !main.findings.all.some((finding) => finding.check === check)
      })),
      ...broken.map(({ campaign, findings }) => ({
        name: `a gateway without its ${campaign.name} is noticed`,
        ok: findings.all.some((finding) => finding.check !== "process")
      }))
    ]
    for (const { campaign, findings } of broken)
      console.log(`broken on purpose, ${campaign.name}: ${summary(findings)}`)
    const failed = results.filter(({ ok }) => !ok).map(({ name }) => name)
    for (const name of failed) console.log(`FAILED  ${name}`)
    console.log(
      failed.length === 0 ? "All promises hold." : `Seed ${options.seed}; what was left is in ${directory}`
    )
    if (options.report !== undefined) {
      const passed = results.filter(({ ok }) => ok).map(({ name }) => name)
      writeFileSync(options.report, JSON.stringify({ seed: options.seed, passed, failed }, null, 2))
    }
    if (failed.length === 0) rmSync(directory, { recursive: true, force: true })
    return failed.length === 0 ? 0 : 1
  })

const runCampaign = (options: DriverOptions, campaign: Campaign, directory: string, gateway: string) =>
  Effect.gen(function* () {
    const findings = new Findings(options.except)
    const began = performance.now()
    const stats = yield* Effect.forEach(
      Array.from({ length: campaign.worlds }, (_, index) => index),
      (index) =>
        World.run({
          index,
          seed: options.seed,
          // As even as it goes.
          kills: Math.floor((campaign.kills + index) / campaign.worlds),
          disk:
            campaign.break === "fsync" || campaign.break === "order"
              ? "lossy"
              : (options.disk ?? (index % 2 === 0 ? "lossy" : "real")),
          break: campaign.break,
          directory: subdirectory(directory, campaign.name, `world-${index}`),
          main: gateway,
          findings
        }),
      { concurrency: "unbounded" }
    )
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    console.log(`${campaign.name}: ${seconds} s`)
    return { campaign, findings, stats } satisfies Result
  })

const subdirectory = (...names: readonly [string, ...ReadonlyArray<string>]): string => {
  const path = join(...names)
  mkdirSync(path, { recursive: true })
  return path
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

const summary = (findings: Findings): string => {
  const counts = Object.keys(checks)
    .map((check) => [check, findings.all.filter((finding) => finding.check === check).length] as const)
    .filter(([, count]) => count > 0)
  return counts.length === 0
    ? "nothing was found"
    : counts.map(([check, count]) => `${check} ${count}`).join(", ")
}

const print = ({ findings, stats }: Result, directory: string): void => {
  const ended = ["ok", "aborted", "error", "open"].map(
    (how) => `${sum(stats.map((world) => world.ended[how] ?? 0))} ${how}`
  )
  console.log(
    `${sum(stats.map(({ kills }) => kills))} kills of ${stats.length} gateways, ` +
      `${sum(stats.map(({ sends }) => sends))} sends: ${ended.join(", ")}`
  )
  console.log(
    `ends that were not seen after a resume.reset: ${sum(stats.map(({ unseenOwn }) => unseenOwn))} by the sender, ` +
      `${sum(stats.map(({ unseenOthers }) => unseenOthers))} by others`
  )
  if (findings.all.length === 0) return
  console.log(`found: ${summary(findings)}`)
  writeFileSync(join(directory, "findings.json"), JSON.stringify(findings.all, forPeople, 2))
  const shown = new Map<Check, number>()
  for (const finding of findings.all) {
    const before = shown.get(finding.check) ?? 0
    shown.set(finding.check, before + 1)
    if (before < examples) console.log(describe(finding))
  }
}

/** How many of each kind are printed; all are in findings.json. */
const examples = 3

const describe = ({ check, details, kill, what, world }: Finding): string =>
  `- ${check}, world ${world}, after kill ${kill}: ${what}\n  ${JSON.stringify(details, forPeople).slice(0, 1500)}`

/** The messages' texts are filler behind their keys. */
const forPeople = (_: string, value: unknown): unknown =>
  value instanceof Map
    ? Object.fromEntries(value)
    : typeof value === "string"
      ? value.replace(/x{20,}/, (filler) => `… (${filler.length})`)
      : value
