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

export const layer = ({
  logFormat,
  logLevel
}: Pick<Settings, "logFormat" | "logLevel">): Layer.Layer<never> => {
  const pretty = logFormat === "pretty" || (logFormat === "auto" && process.stderr.isTTY)
  return Layer.merge(
    Logger.replace(
      Logger.defaultLogger,
      pretty
        ? Logger.prettyLogger({ stderr: true, mode: "tty", colors: hasColors() })
        : Logger.withConsoleError(Logger.jsonLogger)
    ),
    Logger.minimumLogLevel(levels[logLevel])
  )
}

// Knows NO_COLOR and FORCE_COLOR too.
const hasColors = (): boolean => process.stderr.isTTY && process.stderr.hasColors()
