/** Where log messages go: to standard error, since standard output is for what the program was asked for. */
import { Layer, Logger, LogLevel } from "effect"
import type { Settings } from "./Settings.js"

const levels = {
  all: LogLevel.All,
  trace: LogLevel.Trace,
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warning: LogLevel.Warning,
  error: LogLevel.Error,
  fatal: LogLevel.Fatal,
  none: LogLevel.None
} as const

type Format = Pick<Settings, "logFormat">

/** Are the messages for people to read? */
export const isPretty = ({ logFormat }: Format): boolean =>
  logFormat === "pretty" || (logFormat === "auto" && process.stderr.isTTY)

export const layer = (settings: Format & Pick<Settings, "logLevel">): Layer.Layer<never> =>
  Layer.merge(
    Logger.replace(
      Logger.defaultLogger,
      isPretty(settings)
        ? Logger.prettyLogger({ stderr: true, mode: "tty", colors: hasColors() })
        : Logger.withConsoleError(Logger.jsonLogger)
    ),
    Logger.minimumLogLevel(levels[settings.logLevel])
  )

// Knows NO_COLOR and FORCE_COLOR too.
const hasColors = (): boolean => process.stderr.isTTY && process.stderr.hasColors()
