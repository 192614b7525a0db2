/**
 * SameOrigin: which requests a browser may have been tricked into. A page of any site can open a WebSocket to any address and
 * sends its `Origin` along; and a site whose name is made to point at this machine (DNS rebinding) is, for the browser, the
 * same origin as the gateway. So both `Origin` and `Host` are looked at.
 */
import type { IncomingMessage } from "node:http"
import { isIP } from "node:net"

export interface OriginRules {
  /** Is it reached under loopback addresses only? Then the `Host` must be one of those, or allowed. */
  readonly isLoopback: boolean
  /** Does it speak TLS itself? Then who has come in under a name has checked the certificate of that name. */
  readonly isTls: boolean
  /** Names under which it is reached besides, in lower case, without a port. */
  readonly allowedHosts: ReadonlySet<string>
  /** Origins whose pages may connect, as browsers write them. */
  readonly allowedOrigins: ReadonlySet<string>
}

export interface Refusal {
  readonly status: 400 | 403
  readonly text: string
}

const forbidden = (text: string): Refusal => ({ status: 403, text })

/** Why a request's `Host` will not do; undefined: it will. */
export const refuseHost = (request: IncomingMessage, rules: OriginRules): Refusal | undefined => {
  // Of two the server reads one, and who stands in between may read the other.
  const isOne = request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name)).length < 2
  const name = isOne ? hostNameOf(request.headers.host) : undefined
  if (name === undefined) return { status: 400, text: "the Host header is missing or can't be read" }
  const isHere = rules.isLoopback ? isLoopbackName(name) : rules.allowedHosts.size === 0
  return isHere || rules.allowedHosts.has(name)
    ? undefined
    : forbidden(
        `the gateway is not reached under the name ${name}. If it is behind a proxy or has that name, allow it: --allowed-hosts ${name}`
      )
}

/** Why a request's `Origin` may not connect; undefined: it may, or it is no browser's. */
export const refuseOrigin = (
  request: IncomingMessage,
  rules: OriginRules,
  isForwardedTls: boolean
): Refusal | undefined => {
  const { host, origin } = request.headers
  if (origin === undefined || rules.allowedOrigins.has(origin.toLowerCase())) return undefined
  const scheme = rules.isTls || isForwardedTls ? "https" : "http"
  const name = hostNameOf(host)
  const own = originOf(`${scheme}://${host}`)
  // A Host that makes no origin is not the same as an Origin that is none, such as `null`.
  const isOwn = name !== undefined && own !== undefined && originOf(origin) === own
  if (isOwn && (rules.isTls || isTrusted(name, rules))) return undefined
  return forbidden(
    `pages of ${origin.slice(0, 200)} may not connect. To let them, allow their origin: --allowed-origins`
  )
}

/** A name that can't be made to point here by somebody else. */
const isTrusted = (name: string, rules: OriginRules): boolean =>
  rules.allowedHosts.has(name) || isLoopbackName(name) || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0

const isLoopbackName = (name: string): boolean =>
  name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name)

/** The name in a `Host` header, in lower case; an IPv6 address in brackets. */
const hostNameOf = (host: string | undefined): string | undefined => {
  const [, name] = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.exec(host ?? "") ?? []
  return name?.toLowerCase()
}

/** An origin with its default port left out, as browsers compare them. */
const originOf = (text: string): string | undefined => {
  try {
    const { origin } = new URL(text)
    return origin === "null" ? undefined : origin
  } catch {
    return undefined
  }
}

/** Reads an origin as a setting; undefined: it is none. */
export const parseOrigin = (text: string): string | undefined =>
  text.includes("*")
    ? undefined
    : /^https?:\/\//i.test(text) && originOf(text) === text.toLowerCase().replace(/\/$/, "")
      ? originOf(text)
      : /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/i.test(text) && !/^https?:/i.test(text)
        ? text.toLowerCase()
        : undefined
