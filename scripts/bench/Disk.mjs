// The disk without a gateway, and how much a gateway writes to it.
import { open, readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { now } from "./Stats.mjs"

// A file beside those of the gateway, to which as much is appended and synced.
export const openBare = async (stateDir) => {
  const file = await open(join(stateDir, "fsync.bench"), "a")
  return {
    append: async (bytes) => {
      await file.write(Buffer.alloc(bytes, 120))
      await file.sync()
    },
    close: () => file.close()
  }
}

// Appends with fsync, one after another, for so long: how many in a second.
export const fsyncsPerSecond = async (stateDir, bytes, forMs) => {
  const bare = await openBare(stateDir)
  const begun = now()
  let count = 0
  while (now() - begun < forMs) {
    await bare.append(bytes)
    count++
  }
  const rate = count / ((now() - begun) / 1000)
  await bare.close()
  return rate
}

// The size of what is only ever appended to: transcripts and journals.
export const appended = async (stateDir) => {
  let size = 0
  for (const name of await readdir(stateDir)) {
    if (/\.(jsonl|journal)$/.test(name)) size += (await stat(join(stateDir, name))).size
  }
  return size
}
