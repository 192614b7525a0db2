/** `colloquy doctor`: says what is wrong with a state directory, and mends what can be mended. */
import type { FileSystem, Path } from "@effect/platform"
import { Clock, Console, Effect, Option } from "effect"
import * as Doctor from "../session/Doctor.js"
import * as DoctorRepair from "../session/DoctorRepair.js"
import type { Progress } from "../session/DoctorTranscripts.js"
import { CliError, exitCodes, failed } from "./CliError.js"
import { jsonOf, type Outcome, pageOf, problemsIn } from "./DoctorPage.js"
import * as Words from "./DoctorWords.js"
import * as Logging from "./Logging.js"
import * as Settings from "./Settings.js"
import type { SettingsError } from "./SettingsError.js"

export interface Request {
  readonly repair: boolean
  readonly json: boolean
}

/** Prints to standard output. Fails, silently, with exit code 1 when problems are left. */
export const doctor = (
  request: Request,
  flags: Settings.Flags
): Effect.Effect<void, CliError | SettingsError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const { origin, settings } = yield* Settings.load(flags)
    // What a repair does is printed: its log would say it again.
    const logLevel = Option.isSome(origin("logLevel")) ? settings.logLevel : "error"
    const progress = makeProgress()
    const options = {
      stateDir: settings.stateDir,
      sessionKeyDefaults: settings.gateway,
      cwd: process.cwd(),
      onProgress: progress.show
    }
    const outcome = yield* (request.repair ? repair(options) : examine(options)).pipe(
      Effect.ensuring(progress.clear),
      // @effect-diagnostics-next-line strictEffectProvide:off -- how to log is known only when the settings are read
      Effect.provide(Logging.layer({ ...settings, logLevel }))
    )
    const now = yield* Clock.currentTimeMillis
    yield* Console.log(request.json ? jsonOf(outcome, now) : pageOf(outcome, now))
    if (problemsIn(outcome.findings).length > 0 || outcome.failures.length > 0)
      return yield* new CliError({ message: "", exitCode: exitCodes.failed })
  })

const examine = (options: DoctorRepair.Options) =>
  Effect.map(Doctor.examine(options), ({ findings }): Outcome => ({
    stateDir: options.stateDir,
    findings,
    repaired: Option.none(),
    failures: []
  }))

const repair = (options: DoctorRepair.Options) =>
  DoctorRepair.repair(options).pipe(
    Effect.map(({ failures, gone, left }): Outcome => ({
      stateDir: options.stateDir,
      findings: left.findings,
      repaired: Option.some(gone),
      failures: failures.map(({ operation, reason, subject }) => `can't ${operation} ${subject} (${reason})`)
    })),
    Effect.mapError(({ directory, host, pid, since }) =>
      failed(
        `nothing was repaired: a gateway is running on ${directory}: process ${pid} on ${host}, since ${since}. Stop it first; without --repair the directory can be examined meanwhile.`
      )
    )
  )

/** Shown on a terminal when it takes longer than this, and so often, in milliseconds. */
const showAfter = 1000
const showEvery = 200

const makeProgress = () => {
  let begun: number | undefined
  let shown = 0
  return {
    show: ({ bytes, files, ofFiles }: Progress): Effect.Effect<void> =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        begun ??= now
        if (!process.stderr.isTTY || now - begun < showAfter || now - shown < showEvery) return
        shown = now
        process.stderr.write(`\r\u001b[Kreading transcripts: ${files} of ${ofFiles}, ${Words.size(bytes)}`)
      }),
    clear: Effect.sync(() => {
      if (shown > 0) process.stderr.write("\r\u001b[K")
    })
  }
}
