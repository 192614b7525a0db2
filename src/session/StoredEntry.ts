/** StoredEntry: what the text of one entry in `sessions.json` means. */
import { Either, Option } from "effect"
import { SessionId } from "../domain/Ids.js"
import { isRecord, parse } from "./JsonFields.js"
import type { SessionEntry } from "./SessionStore.js"

/** An entry as it is stored. One without `sessionId` holds settings of a session that has not begun. */
export interface StoredEntry extends Omit<SessionEntry, "sessionId"> {
  readonly sessionId?: SessionId
}

/** Reads the text of an entry. Left: why it can't be used. */
export const decode = (text: string): Either.Either<StoredEntry, string> => {
  const raw = Option.getOrUndefined(parse(text))
  if (!isRecord(raw)) return Either.left("is not an object")
  const { sendPolicy, sessionFile, sessionId, thinkingLevel, updatedAt, verboseLevel } = raw
  const named = sessionId !== undefined && sessionId !== null
  if (named && !(typeof sessionId === "string" && idPattern.test(sessionId))) {
    return Either.left("sessionId is not a plain name")
  }
  const located = sessionFile !== undefined && sessionFile !== null
  if (located && !(typeof sessionFile === "string" && sessionFile !== "")) {
    return Either.left("sessionFile is not the name of a file")
  }
  return Either.right({
    updatedAt: typeof updatedAt === "number" ? updatedAt : 0,
    ...(named && { sessionId: SessionId(sessionId) }),
    ...(located && { sessionFile }),
    ...(typeof thinkingLevel === "string" && { thinkingLevel }),
    ...(typeof verboseLevel === "string" && { verboseLevel }),
    ...(typeof sendPolicy === "string" && { sendPolicy }),
    raw
  })
}

/** The entry of a session that has begun. */
export const begun = (entry: StoredEntry): Option.Option<SessionEntry> =>
  entry.sessionId === undefined ? Option.none() : Option.some({ ...entry, sessionId: entry.sessionId })

// An id becomes the name of a file: nothing that could name another directory or a hidden file.
const idPattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/
