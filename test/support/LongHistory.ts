/** LongHistory: a main session with as many messages as one likes, written as a gateway would have. */
import { FileSystem } from "@effect/platform"
import { DateTime, Effect } from "effect"

const iso = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(millis))

/** The texts are `message 0`, `message 1` and so on, a user's and an assistant's in turn. */
export const write = (stateDir: string, count: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const id = "00000000-0000-4000-8000-000000000000"
    const begun = 1_700_000_000_000
    const lines = Array.from({ length: count }, (_, index) => {
      const timestamp = begun + index * 1000
      const role = index % 2 === 0 ? "user" : "assistant"
      return JSON.stringify({
        type: "message",
        id: `m${index}`,
        timestamp: iso(timestamp),
        message: { role, content: [{ type: "text", text: `message ${index}` }], timestamp }
      })
    })
    const head = { type: "session", version: 3, id, timestamp: iso(begun), cwd: "/" }
    yield* fs.writeFileString(`${stateDir}/${id}.jsonl`, `${[JSON.stringify(head), ...lines].join("\n")}\n`)
    yield* fs.writeFileString(
      `${stateDir}/sessions.json`,
      JSON.stringify({ "agent:main:main": { sessionId: id, updatedAt: begun + count * 1000 } })
    )
  }).pipe(Effect.orDie)
