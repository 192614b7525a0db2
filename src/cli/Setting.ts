/** A setting: a `Config` that knows its names, what it expects and how it is shown. */
import { Config, ConfigError, Duration, Either, Option, Redacted } from "effect"
import * as SessionKey from "../domain/SessionKey.js"

/** How a kind of value is written. */
export interface Kind<A> {
  /** One word for help pages: `<port>`. */
  readonly unit: string
  /** What would do, to follow "expected". */
  readonly expects: string
  readonly decode: (text: string) => Option.Option<A>
  /** Its text in help pages and docs; `decode` takes it back. */
  readonly show: (value: A) => string
}

/** What there is to know about a setting besides its value. */
export interface About {
  /** Its key in the config file: `stateDir`. */
  readonly key: string
  /** `--state-dir` */
  readonly flag: string
  /** `COLLOQUY_STATE_DIR` */
  readonly variable: string
  /** Can it be set in the config file? */
  readonly inFile: boolean
  /** Is its value never to be shown? */
  readonly secret: boolean
  readonly unit: string
  readonly expects: string
  /** The default in words. */
  readonly default: string
  readonly description: string
}

/** Loads as its value, or its default. Failures carry `expects`, never what was found. */
export type Setting<A> = Config.Config<A> & { readonly about: About }

export interface Options<A> {
  readonly kind: Kind<A>
  readonly default: A
  /** The default in words, where `kind.show` doesn't say it. */
  readonly defaultText?: string
  readonly description: string
  readonly inFile?: boolean
  readonly secret?: boolean
}

export const make = <A>(key: string, options: Options<A>): Setting<A> => {
  const { decode, expects, show, unit } = options.kind
  // A provider would read primitives itself and, when one is malformed, quietly ask the next source: so all of them
  // are read as text, and decoded when it is clear which source counts.
  const config = Config.string(key).pipe(
    Config.mapOrFail((text) => Either.fromOption(decode(text), () => ConfigError.InvalidData([], expects))),
    Config.withDefault(options.default)
  )
  return Object.assign(config, {
    about: {
      key,
      flag: `--${hyphenated(key)}`,
      variable: `COLLOQUY_${hyphenated(key).replaceAll("-", "_").toUpperCase()}`,
      inFile: options.inFile ?? true,
      secret: options.secret ?? false,
      unit,
      expects,
      default: options.defaultText ?? show(options.default),
      description: options.description
    }
  })
}

const hyphenated = (key: string): string => key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** Any text without white space at its ends. */
export const text = (unit: string, expects: string): Kind<string> => ({
  unit,
  expects,
  decode: Option.liftPredicate((value) => value !== "" && value === value.trim()),
  show: (value) => value
})

/** A path. `~` is the user's home. */
export const path: Kind<string> = text("path", "a path")

/** A kind whose value may be left out. */
export const optional = <A>(kind: Kind<A>): Kind<Option.Option<A>> => ({
  ...kind,
  decode: (value) => Option.map(kind.decode(value), Option.some),
  show: Option.match({ onNone: () => "", onSome: kind.show })
})

/** A secret, which is never shown. */
export const secret: Kind<Redacted.Redacted> = {
  unit: "token",
  expects: "a text without spaces",
  decode: (value) => (/^\S+$/.test(value) ? Option.some(Redacted.make(value)) : Option.none()),
  show: () => "(secret)"
}

/** One of a few words. */
export const choice = <const A extends string>(unit: string, ...choices: ReadonlyArray<A>): Kind<A> => ({
  unit,
  expects: choices.length === 1 ? `"${choices.join()}"` : `one of ${choices.join(", ")}`,
  decode: (value) => Option.fromNullable(choices.find((known) => known === value.toLowerCase())),
  show: (value) => value
})

/** A whole number. */
export const integer = (unit: string, min: number, max: number): Kind<number> => ({
  unit,
  expects: `a whole number from ${min} to ${max}`,
  decode: (value) => (/^\d{1,15}$/.test(value) ? within(Number(value), min, max) : Option.none()),
  show: String
})

const within = (value: number, min: number, max: number): Option.Option<number> =>
  value >= min && value <= max ? Option.some(value) : Option.none()

const kib = 1024
const mib = 1024 * kib
const sizeUnits = new Map([
  ["", 1],
  ["b", 1],
  ["kib", kib],
  ["mib", mib],
  ["gib", 1024 * mib]
])

const showSize = (bytes: number): string =>
  bytes % mib === 0 ? `${bytes / mib} MiB` : bytes % kib === 0 ? `${bytes / kib} KiB` : String(bytes)

/** A number of bytes, with or without a unit. */
export const size = (min: number, max: number): Kind<number> => ({
  unit: "bytes",
  expects: `a size from ${showSize(min)} to ${showSize(max)}, such as 1.5 MiB, 512 KiB, or a number of bytes`,
  decode: (value) =>
    Option.flatMap(measure(value, sizeUnits), (bytes) =>
      Number.isInteger(bytes) ? within(bytes, min, max) : Option.none()
    ),
  show: showSize
})

const durationUnits = new Map(
  Object.entries({
    ms: ["", "ms", "milli", "millis", "millisecond", "milliseconds"],
    s: ["s", "second", "seconds"],
    m: ["m", "minute", "minutes"],
    h: ["h", "hour", "hours"],
    d: ["d", "day", "days"]
  }).flatMap(([unit, names]) => names.map((name) => [name, millisOf(unit)] as const))
)

function millisOf(unit: string): number {
  return { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? 1
}

const showDuration = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  const [unit, name] =
    millis >= 3_600_000 && millis % 3_600_000 === 0
      ? [3_600_000, "hour"]
      : millis >= 60_000 && millis % 60_000 === 0
        ? [60_000, "minute"]
        : millis % 1000 === 0
          ? [1000, "second"]
          : [1, "millisecond"]
  return `${millis / unit} ${name}${millis / unit === 1 ? "" : "s"}`
}

/** No timer of Node's can be longer: it would end at once. */
const longest = Duration.hours(24 * 24)

/** A duration as people write it, or a number of milliseconds. */
export const duration = (min: Duration.Duration): Kind<Duration.Duration> => ({
  unit: "duration",
  expects: `a duration from ${showDuration(min)} to 24 days, such as 30 seconds, 1.5m, or a number of milliseconds`,
  decode: (value) =>
    Option.flatMap(measure(value, durationUnits), (millis) =>
      Option.map(within(millis, Duration.toMillis(min), Duration.toMillis(longest)), Duration.millis)
    ),
  show: showDuration
})

/** A number and its unit, in the smallest one. */
const measure = (value: string, units: ReadonlyMap<string, number>): Option.Option<number> => {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(value.trim())
  const factor = units.get(match?.[2]?.toLowerCase() ?? "")
  return match === null || factor === undefined ? Option.none() : Option.some(Number(match[1]) * factor)
}

/** Several texts: separated by commas, or a JSON array of strings. */
export const list = (unit: string, expects: string): Kind<ReadonlyArray<string>> => ({
  unit,
  expects,
  decode: (value) => {
    const items = value.startsWith("[") ? stringsOf(value) : Option.some(value.split(","))
    return Option.map(items, (texts) => texts.map((item) => item.trim()).filter((item) => item !== ""))
  },
  show: (items) => items.join(",")
})

/** The same, where each text must be something; `none` for an empty list. */
export const listOf = (
  unit: string,
  expects: string,
  isItem: (text: string) => boolean
): Kind<ReadonlyArray<string>> => {
  const any = list(unit, expects)
  return {
    ...any,
    decode: (value) =>
      value === "none" ? Option.some([]) : Option.filter(any.decode(value), (items) => items.every(isItem)),
    show: (items) => (items.length === 0 ? "none" : any.show(items))
  }
}

const stringsOf = (json: string): Option.Option<ReadonlyArray<string>> =>
  Option.flatMap(Option.liftThrowable((text: string): unknown => JSON.parse(text))(json), (value) =>
    Array.isArray(value) && value.every((item) => typeof item === "string")
      ? Option.some(value)
      : Option.none()
  )

/** An agent's id. */
export const agentId: Kind<SessionKey.AgentId> = {
  unit: "id",
  expects: "an agent id: letters, digits, - and _, at most 64 characters, a letter or digit first",
  decode: (value) => Option.getRight(SessionKey.parseAgentId(value)),
  show: (id) => id
}

/** The part of a session's key behind the agent. */
export const sessionName: Kind<string> = {
  unit: "name",
  expects: "a session's name, without / and \\ and :",
  decode: (value) => {
    const defaults = { defaultAgentId: SessionKey.defaultAgentId, mainKey: "main" }
    const key = Option.getRight(SessionKey.parse(value, defaults))
    return Option.as(
      Option.filter(key, (parsed) => parsed.startsWith("agent:") && !value.includes(":")),
      value.trim().toLowerCase()
    )
  },
  show: (name) => name
}
