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

const secretNames = /^(?:.*[-_.])?(?:token|password|passwd|secret|auth|key|credential)s?$/i

/** Does it carry what may be a secret? Addresses end up in logs and lists of processes. */
export const hasSecret = (url: URL): boolean =>
  url.username !== "" ||
  url.password !== "" ||
  [...url.searchParams.keys()].some((name) => secretNames.test(name))
