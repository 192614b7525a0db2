/** What a state directory holds, read as anybody else would read it. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import * as ImageFile from "../../src/session/ImageFile.js"
import * as Behaviour from "./Behaviour.js"
import { textOf } from "./Ledger.js"
import { fields } from "./Socket.js"

/** The text of a send, which names its key. */
export const message = (key: string, length: number): string => `[${key}] ${"x".repeat(length)}`.trim()

/** A message of a transcript, and the run that it belongs to as far as its text says that. */
export interface Line {
  readonly role: string
  readonly text: string
  readonly key: string | undefined
  /** The hash of the first image that it refers to. */
  readonly image: string | undefined
}

export interface Transcript {
  readonly lines: ReadonlyArray<Line>
  /** Lines that can't be read, and those of them in which a whole message stands behind something else. */
  readonly broken: ReadonlyArray<string>
  readonly merged: ReadonlyArray<string>
}

export const lineOf = (message: unknown): Line => {
  const role = String(fields(message)["role"])
  const text = textOf(message)
  const image = ImageFile.referencesIn(fields(message)["content"])[0]?.sha256
  return { role, text, image, key: role === "user" ? /^\[(\S+)\]/.exec(text)?.[1] : Behaviour.answered(text) }
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

/** What a living gateway on a lossy disk holds of its files behind what is on the disk: base64 by inode. */
export type Held = Readonly<Record<string, unknown>>

export const held = (file: string): Held | undefined => {
  const text = readText(file)
  return text === undefined ? undefined : fields(parse(text))
}

/** As other processes would see it. */
export const transcript = (file: string, held: Held): Transcript | undefined => {
  const written = readText(file)
  if (written === undefined) return undefined
  const rest = held[String(statSync(file).ino)]
  const text = typeof rest === "string" ? written + Buffer.from(rest, "base64").toString("utf8") : written
  const lines: Array<Line> = []
  const broken: Array<string> = []
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue
    const value = parse(line)
    if (value === undefined) broken.push(line)
    const { message } = fields(value)
    if (message !== undefined) lines.push(lineOf(message))
  }
  return { lines, broken, merged: broken.filter(holdsMessage) }
}

const holdsMessage = (line: string): boolean => {
  for (let at = line.indexOf('{"type":"', 1); at > 0; at = line.indexOf('{"type":"', at + 1))
    if (parse(line.slice(at)) !== undefined) return true
  return false
}

/** `sessions.json`, by canonical key; undefined when it can't be parsed. No file is no session. */
export const sessions = (stateDir: string): Readonly<Record<string, unknown>> | undefined => {
  const text = readText(join(stateDir, "sessions.json"))
  if (text === undefined) return {}
  const value = parse(text)
  return typeof value === "object" && value !== null ? fields(value) : undefined
}

/** The transcript's file of an entry of `sessions.json`. */
export const transcriptFile = (stateDir: string, entry: unknown): string | undefined => {
  const { sessionFile, sessionId } = fields(entry)
  if (typeof sessionFile === "string") return join(stateDir, sessionFile)
  return typeof sessionId === "string" ? join(stateDir, `${sessionId}.jsonl`) : undefined
}

/** The keys that the agent was called with, in order. */
export const calls = (file: string): ReadonlyArray<string> => (readText(file) ?? "").split("\n").slice(0, -1)

/** Removes the run journal and what belongs to it: a promise broken on purpose. */
export const dropJournal = (stateDir: string): void => {
  for (const name of readdirSync(stateDir))
    if (name.startsWith("runs.journal")) rmSync(join(stateDir, name), { force: true })
}

/** The images that the journal and the transcripts refer to, and whose files do not hold them. */
export const imagesLacking = (stateDir: string): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (const name of readdirSync(stateDir)) {
    if (name !== "runs.journal" && !name.endsWith(".jsonl")) continue
    const text = readText(join(stateDir, name)) ?? ""
    for (const [, sha256] of text.matchAll(/"sha256":"([0-9a-f]{64})"/g)) names.add(String(sha256))
  }
  return [...names].filter((sha256) => {
    try {
      const bytes = readFileSync(join(stateDir, "attachments", `${sha256}.png`))
      return createHash("sha256").update(bytes).digest("hex") !== sha256
    } catch {
      return true
    }
  })
}
