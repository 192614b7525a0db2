/** Login: where the gateway is, and the token with which it is entered. */

/** What a link may carry behind its `#`, where no server and no log sees it. */
export type Carried = { readonly code: string } | { readonly token: string } | undefined

/** Reads the part behind the `#`. */
export const carriedBy = (hash: string): Carried => {
  const fields = new URLSearchParams(hash.replace(/^#/, ""))
  const code = fields.get("code")
  if (code !== null && code !== "") return { code }
  const token = fields.get("token")
  return token === null || token === "" ? undefined : { token }
}

/** The WebSocket beside the page, under whatever path the page is served. */
export const socketUrl = (page: string): string => {
  const url = new URL(".", page)
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:"
  url.search = ""
  url.hash = ""
  return url.href
}

/** Why a one-time link did not let in. */
export class LoginFailed extends Error {
  override readonly name = "LoginFailed"
}

/** A one-time code for a token. `ask` posts it and gives the answer. */
export const redeem = async (
  code: string,
  ask: (path: string, body: string) => Promise<Response>
): Promise<string> => {
  const answer = await ask("login", JSON.stringify({ code })).catch(() => {
    throw new LoginFailed("The gateway can't be reached. Open the link again when it is back.")
  })
  if (!answer.ok) {
    throw new LoginFailed(
      answer.status === 429
        ? "Too many logins have failed. Wait a moment, then open a new link."
        : "This link was used before, or is too old. Ask for a new one, or enter the token."
    )
  }
  const body: unknown = await answer.json().catch(() => undefined)
  if (typeof body === "object" && body !== null && "token" in body && typeof body.token === "string") {
    return body.token
  }
  throw new LoginFailed("The gateway's answer to the login can't be read.")
}
