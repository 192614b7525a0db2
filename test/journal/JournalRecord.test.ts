import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { MessageId, RunId } from "../../src/domain/Ids.js"
import type { JournalRecord } from "../../src/journal/JournalRecord.js"
import * as Record from "../../src/journal/JournalRecord.js"
import { endOf, entryOf, runOf, removalOf } from "./Records.js"

const failed = {
  _tag: "Error",
  message: "interrupted by restart",
  details: { code: "INTERRUPTED_BY_RESTART", partial: true }
} as const

const records: ReadonlyArray<JournalRecord> = [
  { type: "journal", version: 1 },
  { type: "accepted", run: runOf("r"), entry: entryOf("r") },
  {
    type: "accepted",
    run: { ...runOf("r"), thinking: "high", timeoutMs: 0 },
    entry: entryOf("r"),
    stored: true
  },
  {
    type: "message",
    entry: { ...entryOf("m"), message: { role: "x", content: [{ deep: [null, "ü\u2028"] }] } }
  },
  { type: "life", epoch: "e1" },
  { type: "aborting", runId: RunId("r"), reason: "stop" },
  { type: "started", runId: RunId("r"), at: 1 },
  { type: "text", runId: RunId("r"), from: 0, text: "a\nb\u0000\ud83e\udd9c" },
  { type: "ended", end: endOf("r") },
  {
    type: "ended",
    end: endOf("r", { _tag: "Final", stopReason: "length", usage: { a: 1 } }),
    entry: entryOf("a")
  },
  { type: "ended", end: endOf("r", { _tag: "Aborted", stopReason: "shutdown" }), run: runOf("r") },
  { type: "ended", end: endOf("r", failed) },
  { type: "told", runId: RunId("r"), pos: 9 },
  { type: "seen", runId: RunId("r"), perspectives: { p: 3 } },
  { type: "withdrawn", id: MessageId("m") },
  {
    type: "keys",
    keys: [
      [RunId("a"), "f", "p", 1, ["ok"]],
      [RunId("b"), "f", "p", 2, ["aborted", "rpc"]],
      [RunId("c"), "f", "p", 3, ["error", "why"]],
      [RunId("d"), "f", "p", 3, ["error", "why", failed.details]]
    ]
  },
  { type: "checkpoint" },
  { type: "removed", removal: removalOf("a") },
  { type: "removed", removal: { ...removalOf("b"), aside: ".deleted.now" } },
  { type: "blank" }
]

describe("JournalRecord", () => {
  for (const record of records) {
    it(`${Record.encode(record).slice(0, 60)} is read as it was written, on one line`, () => {
      const json = Record.encode(record)
      expect(json).not.toContain("\n")
      expect(Record.decode(json)).toEqual(Option.some(record))
    })
  }

  it("there is an example of each type", () => {
    const types: { readonly [K in JournalRecord["type"]]: true } = {
      journal: true,
      accepted: true,
      message: true,
      life: true,
      aborting: true,
      started: true,
      text: true,
      ended: true,
      told: true,
      seen: true,
      withdrawn: true,
      keys: true,
      checkpoint: true,
      removed: true,
      blank: true
    }
    expect(new Set(records.map(({ type }) => type))).toEqual(new Set(Object.keys(types)))
  })

  it("what is not a record of ours is none", () => {
    for (const json of [
      "",
      "null",
      "{}",
      `{"type":"hologram"}`,
      `{"type":"journal","version":2}`,
      `{"type":"started","runId":"r"}`,
      `{"type":"started","runId":1,"at":1}`,
      Record.encode({ type: "checkpoint" }).slice(0, -1)
    ])
      expect([json, Record.decode(json)]).toEqual([json, Option.none()])
  })

  it("fields of a newer version are no reason not to read one", () => {
    expect(Record.decode(`{"type":"told","runId":"r","pos":1,"new":true}`)).toEqual(
      Option.some({ type: "told", runId: "r", pos: 1 })
    )
  })
})
