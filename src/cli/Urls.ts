/** Addresses of gateways. */
import { Option } from "effect"

/** Where a client on the same machine reaches a gateway that listens there. */
export const gateway = (host: string, port: number, isTls: boolean): string => {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
  return `${isTls ? "wss" : "ws"}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

/** A gateway's address, if it is one. */
export const parse = (text: string): Option.Option<URL> =>
  Option.filter(
    Option.liftThrowable((url: string) => new URL(url))(text),
    (url) => (url.protocol === "ws:" || url.protocol === "wss:") && url.hash === ""
  )

/**
 * A text that is no gateway's address, to be quoted in an error: its scheme, host and port. The rest may be a secret, and where
 * an @ is in it, so may be everything before it.
 */
export const shown = (text: string): string => {
  const [start] = text.includes("@") ? [] : (addressStart.exec(text) ?? [])
  if (start === undefined) return "something else"
  return JSON.stringify(start === text ? start : `${start}…`)
}

/** With a scheme or with a port: a single word could be a token. */
const addressStart =
  /^(?:[a-z][a-z0-9+.-]{0,20}:\/\/(?:[a-z0-9.-]{1,80}|\[[0-9a-f:.]+\])(?::\d{1,5})?|[a-z0-9.-]{1,80}:\d{1,5})(?=[/?#]|$)/i

/** Names that end in such a word. Some are only looked for where a word begins: `key` is no secret in `monkey`. */
const secretNames =
  /(?:token|passwd|password|passphrase|secret|credential|apikey|jwt|signature)s?[\W\d_]*$|(?:^|[\W_])(?:auth|authorization|bearer|key|pass|pw|pwd|sig)s?[\W\d_]*$/i

const isSecretName = (name: string): boolean => secretNames.test(name.replace(/([a-z\d])([A-Z])/g, "$1-$2"))

/** Does it carry what may be a secret? Addresses end up in logs and lists of processes. */
export const hasSecret = (url: URL): boolean =>
  url.username !== "" || url.password !== "" || [...url.searchParams.keys()].some(isSecretName)
