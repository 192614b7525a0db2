/**
 * AgentSchema: how agents are written in the config file: `agents: {"<agent id>": {"kind": …, …}}`. Each field's annotations say
 * what it does and what its default is; docs/agents.md is made from them.
 */
import { Duration, Either, ParseResult, Schema } from "effect"
import * as AgentPolicy from "../../agent/AgentPolicy.js"
import * as Setting from "../Setting.js"

const kib = 1024
const mib = 1024 * kib

/** A value that settings know how to read, from a text or a number. */
const valueOf = <A>(kind: Setting.Kind<A>) =>
  Schema.transformOrFail(
    Schema.Union(Schema.String, Schema.Number),
    Schema.declare((_value: unknown): _value is A => true),
    {
      strict: true,
      decode: (value, _, ast) =>
        Either.fromOption(kind.decode(String(value)), () => new ParseResult.Type(ast, value)),
      encode: (value) => ParseResult.succeed(kind.show(value))
    }
  ).annotations({ description: kind.expects })

const described = <A>(schema: Schema.Schema<A>, description: string) => schema.annotations({ description })

const Text = described(
  Schema.String.pipe(Schema.filter((text) => text.trim() !== "")),
  "a text that is not empty"
)
const Flag = described(Schema.Boolean, "true or false")
const VariableName = described(
  Schema.String.pipe(Schema.pattern(/^[A-Za-z_][A-Za-z0-9_]*$/)),
  "the name of an environment variable"
)
const Count = (min: number, max: number) =>
  described(Schema.Int.pipe(Schema.between(min, max)), `a whole number from ${min} to ${max}`)
const Time = (min: Duration.DurationInput) => valueOf(Setting.duration(Duration.decode(min)))
const sizes = Setting.size(kib, 64 * mib)
const Size = valueOf(sizes)
const choice = <const Words extends readonly [string, ...ReadonlyArray<string>]>(...words: Words) =>
  described(Schema.Literal(...words), `one of ${words.join(", ")}`)

/** What a field is for, and what counts when it is left out. */
const field = <A, I>(schema: Schema.Schema<A, I>, documentation: string, byDefault = "") =>
  Schema.optionalWith(schema, { exact: true }).annotations({ documentation, title: byDefault })
const required = <A, I>(schema: Schema.Schema<A, I>, documentation: string) =>
  Schema.propertySignature(schema).annotations({ documentation, title: "" })

const { noProgressTimeout, retry } = AgentPolicy.defaults
const show = (duration: Duration.Duration) => Setting.duration(Duration.zero).show(duration)

/** What of a conversation an agent is given when nothing is said. */
export const defaultHistory = { messages: 100, bytes: 256 * kib }

export const History = Schema.Struct({
  messages: field(
    Count(1, 1000),
    "At most so many messages, this one included.",
    String(defaultHistory.messages)
  ),
  bytes: field(Size, "At most so much text and images in base64.", sizes.show(defaultHistory.bytes))
})

export const Retry = Schema.Struct({
  attempts: field(Count(1, 20), "How often it is tried in all. 1: never again.", String(retry.attempts)),
  baseDelay: field(
    Time(0),
    "The wait before the second try; each further one is twice as long.",
    show(retry.baseDelay)
  ),
  maxDelay: field(
    Time(0),
    "The longest of these waits. What a provider asks for (Retry-After) counts whole.",
    show(retry.maxDelay)
  ),
  budget: field(
    Time(0),
    "All waits together; one that does not fit is not begun, and the failure stands.",
    show(retry.budget)
  )
})

const object = <A, I>(schema: Schema.Schema<A, I>) => schema.annotations({ description: "an object" })

/** What every agent may be told. */
export const common = {
  name: field(Text, "Its name, for people.", "its id"),
  timeout: field(
    Time(0),
    "How long it may work on a message whose sender names no timeout. 0: without limit.",
    "`runTimeout`"
  ),
  noProgressTimeout: field(
    Time(0),
    "An agent that says nothing for so long has failed, unless it waits for a permission. 0: without limit.",
    show(noProgressTimeout)
  ),
  concurrency: field(
    Count(1, 1_000_000),
    "Messages it may work on at once; more wait.",
    "`maxConcurrentRuns`"
  ),
  retry: field(object(Retry), "When it is tried again, as long as it has said nothing.")
}

const talking = {
  system: field(Text, "The system prompt."),
  history: field(
    object(History),
    "How much of the conversation it is given: the newest whole turns that fit."
  )
}

export const Demo = Schema.Struct({ kind: required(Schema.Literal("demo"), ""), ...common })

const model = {
  model: required(Text, "The model, as the provider names it."),
  apiKeyEnv: field(
    VariableName,
    "The environment variable that holds the key. Never the key itself.",
    "`OPENAI_API_KEY` or `ANTHROPIC_API_KEY`"
  ),
  baseUrl: field(
    Text,
    "Where the API begins. The key is sent there.",
    "`OPENAI_BASE_URL` or `ANTHROPIC_BASE_URL`, else the provider's own"
  ),
  ...talking,
  provider: field(Text, "Who runs the model, for clients.", "the kind"),
  maxTokens: field(
    Count(1, 10_000_000),
    "The longest answer, in tokens.",
    "the provider's (Anthropic: 8192)"
  ),
  temperature: field(
    described(Schema.Number.pipe(Schema.between(0, 2)), "a number from 0 to 2"),
    "How free the model is.",
    "the provider's"
  ),
  thinking: field(
    Text,
    "The level of thinking when neither client nor session names one: off, minimal, low, medium, high."
  ),
  images: field(Flag, "Can it see images?", "true"),
  contextWindow: field(Count(1, 1_000_000_000), "Tokens that fit into one request, for clients."),
  reasoning: field(Flag, "Has it levels of thinking? For clients.")
}

export const OpenAi = Schema.Struct({ kind: required(Schema.Literal("openai"), ""), ...model, ...common })
export const Anthropic = Schema.Struct({
  kind: required(Schema.Literal("anthropic"), ""),
  ...model,
  ...common
})

const commandExpects = 'a program, or an array of a program and its arguments: ["python3", "answer.py"]'

// A text is not taken apart: that would be half a shell. Who has written one for a shell learns it before the start.
const Program = Text.pipe(Schema.filter((text) => !/^[^/\s]+\s/.test(text)))

const Command = Schema.transform(
  described(Schema.Union(Program, Schema.Tuple([Text], Schema.String)), commandExpects),
  Schema.declare(
    (_value: unknown): _value is { readonly command: string; readonly args: ReadonlyArray<string> } => true
  ),
  {
    strict: true,
    decode: (value) => {
      const [command, ...args] = typeof value === "string" ? ([value] as const) : value
      return { command, args }
    },
    encode: ({ args, command }) => [command, ...args] as const
  }
).annotations({ description: commandExpects })

const program = {
  command: required(
    Command,
    "The program and its arguments. Never run through a shell. A name is looked up on its PATH; a path (with a /) counts from the gateway's directory."
  ),
  cwd: field(Text, "The directory it works in.", "the gateway's"),
  env: field(
    described(Schema.Record({ key: Schema.String, value: Schema.String }), "an object of texts"),
    "Variables of its environment."
  ),
  passEnv: field(
    described(Schema.Array(VariableName), "an array of names of environment variables"),
    "Variables of the gateway's environment that it gets too."
  ),
  killGrace: field(
    Time(1),
    "Between SIGTERM and SIGKILL to the program and all that it has started.",
    "2 seconds"
  ),
  ...talking,
  model: field(Text, "The model it uses; told to it where that is possible, and to clients.")
}

export const CommandAgent = Schema.Struct({
  kind: required(Schema.Literal("command"), ""),
  ...program,
  input: field(
    choice("text", "json"),
    "What it gets on stdin: the message, or a JSON document with the conversation.",
    "text"
  ),
  images: field(Flag, "Can it see images? Only with json.", "with json"),
  ...common
})

export const Acp = Schema.Struct({
  kind: required(Schema.Literal("acp"), ""),
  ...program,
  process: field(choice("agent", "session"), "One process for all sessions, or one for each.", "agent"),
  permissions: field(
    choice("deny", "allow", "ask"),
    "What it is answered when it asks for a permission. ask: the session's clients are asked.",
    "deny"
  ),
  permissionTimeout: field(Time(1), "How long clients may take to answer; then it is denied.", "2 minutes"),
  cancelGrace: field(
    Time(1),
    "How long it may take to stop when it is told to (session/cancel); then it is killed.",
    "2 seconds"
  ),
  startTimeout: field(Time(1), "How long it may take to start and to open a session.", "30 seconds"),
  idleTimeout: field(
    Time(1),
    "With a process for each session: one that is not used for so long is stopped.",
    "10 minutes"
  ),
  files: field(
    choice("none", "read", "readWrite"),
    "May it ask the gateway for files below its directory?",
    "none"
  ),
  terminal: field(Flag, "May it have the gateway run commands?", "false"),
  images: field(Flag, "Can it see images? The agent itself has the last word.", "true"),
  ...common
})

export const kinds = { demo: Demo, openai: OpenAi, anthropic: Anthropic, acp: Acp, command: CommandAgent }
export type KindName = keyof typeof kinds

/** One agent as it is written. */
export type Written = { [K in KindName]: Schema.Schema.Type<(typeof kinds)[K]> }[KindName]

export const isKind = (name: unknown): name is KindName =>
  typeof name === "string" && Object.hasOwn(kinds, name)

/** Decodes an agent of a kind; all that is wrong at once. */
export const decode = (kind: KindName, value: unknown): Either.Either<Written, ParseResult.ParseIssue> =>
  decoders[kind](value)

const options = { errors: "all", onExcessProperty: "error" } as const
const decoders: {
  readonly [K in KindName]: (value: unknown) => Either.Either<Written, ParseResult.ParseIssue>
} = {
  demo: ParseResult.decodeUnknownEither(Demo, options),
  openai: ParseResult.decodeUnknownEither(OpenAi, options),
  anthropic: ParseResult.decodeUnknownEither(Anthropic, options),
  acp: ParseResult.decodeUnknownEither(Acp, options),
  command: ParseResult.decodeUnknownEither(CommandAgent, options)
}

/** The names of a kind's fields, and of the objects in it. */
export const fieldsAt = (kind: KindName, path: ReadonlyArray<PropertyKey>): ReadonlyArray<string> => {
  if (path[0] === "retry") return Object.keys(Retry.fields)
  if (path[0] === "history") return Object.keys(History.fields)
  return Object.keys(kinds[kind].fields)
}
