import { FileSystem, type Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope, TestClock } from "effect"
import * as LogLine from "../../src/journal/LogLine.js"
import * as Doctor from "../../src/session/Doctor.js"
import { aboutOf, type Finding } from "../../src/session/DoctorFinding.js"
import * as DoctorRepair from "../../src/session/DoctorRepair.js"
import { LockOwner } from "../../src/session/LockOwner.js"
import * as Owner from "../../src/session/LockOwner.js"
import { storeOptions } from "../contract/StoreProbe.js"
import { gif, jpeg, png } from "../support/Pictures.js"
import * as Fixture from "./DoctorFixture.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)
type Environment = FileSystem.FileSystem | Path.Path | Scope.Scope

const test = <A, E>(name: string, effect: () => Effect.Effect<A, E, Environment>) =>
  it.scoped(name, () => Effect.provide(effect(), platform))

const examine = (stateDir: string) =>
  Effect.map(Doctor.examine({ ...storeOptions, stateDir }), ({ findings }) => findings)
const repair = (stateDir: string) => DoctorRepair.repair({ ...storeOptions, stateDir })

const bad = (findings: ReadonlyArray<Finding>) =>
  findings.filter((finding) => aboutOf(finding).severity !== "ok")
const kinds = (findings: ReadonlyArray<Finding>) => findings.map(({ _tag }) => _tag)
/** Those runs are there in every fixture. */
const isRun = ({ _tag }: Finding): boolean => _tag === "RunOpen"

/** A lock of a process of this machine that is not there. */
const gone = Effect.map(Owner.local, ({ me }) =>
  JSON.stringify(LockOwner.make({ ...me, id: "old", pid: 2 ** 31 - 1, since: "then" }))
)

/** A state, and where its files are. */
interface Damaged extends Fixture.State {
  readonly fs: FileSystem.FileSystem
  readonly transcript: string
  readonly index: string
  readonly journal: string
}

interface Case {
  readonly kind: Finding["_tag"]
  readonly what: string
  /** As kill -9 leaves it; else as a stop does. */
  readonly killed?: true
  readonly damage: (state: Damaged) => Effect.Effect<unknown, unknown, Environment>
  readonly expected: (state: Fixture.State) => object
  /** What else is said of that damage. */
  readonly besides?: ReadonlyArray<Finding["_tag"]>
  /** All that is said after the repair. Absent: it can't be repaired, and is said again. */
  readonly left?: ReadonlyArray<Finding["_tag"]>
}

const write = ({ directory, fs }: Damaged, name: string, text: string) =>
  fs.writeFileString(`${directory}/${name}`, text, { mode: 0o600 })
const append = ({ fs }: Damaged, file: string, text: string) => fs.writeFileString(file, text, { flag: "a" })
const edit = ({ fs }: Damaged, file: string, change: (text: string) => string) =>
  Effect.flatMap(fs.readFileString(file), (text) => fs.writeFileString(file, change(text)))
const keepBackup = ({ directory, fs, index }: Damaged) => fs.copyFile(index, `${directory}/sessions.json.bak`)

/** Sets an entry of `sessions.json`. */
const withEntry = (name: string, value: unknown) => (text: string) =>
  JSON.stringify({ ...JSON.parse(text), [name]: value })

const line = (at: number, change: (line: string) => string) => (text: string) =>
  text
    .split("\n")
    .map((each, index) => (index === at ? change(each) : each))
    .join("\n")

const cases: ReadonlyArray<Case> = [
  {
    kind: "OpenToOthers",
    what: "a directory that others may enter",
    damage: ({ directory, fs }) => fs.chmod(directory, 0o755),
    expected: () => ({ subject: ".", mode: 0o755, reachable: true }),
    left: []
  },
  {
    kind: "OpenToOthers",
    what: "a transcript that others may read",
    damage: ({ fs, transcript }) => fs.chmod(transcript, 0o644),
    expected: ({ transcripts }) => ({ subject: transcripts[0], mode: 0o644, reachable: false }),
    left: []
  },
  {
    kind: "LockStale",
    what: "the lock of a gateway that is gone",
    damage: (state) => Effect.flatMap(gone, (lock) => write(state, "lock", lock)),
    expected: () => ({ pid: 2 ** 31 - 1, since: "then" }),
    left: []
  },
  {
    kind: "LockLeftover",
    what: "what a takeover has left",
    damage: (state) => Effect.flatMap(gone, (lock) => write(state, "lock.old.next", lock)),
    expected: () => ({ subject: "lock.old.next" }),
    left: []
  },
  {
    kind: "IndexDamaged",
    what: "a damaged index that has a last good version",
    damage: (state) =>
      Effect.zipRight(
        keepBackup(state),
        edit(state, state.index, (text) => text.slice(0, -5))
      ),
    expected: () => ({ subject: "sessions.json", reason: "is not JSON", backupEntries: 2 }),
    left: ["Kept"]
  },
  {
    kind: "IndexDamaged",
    what: "a damaged index, whose sessions the journal knows",
    killed: true,
    damage: (state) => edit(state, state.index, () => "[]"),
    expected: () => ({ reason: "is not a JSON object", backupEntries: undefined }),
    besides: ["SessionUnlisted", "SessionUnlisted"],
    left: ["Kept"]
  },
  {
    kind: "IndexMissing",
    what: "a missing index that has a last good version",
    damage: (state) => Effect.zipRight(keepBackup(state), state.fs.remove(state.index)),
    expected: () => ({ transcripts: 2, backupEntries: 2 }),
    left: []
  },
  {
    kind: "IndexMissing",
    what: "a missing index",
    damage: ({ fs, index }) => Effect.zipRight(fs.remove(index), fs.remove(`${index}.bak`, { force: true })),
    expected: () => ({ transcripts: 2, backupEntries: undefined })
  },
  {
    kind: "BackupDamaged",
    what: "a last good version that is none",
    damage: (state) => write(state, "sessions.json.bak", "{"),
    expected: () => ({ subject: "sessions.json.bak", reason: "is not JSON" })
  },
  {
    kind: "EntryUnusable",
    what: "an entry that can't be used",
    damage: (state) => edit(state, state.index, withEntry("agent:main:x", { sessionId: "../x" })),
    expected: () => ({ name: "agent:main:x", reason: "sessionId is not a plain name" })
  },
  {
    kind: "NameUnusable",
    what: "a name that no session can have",
    damage: (state) => edit(state, state.index, withEntry("../x", {})),
    expected: () => ({ name: "../x" })
  },
  {
    kind: "NameTwice",
    what: "two names of one session",
    damage: (state) => edit(state, state.index, withEntry("main", { sessionId: "other" })),
    expected: () => ({ name: "main", counts: Fixture.mainKey })
  },
  {
    kind: "TranscriptMissing",
    what: "a transcript that is not there",
    damage: ({ fs, transcript }) => fs.remove(transcript),
    expected: ({ transcripts }) => ({ subject: transcripts[0], name: Fixture.mainKey })
  },
  {
    kind: "TranscriptElsewhere",
    what: "an entry that names a file elsewhere",
    damage: (state) =>
      edit(state, state.index, withEntry("agent:main:x", { sessionId: "x", sessionFile: "../x.jsonl" })),
    expected: () => ({ name: "agent:main:x", reason: "sessionFile is outside the state directory" })
  },
  {
    kind: "TranscriptElsewhere",
    what: "a transcript that is a link to elsewhere",
    damage: (state) =>
      Effect.gen(function* () {
        const { directory, fs } = state
        yield* fs.writeFileString(`${directory}/../x.jsonl`, "")
        yield* fs.symlink("../x.jsonl", `${directory}/x.jsonl`)
        yield* edit(state, state.index, withEntry("agent:main:x", { sessionId: "x" }))
      }),
    expected: () => ({ subject: "x.jsonl", reason: "links out of the state directory" })
  },
  {
    kind: "SessionUnlisted",
    what: "a session that only the journal knows",
    killed: true,
    damage: (state) =>
      edit(state, state.index, (text) =>
        JSON.stringify({ [Fixture.mainKey]: JSON.parse(text)[Fixture.mainKey] })
      ),
    expected: ({ transcripts }) => ({
      key: Fixture.notesKey,
      sessionId: transcripts[1].replace(".jsonl", "")
    }),
    left: []
  },
  {
    kind: "JournalMissing",
    what: "a missing journal",
    damage: ({ fs, journal }) => fs.remove(journal),
    expected: () => ({ subject: "runs.journal" })
  },
  {
    kind: "JournalTorn",
    what: "a journal whose end was cut off",
    damage: (state) => append(state, state.journal, "0123"),
    expected: () => ({ bytes: 4 }),
    left: ["Kept"]
  },
  {
    kind: "JournalDamaged",
    what: "a damaged line of the journal",
    damage: (state) =>
      edit(
        state,
        state.journal,
        line(4, (text) => text.replace("says 3", "says 4"))
      ),
    expected: () => ({ lines: 1, line: 5 }),
    left: ["Kept"]
  },
  {
    kind: "JournalForeign",
    what: "a line of another version",
    damage: (state) => append(state, state.journal, LogLine.encode(`{"type":"from the future"}`)),
    expected: () => ({ lines: 1 })
  },
  {
    kind: "MessagesPending",
    what: "messages that their transcript lacks",
    killed: true,
    damage: (state) => edit(state, state.transcript, (text) => text.split("\n").slice(0, 3).join("\n")),
    expected: ({ transcripts }) => ({ subject: transcripts[0], count: 2 }),
    left: []
  },
  {
    kind: "MessagesPending",
    what: "a transcript that is not there, and that the journal has as a whole",
    killed: true,
    damage: ({ fs, transcript }) => fs.remove(transcript),
    expected: ({ transcripts }) => ({ subject: transcripts[0], count: 4 }),
    left: []
  },
  {
    kind: "MessageConflict",
    what: "two messages under one id",
    killed: true,
    damage: (state) =>
      Effect.flatMap(state.fs.readFileString(state.journal), (text) => {
        const json = (text.split("\n")[1] ?? "").slice("00000000 ".length)
        return append(state, state.journal, LogLine.encode(json.replace("says 0", "says 9")))
      }),
    expected: () => ({ subject: "runs.journal" })
  },
  {
    kind: "HeaderMissing",
    what: "a transcript without its first line",
    damage: (state) => edit(state, state.transcript, (text) => text.slice(text.indexOf("\n") + 1)),
    expected: ({ transcripts }) => ({ subject: transcripts[0] })
  },
  {
    kind: "HeaderOther",
    what: "the first line of another session",
    damage: (state) =>
      edit(state, state.transcript, (text) => text.replace(/"id":"[^"]*"/, `"id":"another"`)),
    expected: ({ transcripts }) => ({ expected: transcripts[0].replace(".jsonl", ""), found: "another" })
  },
  {
    kind: "LinesBroken",
    what: "broken lines",
    damage: (state) =>
      edit(state, state.transcript, (text) =>
        line(1, () => "\0\0\0")(line(3, (each) => each.slice(9))(text))
      ),
    expected: ({ transcripts }) => ({ subject: transcripts[0], lines: 2, line: 2 })
  },
  {
    kind: "TranscriptTorn",
    what: "a last line that was not written whole",
    damage: (state) => append(state, state.transcript, `{"type":"mess`),
    expected: ({ transcripts }) => ({ subject: transcripts[0], bytes: 13 }),
    left: ["Kept"]
  },
  {
    kind: "MessageTwice",
    what: "a message that stands there twice",
    damage: (state) => edit(state, state.transcript, (text) => `${text}${text.split("\n")[2]}\n`),
    expected: ({ transcripts }) => ({ subject: transcripts[0], ids: 1, line: 6 })
  },
  {
    kind: "OpenToOthers",
    what: "images that others may list",
    damage: ({ directory, fs }) => fs.chmod(`${directory}/attachments`, 0o755),
    expected: () => ({ subject: "attachments", mode: 0o755, reachable: false }),
    left: []
  },
  {
    kind: "ImageMissing",
    what: "an image that is not there",
    damage: ({ directory, fs }) => fs.remove(`${directory}/attachments/${png.name}`),
    expected: ({ transcripts }) => ({ subject: `attachments/${png.name}`, from: transcripts[1] })
  },
  {
    kind: "ImageMissing",
    what: "an image of a run that is not over, whose transcript is gone",
    damage: ({ directory, fs, transcript }) =>
      Effect.zipRight(fs.remove(transcript), fs.remove(`${directory}/attachments/${jpeg.name}`)),
    expected: () => ({ subject: `attachments/${jpeg.name}` }),
    besides: ["TranscriptMissing"]
  },
  {
    kind: "ImageDamaged",
    what: "an image that is not what was stored",
    damage: ({ directory, fs }) =>
      fs.writeFile(`${directory}/attachments/${png.name}`, Buffer.alloc(png.size)),
    expected: ({ transcripts }) => ({ subject: `attachments/${png.name}`, from: transcripts[1] })
  },
  {
    kind: "Unusable",
    what: "an image that is a link to elsewhere",
    damage: ({ directory, fs }) =>
      Effect.gen(function* () {
        yield* fs.rename(`${directory}/attachments/${png.name}`, `${directory}/../elsewhere.png`)
        yield* fs.symlink("../../elsewhere.png", `${directory}/attachments/${png.name}`)
      }),
    expected: () => ({ subject: png.name, reason: "links out of the state directory" })
  },
  {
    kind: "ImagesUnused",
    what: "images that no message refers to",
    damage: ({ directory, fs }) =>
      fs.writeFile(`${directory}/attachments/${gif.name}`, gif.bytes, { mode: 0o600 }),
    expected: () => ({ subject: "attachments", files: 1, bytes: gif.size })
  },
  {
    kind: "Leftover",
    what: "an image that was just being written",
    damage: (state) => write(state, `attachments/${png.name}.12.tmp`, "x"),
    expected: () => ({ subject: `attachments/${png.name}.12.tmp`, bytes: 1 }),
    left: []
  },
  {
    kind: "Orphan",
    what: "a transcript that no entry names",
    damage: (state) => write(state, "orphan.jsonl", `{"type":"session","id":"orphan"}\n{"to`),
    expected: () => ({ subject: "orphan.jsonl", bytes: 37 }),
    besides: ["TranscriptTorn"],
    left: ["Orphan", "Kept"]
  },
  {
    kind: "Orphan",
    what: "a file of somebody else's, whose end and mode are left alone",
    damage: ({ directory, fs }) =>
      fs.writeFileString(`${directory}/log.jsonl`, `{"x":1}\n{"y`, { mode: 0o644 }),
    expected: () => ({ subject: "log.jsonl" })
  },
  {
    kind: "Kept",
    what: "damage that was put aside",
    damage: (state) => write(state, "runs.journal.torn", "x"),
    expected: () => ({ subject: "runs.journal.torn", bytes: 1 })
  },
  {
    kind: "Kept",
    what: "the transcript of a session that was deleted",
    damage: (state) =>
      write(state, "gone.jsonl.deleted.2026-01-01T00-00-00.000Z", `{"type":"session"}\n{"to`),
    expected: () => ({ subject: "gone.jsonl.deleted.2026-01-01T00-00-00.000Z", bytes: 23 })
  },
  {
    kind: "Leftover",
    what: "what a write has left",
    damage: (state) => write(state, "sessions.json.tmp", "{"),
    expected: () => ({ subject: "sessions.json.tmp", bytes: 1 }),
    left: []
  }
]

describe("Doctor", () => {
  const states: ReadonlyArray<readonly [what: string, make: typeof Fixture.stopped]> = [
    ["a stop", Fixture.stopped],
    ["kill -9", Fixture.killed]
  ]
  for (const [what, make] of states)
    test(`finds nothing wrong after ${what}, and says what the next start will do with open runs`, () =>
      Effect.gen(function* () {
        const { directory } = yield* make()
        const findings = yield* examine(directory)
        const run = { _tag: "RunOpen", sessionKey: Fixture.mainKey, underWay: false }
        expect(bad(findings)).toMatchObject([
          { ...run, runId: "run-2", startedAt: undefined },
          { ...run, runId: "run-3", startedAt: 1 }
        ])
        expect(findings).toContainEqual(
          expect.objectContaining({ _tag: "IndexSound", entries: 2, sessions: 2 })
        )
        expect(findings).toContainEqual(
          expect.objectContaining({ _tag: "TranscriptsRead", files: 2, messages: 8 })
        )
        expect(findings).toContainEqual(
          expect.objectContaining({ _tag: "ImagesRead", files: 2, bytes: png.size + jpeg.size })
        )
        const before = yield* Fixture.tree(directory)
        expect((yield* repair(directory)).gone).toEqual([])
        expect(yield* Fixture.tree(directory)).toEqual(before)
      }))

  for (const { besides = [], damage, expected, kind, killed, left, what } of cases)
    test(`${kind}: ${what}`, () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const state = yield* killed ? Fixture.killed() : Fixture.stopped()
        const { directory, transcripts } = state
        const at = (name: string) => `${directory}/${name}`
        const paths = {
          transcript: at(transcripts[0]),
          index: at("sessions.json"),
          journal: at("runs.journal")
        }
        yield* damage({ ...state, ...paths, fs })

        const before = yield* Fixture.tree(directory)
        const found = bad(yield* examine(directory)).filter((finding) => !isRun(finding))
        expect(yield* Fixture.tree(directory)).toEqual(before)
        expect(found.find(({ _tag }) => _tag === kind)).toMatchObject(expected(state))
        expect(kinds(found).toSorted()).toEqual([kind, ...besides].toSorted())

        const repaired = yield* repair(directory)
        expect(repaired.failures).toEqual([])
        const now = bad(repaired.left.findings).filter((finding) => !isRun(finding))
        if (left === undefined) {
          expect(now).toEqual(found)
          expect(yield* Fixture.tree(directory)).toEqual(before)
          return
        }
        if (!left.includes(kind)) expect(kinds(repaired.gone)).toContain(kind)
        expect(kinds(now).toSorted()).toEqual([...left].toSorted())
        const after = yield* Fixture.tree(directory)
        expect((yield* repair(directory)).gone).toEqual([])
        expect(yield* Fixture.tree(directory)).toEqual(after)
      }))

  test("a repair keeps runs that are not over, and all that was cut off", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, said, transcripts } = yield* Fixture.killed()
      yield* fs.writeFileString(`${directory}/runs.journal`, "torn ☕", { flag: "a" })
      yield* fs.writeFileString(`${directory}/${transcripts[1]}`, "{", { flag: "a" })
      const { left } = yield* repair(directory)
      expect(left.findings.filter(isRun)).toMatchObject([
        { runId: "run-2" },
        { runId: "run-3", startedAt: 1 }
      ])
      expect(yield* fs.readFileString(`${directory}/runs.journal.torn`)).toBe("torn ☕\n")
      expect(yield* fs.readFileString(`${directory}/${transcripts[1]}.torn`)).toBe("{\n")
      for (const [key, texts] of said) expect(yield* Fixture.history(directory, key)).toEqual(texts)
    }))

  test("a repair keeps lines of a newer version that damage makes it write anew without", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* Fixture.stopped()
      const foreign = LogLine.encode(`{"type":"from the future"}`)
      yield* fs.writeFileString(`${directory}/runs.journal`, `damaged\n${foreign}`, { flag: "a" })
      yield* repair(directory)
      expect(yield* fs.readFileString(`${directory}/runs.journal.torn`)).toBe(`${foreign}damaged\n`)
    }))

  test("while a gateway runs: says who, takes nothing for damage that is being written, and repairs nothing", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, transcripts } = yield* Fixture.stopped()
      yield* Fixture.atWork(directory)
      yield* fs.writeFileString(`${directory}/runs.journal`, "0123", { flag: "a" })
      yield* fs.writeFileString(`${directory}/${transcripts[0]}`, `{"type"`, { flag: "a" })
      yield* fs.writeFileString(`${directory}/sessions.json.tmp`, "", { mode: 0o600 })
      yield* fs.writeFile(`${directory}/attachments/${gif.name}`, gif.bytes, { mode: 0o600 })
      yield* fs.utimes(`${directory}/attachments/${gif.name}`, 0, 0)
      const before = yield* Fixture.tree(directory)
      const found = bad(yield* examine(directory))
      expect(found[0]).toMatchObject({ _tag: "GatewayRunning", pid: process.pid })
      expect(kinds(found).slice(1)).toEqual(["BeingWritten", "RunOpen", "RunOpen", "BeingWritten"])
      expect(yield* Effect.flip(repair(directory))).toMatchObject({
        _tag: "StateDirLocked",
        pid: process.pid
      })
      expect(yield* Fixture.tree(directory)).toEqual(before)
    }))

  test("watches a lock whose holder can't be seen, and takes it for stale when nobody renews it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory } = yield* Fixture.stopped()
      const { me } = yield* Owner.local
      const elsewhere = LockOwner.make({ ...me, id: "there", host: "elsewhere", boot: "another" })
      yield* fs.writeFileString(`${directory}/lock`, JSON.stringify(elsewhere), { mode: 0o600 })
      const before = yield* Fixture.tree(directory)
      const examining = yield* Effect.fork(examine(directory))
      yield* Effect.repeat(Effect.zipRight(turn, TestClock.adjust("500 millis")), {
        until: () => examining.unsafePoll() !== null
      })
      expect(bad(yield* Fiber.join(examining))[0]).toMatchObject({ _tag: "LockStale", host: "elsewhere" })
      expect(yield* Fixture.tree(directory)).toEqual(before)
    }))

  test("what can't be read is a finding, and what can be is looked at", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { directory, transcripts } = yield* Fixture.stopped()
      for (const name of ["runs.journal", "sessions.json.bak"]) yield* fs.remove(`${directory}/${name}`)
      for (const name of ["runs.journal", "sessions.json.bak", "some.jsonl"])
        yield* fs.makeDirectory(`${directory}/${name}`)
      yield* fs.symlink("loop.jsonl", `${directory}/loop.jsonl`)
      yield* fs.writeFileString(`${directory}/${transcripts[0]}`, "{", { flag: "a" })
      const before = yield* Fixture.tree(directory, ["loop.jsonl"])
      const found = bad(yield* examine(directory))
      expect(found.map(({ _tag, subject }) => `${_tag} ${subject}`).toSorted()).toEqual([
        `TranscriptTorn ${transcripts[0]}`,
        "Unusable loop.jsonl",
        "Unusable runs.journal",
        "Unusable sessions.json.bak",
        "Unusable some.jsonl"
      ])
      const { failures } = yield* repair(directory)
      expect(failures).toMatchObject([{ subject: "runs.journal", reason: "EISDIR" }])
      const after = yield* Fixture.tree(directory, ["loop.jsonl"])
      // Its own time has changed: a lock came and went.
      expect(after.set(".", "")).toEqual(before.set(".", ""))
    }))

  test("says of a directory that is not there, or is none, nothing else, and makes none", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const root = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${root}/file`, "")
      expect(kinds(yield* examine(`${root}/none`))).toEqual(["DirectoryMissing"])
      expect(kinds((yield* repair(`${root}/none`)).left.findings)).toEqual(["DirectoryMissing"])
      expect(kinds(yield* examine(`${root}/file`))).toEqual(["NotADirectory"])
      expect(yield* fs.readDirectory(root)).toEqual(["file"])
      expect(kinds(bad(yield* examine(root)))).toEqual([])
    }))
})

/** Lets the file system answer. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
