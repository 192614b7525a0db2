/** Addresses of gateways. */
import { Option } from "effect"

/** Where a client on the same machine reaches a gateway that listens there. */
export const gateway = (host: string, port: number): string => {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
  return `ws://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

/** Does this host mean this machine, and nobody else? */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)

/** A gateway's address, if it is one. */
export const parse = (text: string): Option.Option<URL> =>
  Option.filter(
    Option.liftThrowable((url: string) => new URL(url))(text),
    (url) => (url.protocol === "ws:" || url.protocol === "wss:") && url.hash === ""
  )
