/**
 * ModelAccess: where a model's API is and with which key it is asked, from what is written of an agent and from the
 * environment.
 */
import { Effect, Option, Redacted } from "effect"
import { defaultBaseUrls } from "../../agent/model/ModelOptions.js"
import type { Problems, Where } from "./AgentProblems.js"
import { variable } from "./Environment.js"

/** Providers whose own servers want a key. */
const providers = {
  openai: { keyName: "OPENAI_API_KEY", urlName: "OPENAI_BASE_URL", baseUrl: defaultBaseUrls.openai },
  anthropic: {
    keyName: "ANTHROPIC_API_KEY",
    urlName: "ANTHROPIC_BASE_URL",
    baseUrl: defaultBaseUrls.anthropic
  }
} as const

/** What is written. */
export interface Written {
  readonly kind: keyof typeof providers
  readonly apiKeyEnv?: string
  readonly baseUrl?: string
}

export interface ModelAccess {
  readonly baseUrl: string
  readonly apiKey: Option.Option<Redacted.Redacted>
  /** The variable that holds the key, or would. */
  readonly keyName: string
}

export const read = (
  { apiKeyEnv, baseUrl: url, kind }: Written,
  where: Where
): Effect.Effect<ModelAccess, Problems> =>
  Effect.gen(function* () {
    const provider = providers[kind]
    const keyName = apiKeyEnv ?? provider.keyName
    const fromEnvironment = url === undefined ? yield* variable(provider.urlName) : Option.none()
    const baseUrl = url ?? Option.getOrElse(fromEnvironment, () => provider.baseUrl)
    const key = Option.map(yield* variable(keyName), (text) => text.trim())
    const problems = [
      ...Option.match(wrongUrl(baseUrl), {
        onNone: () => [],
        onSome: (message) => [
          { where: Option.isSome(fromEnvironment) ? provider.urlName : where(".baseUrl"), message }
        ]
      }),
      ...Option.match(key, {
        onNone: () =>
          apiKeyEnv !== undefined || isSameHost(baseUrl, provider.baseUrl)
            ? [{ where: where(""), message: missingKey(keyName, baseUrl) }]
            : [],
        onSome: (text) =>
          /^[\u0021-\u007e]+$/.test(text)
            ? []
            : [
                {
                  where: where(""),
                  message: `what is in ${keyName} can't be a key: it has characters that no key has`
                }
              ]
      })
    ]
    if (problems.length > 0) return yield* Effect.fail(problems)
    return { baseUrl, apiKey: Option.map(key, Redacted.make), keyName }
  })

const urlOf = Option.liftThrowable((text: string) => new URL(text))

const isSameHost = (text: string, other: string): boolean =>
  Option.map(urlOf(text), ({ host }) => host).pipe(Option.contains(new URL(other).host))

/** What is behind the path, and before an @, may be a secret. */
const wrongUrl = (text: string): Option.Option<string> => {
  const url = Option.getOrUndefined(urlOf(text))
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const found = /[@?#]/.test(text) ? "something else" : JSON.stringify(text.slice(0, 80))
    return Option.some(`expected a URL that begins with http:// or https://; found ${found}`)
  }
  return url.username === "" && url.password === ""
    ? Option.none()
    : Option.some(
        "a URL with a user name or a password is not taken: what is in it would be shown. Put the key into a variable (apiKeyEnv)"
      )
}

/** Whoever has written the key itself where its variable's name belongs shall not find it in a log. */
const missingKey = (keyName: string, baseUrl: string): string => {
  const name = /^[A-Z_][A-Z0-9_]{0,63}$/.test(keyName)
    ? `the environment variable ${keyName} is not set`
    : "the environment variable that apiKeyEnv names is not set (the name is not shown: it could be a key)"
  const site = Option.match(urlOf(baseUrl), { onNone: () => "", onSome: ({ host }) => ` for ${host}` })
  return `${name}: it holds the key${site}`
}
