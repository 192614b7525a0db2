/** Images on a disk: when they are durable, what is written, and where. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, type Scope } from "effect"
import { main as mainKey } from "../../src/domain/SessionKey.js"
import type { Durability } from "../../src/journal/Disk.js"
import * as FileDriver from "../../src/session/FileDriver.js"
import * as StoreEngine from "../../src/session/StoreEngine.js"
import * as Faulty from "../../src/testing/FaultyFileSystem.js"
import { FaultyFileSystem } from "../../src/testing/FaultyFileSystem.js"
import { sessionKeyDefaults, storeOptions } from "../contract/StoreProbe.js"
import { content, jpeg, type Picture, png } from "../support/Pictures.js"

const main = mainKey(sessionKeyDefaults)
const platform = Layer.mergeAll(Layer.provideMerge(Faulty.layer, NodeFileSystem.layer), NodePath.layer)

const directory = Effect.flatMap(FileSystem.FileSystem, (fs) =>
  Effect.map(fs.makeTempDirectoryScoped({ prefix: "colloquy-images-" }), (root) => ({
    fs,
    state: `${root}/state`,
    images: `${root}/state/attachments`,
    elsewhere: `${root}/elsewhere`
  }))
)

const open = (state: string, durability: Durability = "fsync") =>
  Effect.map(
    Effect.flatMap(FileDriver.make(state, durability), (driver) => StoreEngine.make(driver, storeOptions)),
    ({ store }) => store
  )

const look = (...pictures: ReadonlyArray<Picture>) => ({
  role: "user" as const,
  content: pictures.map(content),
  timestamp: 1
})

/** The steps that change something, or make a change durable; the index follows when it can. */
const stepsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const faults = yield* FaultyFileSystem
    const before = (yield* faults.steps).length
    yield* effect
    const kinds = new Set(["write", "sync", "rename", "makeDirectory", "remove"])
    return (yield* faults.steps)
      .slice(before)
      .filter(({ name, step }) => kinds.has(step) && !name.startsWith("sessions.json"))
      .map(({ name, step }) => `${step} ${name.replace(png.name, "png").replace(jpeg.name, "jpg")}`)
  })

const test = (
  name: string,
  effect: () => Effect.Effect<void, unknown, Scope.Scope | Layer.Layer.Success<typeof platform>>
) => it.scoped(name, () => Effect.provide(effect(), platform))

describe("images in files", () => {
  test("are durable before the record of their message is written", () =>
    Effect.gen(function* () {
      const { state } = yield* directory
      const store = yield* open(state)
      const steps = yield* stepsOf(store.accept(main, look(png)))
      expect(steps.slice(0, 8)).toEqual([
        "makeDirectory attachments",
        "write png.1.tmp",
        "sync png.1.tmp",
        "rename png",
        "sync state",
        "sync attachments",
        "write runs.journal",
        "sync runs.journal"
      ])
      expect((yield* stepsOf(store.accept(main, look(jpeg)))).slice(0, 5)).toEqual([
        "write jpg.2.tmp",
        "sync jpg.2.tmp",
        "rename jpg",
        "sync attachments",
        "write runs.journal"
      ])
      expect((yield* stepsOf(store.accept(main, look(png, jpeg))))[0]).toBe("write runs.journal")
    }))

  test("with durability os nothing is synced", () =>
    Effect.gen(function* () {
      const { state } = yield* directory
      const store = yield* open(state, "os")
      const steps = yield* stepsOf(store.accept(main, look(png)))
      expect(steps.slice(0, 4)).toEqual([
        "makeDirectory attachments",
        "write png.1.tmp",
        "rename png",
        "write runs.journal"
      ])
      expect(steps.filter((step) => step.startsWith("sync"))).toEqual([])
    }))

  test("are their owner's only", () =>
    Effect.gen(function* () {
      const { fs, images, state } = yield* directory
      const store = yield* open(state)
      yield* store.accept(main, look(png))
      expect((yield* fs.stat(images)).mode & 0o777).toBe(0o700)
      expect((yield* fs.stat(`${images}/${png.name}`)).mode & 0o777).toBe(0o600)
      expect(yield* fs.readDirectory(images)).toEqual([png.name])
    }))

  test("one of an earlier life is made durable, not written again; a damaged one is", () =>
    Effect.gen(function* () {
      const { fs, images, state } = yield* directory
      yield* Effect.scoped(Effect.flatMap(open(state, "os"), (store) => store.accept(main, look(png, jpeg))))
      yield* fs.writeFile(`${images}/${jpeg.name}`, Buffer.alloc(jpeg.size))
      const store = yield* open(state)
      expect((yield* stepsOf(store.accept(main, look(png)))).slice(0, 4)).toEqual([
        "sync png",
        "sync state",
        "sync attachments",
        "write runs.journal"
      ])
      expect((yield* stepsOf(store.accept(main, look(jpeg)))).slice(0, 3)).toEqual([
        "write jpg.1.tmp",
        "sync jpg.1.tmp",
        "rename jpg"
      ])
      expect(Buffer.from(yield* fs.readFile(`${images}/${jpeg.name}`))).toEqual(jpeg.bytes)
    }))

  test("a link in the place of a file gives way, and what it leads to is not touched", () =>
    Effect.gen(function* () {
      const { elsewhere, fs, images, state } = yield* directory
      yield* fs.makeDirectory(images, { recursive: true })
      yield* fs.writeFile(elsewhere, png.bytes)
      yield* fs.symlink(elsewhere, `${images}/${png.name}`)
      const store = yield* open(state)
      const { message } = yield* store.accept(main, look(png))
      expect(yield* Effect.either(fs.readLink(`${images}/${png.name}`))).toMatchObject({ _tag: "Left" })
      expect(message.content).toHaveLength(1)
      // A link that comes later is not read either.
      yield* fs.remove(`${images}/${png.name}`)
      yield* fs.symlink(elsewhere, `${images}/${png.name}`)
      const [reference] = message.content
      if (reference === undefined || !("sha256" in reference)) return expect.unreachable()
      const later = yield* open(state)
      expect(yield* Effect.flip(later.image(reference))).toMatchObject({
        reason: expect.stringMatching(/links out/)
      })
    }))

  test("a directory that lies elsewhere is refused", () =>
    Effect.gen(function* () {
      const { elsewhere, fs, images, state } = yield* directory
      yield* fs.makeDirectory(elsewhere)
      yield* fs.makeDirectory(state)
      yield* fs.symlink(elsewhere, images)
      const store = yield* open(state)
      expect(yield* Effect.flip(store.accept(main, look(png)))).toMatchObject({
        _tag: "SessionStoreError",
        reason: expect.stringMatching(/links out/)
      })
      expect(yield* fs.readDirectory(elsewhere)).toEqual([])
    }))

  for (const step of ["open", "write", "sync", "rename"] as const) {
    test(`a failure of ${step} leaves nothing behind`, () =>
      Effect.gen(function* () {
        const { fs, images, state } = yield* directory
        const faults = yield* FaultyFileSystem
        const store = yield* open(state)
        yield* faults.fail(step, /\.png/)
        expect(Either.isLeft(yield* Effect.either(store.accept(main, look(png))))).toBe(true)
        expect(yield* fs.readDirectory(images)).toEqual([])
        yield* store.accept(main, look(png))
        expect(yield* fs.readDirectory(images)).toEqual([png.name])
      }))
  }

  test("a directory that somebody removes is made again", () =>
    Effect.gen(function* () {
      const { fs, images, state } = yield* directory
      const store = yield* open(state)
      yield* store.accept(main, look(png))
      yield* fs.remove(images, { recursive: true })
      const steps = yield* stepsOf(store.accept(main, look(png)))
      expect(steps.slice(0, 6)).toEqual([
        "makeDirectory attachments",
        "write png.2.tmp",
        "sync png.2.tmp",
        "rename png",
        "sync state",
        "sync attachments"
      ])
    }))
})
