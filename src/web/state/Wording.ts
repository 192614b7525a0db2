/** Wording: times, sizes and errors in words. */

/** What an error says. */
export const messageOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if ("_tag" in error && error._tag === "ConnectionLost")
    return "The connection was lost before the answer came."
  if ("_tag" in error && error._tag === "ClientClosed") return "The connection was closed."
  if ("_tag" in error && error._tag === "OutboxFull") return "Too many messages wait to be sent."
  return "message" in error && typeof error.message === "string" && error.message !== ""
    ? sentence(error.message)
    : "Something went wrong."
}

/** Begins with a capital letter. */
export const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** How a session is called. */
export const titleOf = (row: {
  readonly key: string
  readonly label?: string | undefined
  readonly displayName?: string | undefined
  readonly derivedTitle?: string | undefined
}): string => row.label ?? row.displayName ?? (plain(row.derivedTitle ?? "") || nameOfKey(row.key))

/** The beginning of a text without the signs of its markdown. */
export const plain = (text: string): string =>
  text
    .replace(/```+[\w-]*|~~~+[\w-]*/g, " ")
    .replace(/!?\[([^\]]*)\]\([^)]*\)?/g, "$1")
    .replace(/(^|\s)(#{1,6}|[-*+>]|\d+\.)(?=\s)/g, "$1")
    .replace(/\*\*|__|`/g, "")
    .replace(/\s+/g, " ")
    .trim()

/** `agent:main:chat-3` → `chat-3`. */
export const nameOfKey = (key: string): string => {
  const rest = key.startsWith("agent:") ? key.slice(key.indexOf(":", 6) + 1) : key
  return rest === "main" ? "Main" : /^chat-[0-9a-z]{6,}$/.test(rest) ? "New conversation" : rest
}

/** `agent:work:x` → `work`; undefined for keys that name no agent. */
export const agentOfKey = (key: string): string | undefined =>
  key.startsWith("agent:") ? key.slice(6, key.indexOf(":", 6)) : undefined

/** A duration in its two largest units: `4 s`, `3 min 20 s`, `2 h 5 min`. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`
  return `${seconds} s`
}

/** How long ago, short: `now`, `5 min`, `3 h`, `2 d`, then the date. */
export const ago = (then: number, now: number): string => {
  const minutes = Math.floor((now - then) / 60_000)
  if (minutes < 1) return "now"
  if (minutes < 60) return `${minutes} min`
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`
  if (minutes < 7 * 24 * 60) return `${Math.floor(minutes / 60 / 24)} d`
  return new Date(then).toLocaleDateString(undefined, { day: "numeric", month: "short" })
}

/** The hour and minute of a time. */
export const clock = (timestamp: number): string =>
  new Date(timestamp).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })

/** The day of a time: `Today`, `Yesterday`, then the date. */
export const day = (timestamp: number, now: number): string => {
  const that = new Date(timestamp).toDateString()
  if (that === new Date(now).toDateString()) return "Today"
  if (that === new Date(now - 24 * 60 * 60_000).toDateString()) return "Yesterday"
  return new Date(timestamp).toLocaleDateString(undefined, {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric"
  })
}

/** `1.5 MB`, as people count bytes. */
export const bytes = (count: number): string =>
  count < 1000
    ? `${count} B`
    : count < 1_000_000
      ? `${Math.round(count / 1000)} KB`
      : `${Math.round(count / 100_000) / 10} MB`

/** Why a run was stopped. */
export const stopped = (reason: string | undefined): string =>
  reason === "timeout"
    ? "Stopped: it took too long"
    : reason === "shutdown"
      ? "Stopped: the gateway went down"
      : "Stopped"
