/** DoctorIndex: what `sessions.json` says, and whether it can be used. Reads only. */
import { Either, Option } from "effect"
import * as SessionKey from "../domain/SessionKey.js"
import { Finding } from "./DoctorFinding.js"
import * as IndexDocument from "./IndexDocument.js"
import { split } from "./JsonFields.js"
import { fileName } from "./StoreIndex.js"

/** An entry that the store uses, of a session that has begun. */
export interface Named {
  /** As the file has it. */
  readonly name: string
  readonly sessionId: string
  /** Its transcript, as the entry names it. */
  readonly file: string
}

export interface Examined {
  readonly findings: ReadonlyArray<Finding>
  /** All that stand there. */
  readonly entries: number
  readonly sessions: ReadonlyArray<Named>
  /** Has that session not begun here? Nothing is known of an entry that can't be used. */
  readonly lacks: (key: SessionKey.SessionKey) => boolean
  /** Why the file as a whole can't be used. */
  readonly damage: string | undefined
}

export const examine = (bytes: Uint8Array, defaults: SessionKey.SessionKeyDefaults): Examined => {
  const parsed = IndexDocument.parse(bytes, defaults)
  if (Either.isLeft(parsed)) return { ...nothing, damage: parsed.left }
  const document = parsed.right
  const findings: Array<Finding> = []
  const sessions: Array<Named> = []
  const names = new Set(split(Buffer.from(bytes).toString("utf8")).map(({ name }) => name))
  for (const name of names) {
    const subject = fileName
    const isEntry = document.text(name)?.startsWith("{") === true
    const key = SessionKey.parse(name, defaults)
    if (Either.isLeft(key)) {
      findings.push(Finding.NameUnusable({ subject, name, reason: "no session can have that key" }))
      continue
    }
    if (!isEntry && key.right !== name) {
      findings.push(Finding.NameUnusable({ subject, name, reason: "is not an object" }))
      continue
    }
    const counts = document.spelling(key.right)
    if (counts !== undefined && counts !== name) {
      findings.push(Finding.NameTwice({ subject, name, counts }))
      continue
    }
    const entry = Option.getOrElse(document.entry(name), () => Either.left("is missing"))
    if (Either.isLeft(entry)) {
      findings.push(Finding.EntryUnusable({ subject, name, reason: entry.left }))
      continue
    }
    const { sessionFile, sessionId } = entry.right
    if (sessionId !== undefined) sessions.push({ name, sessionId, file: sessionFile ?? `${sessionId}.jsonl` })
  }
  findings.unshift(
    Finding.IndexSound({
      subject: fileName,
      entries: names.size,
      sessions: sessions.length,
      bytes: bytes.length
    })
  )
  return {
    findings,
    entries: names.size,
    sessions,
    lacks: (key) => {
      const name = document.spelling(key)
      const entry = name === undefined ? Option.none() : document.entry(name)
      return Option.match(entry, {
        onNone: () => true,
        onSome: Either.match({ onLeft: () => false, onRight: ({ sessionId }) => sessionId === undefined })
      })
    },
    damage: undefined
  }
}

export const nothing: Examined = {
  findings: [],
  entries: 0,
  sessions: [],
  lacks: () => true,
  damage: undefined
}
