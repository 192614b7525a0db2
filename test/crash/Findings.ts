/** What the crash test found wrong, by the promise that was broken. */

/** The promises that are looked after. A name here is a test in the report. */
export const checks = {
  "started-once": "a key is started at most once",
  "answer-final": "the key of every accepted send gives a final answer",
  "answer-same": "a key's final answer stays the same",
  "transcript-once": "an accepted message is in the transcript exactly once",
  "transcript-order": "messages stand in the order in which they were acknowledged",
  "transcript-torn": "no line is merged with a torn one",
  "answer-saved": "an answer that was told is in the transcript exactly once",
  images: "an image that the journal or a transcript refers to is in its file, whole, and agents get it",
  "history-pages": "the pages of chat.history put together are the transcript",
  "sessions-json": "sessions.json parses and names the session of every accepted send",
  "called-once": "the agent is called at most once for a key",
  "called-in-order": "the runs of a session begin in the order in which they were acknowledged",
  "called-after-abort": "an agent that was not called before an abort was answered is never called",
  "abort-stands": "a run whose abort was answered ends as aborted",
  "terminal-once": "a client sees at most one terminal event of a run",
  "terminal-missing": "a client that resumes sees the terminal event of every run",
  "terminal-agrees": "the terminal event says what the key's answer says",
  "stream-order":
    "events come without gaps in seq, never from before the position resumed from, none after the terminal",
  requests: "every request is answered, and with what the protocol says",
  process: "the gateway starts after every kill, stops in order when asked, and does not die by itself"
} as const

export type Check = keyof typeof checks

export interface Finding {
  readonly check: Check
  readonly what: string
  /** Which gateway: its number, and how often it was killed before. */
  readonly world: number
  readonly kill: number
  readonly details: unknown
}

export class Findings {
  readonly all: Array<Finding> = []
  readonly #seen = new Set<string>()
  readonly #except: ReadonlyArray<string>

  /** `except`: what is not looked at, while it is known and somebody works on it. */
  constructor(except: ReadonlyArray<string>) {
    this.#except = except
  }

  /** `subject` (a key, a session) is reported once for each check. */
  add(finding: Finding, subject: string): void {
    const id = `${finding.check}/${finding.world}/${subject}`
    if (this.#seen.has(id) || this.#except.includes(finding.check)) return
    this.#seen.add(id)
    this.all.push(finding)
  }
}

/** A world's own way to report. */
export type Report = (check: Check, subject: string, what: string, details?: unknown) => void
