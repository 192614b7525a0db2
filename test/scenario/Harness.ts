/**
 * What a scenario needs of the gateway that it runs on, whatever that gateway stands on. Two of them: `MemoryHarness`
 * (no socket, no disk) and `SocketHarness` (a real WebSocket, files). In both the gateway's clock is the test's.
 */
import { describe, it } from "@effect/vitest"
import { Context, type Duration, Effect, type Layer, type Scope } from "effect"
import type { GatewayConfigShape } from "../../src/GatewayConfig.js"
import type { AgentEvents } from "../../src/run/AgentEvents.js"
import type { RunRegistry } from "../../src/run/RunRegistry.js"
import type { Cast, ScriptedAgent } from "../../src/testing/ScriptedAgent.js"
import type { ConnectOptions, ContractViolation, TestClient } from "../../src/testing/TestClient.js"

/** `sessions.json`, decoded. */
export type Index = { readonly [key: string]: { readonly [field: string]: unknown } }

export interface HarnessShape {
  /** A client that has not said anything yet. */
  readonly open: Effect.Effect<TestClient>
  /** A client that has shaken hands. */
  readonly connect: (options?: ConnectOptions) => Effect.Effect<TestClient, ContractViolation>
  /** Stops the gateway, as SIGTERM does, and waits until it has stopped. */
  readonly stop: Effect.Effect<void>

  /** Saves of messages take so long from now on, on the test's clock. */
  readonly setSaveDelay: (delay: Duration.DurationInput) => Effect.Effect<void>
  /** Receipt: a save that was begun since the delay was set waits for the clock. */
  readonly saving: Effect.Effect<void>
  /** The next `count` writes of that kind fail with ENOSPC. */
  readonly failWrites: (kind: "journal" | "append" | "image" | "index", count: number) => Effect.Effect<void>

  /** What another program sees in the state directory, and what it may do there. */
  readonly index: Effect.Effect<Index>
  readonly setIndex: (index: Index) => Effect.Effect<void>
  /** The files of images, by name. */
  readonly images: Effect.Effect<ReadonlyMap<string, Uint8Array>>
  /** Undefined: it goes away. */
  readonly setImage: (name: string, bytes: Uint8Array | undefined) => Effect.Effect<void>
  /** The lines of a transcript, by the name of its file. */
  readonly transcript: (file: string) => Effect.Effect<ReadonlyArray<unknown>>
  readonly setTranscript: (file: string, lines: ReadonlyArray<unknown>) => Effect.Effect<void>
}

export class Harness extends Context.Tag("test/Harness")<Harness, HarnessShape>() {}

/** What a scenario may ask for. */
export type Services = Harness | ScriptedAgent | AgentEvents | RunRegistry

/** What is set on a scenario's gateway, and which agents it has. */
export interface Options extends Partial<GatewayConfigShape> {
  readonly agents?: Cast
}

/** Makes a gateway of its own for each test. */
export type MakeHarness = (options?: Options) => Layer.Layer<Services>

/** Registers a test that runs on a gateway of its own. */
export type Scenario = (
  title: string,
  body: () => Effect.Effect<void, unknown, Services | Scope.Scope>,
  options?: Options
) => void

/** Scenarios that belong together. */
export type Suite = (scenario: Scenario) => void

/** Registers suites over one harness. */
export const run = (name: string, make: MakeHarness, suites: { readonly [title: string]: Suite }): void => {
  describe(name, () => {
    for (const [title, suite] of Object.entries(suites)) {
      describe(title, () => {
        suite((test, body, options) => {
          it.scoped(test, () => Effect.provide(body(), make(options)))
        })
      })
    }
  })
}

export const parseIndex = (text: string): Index => JSON.parse(text)

export const parseLines = (text: string): ReadonlyArray<unknown> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line))
