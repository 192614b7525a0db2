/** Environment: what agents get of the gateway's environment. */
import { Config, Effect, Option } from "effect"

/** A variable of the environment; an empty one counts as not set. */
export const variable = (name: string): Effect.Effect<Option.Option<string>> =>
  Effect.map(
    Effect.option(Config.string(name)),
    Option.filter((value) => value !== "")
  )

/** What programs need of the gateway's environment to run at all; nothing in it is a secret of the gateway. */
export const passedAlways: ReadonlyArray<string> = [
  ...["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE"],
  ...["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"],
  ...["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
]

/** Of the gateway's environment what every program gets, and `names`. */
export const passed = (names: ReadonlyArray<string>): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.gen(function* () {
    const values: Record<string, string> = {}
    for (const name of [...passedAlways, ...names]) {
      const value = yield* variable(name)
      if (Option.isSome(value)) values[name] = value.value
    }
    return values
  })
