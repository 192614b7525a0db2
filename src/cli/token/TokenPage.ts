/** TokenPage: what `colloquy token` says. Never a secret or its hash. */
import type { Credential, PrincipalEntry, PrincipalsDocument } from "../../auth/PrincipalsDocument.js"
import { visible } from "../Visible.js"

const listed = (items: ReadonlyArray<string>): string =>
  items.length === 0 ? "none" : items.map(visible).join(", ")

/** What a principal may do and see. */
export const grants = ({ scopes, sessions }: PrincipalEntry): string =>
  `scopes ${listed(scopes.map(short))}; sessions ${listed(sessions)}`

const short = (scope: string): string => scope.replace("operator.", "")

/** What was made, and how it is used. */
export const created = (principal: PrincipalEntry, credential: Credential, isNew: boolean): string => {
  const { name } = principal
  return [
    `${isNew ? "New principal" : "Another credential of"} ${name}: ${grants(principal)}.`,
    credential.kind === "token"
      ? `Its token (id ${credential.id}) is shown this once, and kept only as a hash:`
      : `Its password (id ${credential.id}) is kept only as a hash. Clients write name and password into their password field: ${name}:PASSWORD`
  ].join("\n")
}

export const revokedPrincipal = ({ credentials, name }: PrincipalEntry): string =>
  `${name} is revoked, with ${credentials.length === 1 ? "1 credential" : `${credentials.length} credentials`}.`

export const revokedCredential = ({ credentials, name }: PrincipalEntry, id: string): string =>
  credentials.length === 0
    ? `${id} is revoked. ${name} has nothing left to log in with; colloquy token revoke ${name} removes it.`
    : `${id} is revoked. ${name} has ${credentials.length} left.`

const columns = ["principal", "scopes", "sessions", "id", "kind", "created", "label"]

/** A line for each credential, and one for each principal that has none. */
export const list = ({ principals }: PrincipalsDocument): string => {
  if (principals.length === 0) return "Nobody but the owner. To let somebody in: colloquy token create NAME"
  const rows = principals.flatMap((principal) => {
    const { credentials, name, scopes, sessions } = principal
    const who = [name, scopes.map(short).join(","), sessions.map(visible).join(",")]
    return credentials.length === 0
      ? [[...who, "(no credentials)", "", "", ""]]
      : credentials.map(({ createdAt, id, kind, label = "" }) => [
          ...who,
          id,
          kind,
          visible(createdAt),
          visible(label)
        ])
  })
  const table = [columns, ...rows]
  const widths = columns.map((_, at) => Math.max(...table.map((row) => (row[at] ?? "").length)))
  return table
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

/** The same for programs. */
export const json = ({ principals }: PrincipalsDocument): string =>
  JSON.stringify(
    {
      principals: principals.map(({ credentials, name, scopes, sessions }) => ({
        name,
        scopes,
        sessions,
        credentials: credentials.map(({ createdAt, id, kind, label }) => ({ id, kind, createdAt, label }))
      }))
    },
    undefined,
    2
  )
