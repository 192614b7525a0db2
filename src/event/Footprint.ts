/** How much memory an event holds, roughly: told without reading its texts or all of its values. */
import type { HubEvent } from "../domain/HubEvent.js"

/** Objects and strings of fixed size around an event's text. */
const envelope = 256
/** Values of an agent's data that are looked at; the rest is taken to be like them. */
const maxLooks = 256

/** Bytes. Strings count two for each UTF-16 code unit; what an event shares with its run is not counted. */
export const bytesOf = (event: HubEvent): number => {
  switch (event._tag) {
    case "Delta":
    case "AgentText":
    case "Injected":
      return envelope + 2 * event.text.length
    case "Terminal":
      return envelope + 2 * event.text.length + foreignBytes(event.outcome)
    case "AgentActivity":
      return envelope + foreignBytes(event.data)
    case "PermissionAsked":
      return envelope + foreignBytes(event.question)
    case "PermissionResolved":
    case "SessionChanged":
      return envelope
  }
}

/** What an agent made may be anything, a cycle or a getter that throws included. */
const foreignBytes = (value: unknown): number => {
  const looks = { left: maxLooks }
  try {
    return measure(value, looks)
  } catch {
    return envelope
  }
}

const measure = (value: unknown, looks: { left: number }): number => {
  looks.left -= 1
  if (typeof value === "string") return 16 + 2 * value.length
  if (typeof value !== "object" || value === null) return 8
  if (ArrayBuffer.isView(value)) return 64 + value.byteLength
  const keys = Array.isArray(value) ? undefined : Object.keys(value)
  const items: ReadonlyArray<unknown> = Array.isArray(value) ? value : Object.values(value)
  let bytes = 0
  let seen = 0
  for (const item of items) {
    if (looks.left <= 0) break
    bytes += measure(item, looks) + 2 * (keys?.[seen]?.length ?? 0)
    seen += 1
  }
  return 32 + (seen === 0 ? 8 * items.length : Math.ceil((bytes / seen) * items.length))
}
