import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import * as OwnSession from "../../src/client/OwnSession.js"
import * as Connect from "../../src/protocol/Connect.js"

const hello = (sessions?: ReadonlyArray<string>): Connect.HelloOk =>
  Schema.decodeUnknownSync(Connect.HelloOk)({
    type: "hello-ok",
    protocol: 4,
    server: { version: "1", connId: "c" },
    features: { methods: [], events: [] },
    snapshot: {
      presence: [],
      health: { ok: true, ts: 0, durationMs: 0 },
      stateVersion: { presence: 0, health: 0 },
      uptimeMs: 0,
      sessionDefaults: {
        defaultAgentId: "main",
        mainKey: "main",
        mainSessionKey: "agent:main:main",
        scope: "per-sender"
      }
    },
    policy: { maxPayload: 1, maxBufferedBytes: 1, tickIntervalMs: 1 },
    resume: { epoch: "e", pos: 0 },
    auth: { method: "token", role: "operator", scopes: [], ...(sessions === undefined ? {} : { sessions }) }
  })

describe("OwnSession", () => {
  it.each<[ReadonlyArray<string> | undefined, string, string]>([
    [undefined, "agent:main:main", "agent:main:notes"],
    [["agent:*:alice", "agent:*:alice:*"], "agent:main:alice", "agent:main:alice:notes"],
    [["agent:*"], "agent:main:main", "agent:main:notes"],
    [["agent:coder:*"], "agent:coder:main", "agent:coder:notes"],
    [["agent:main:one", "agent:main:two"], "agent:main:one", "agent:main:one"],
    // None may be used: the gateway says so.
    [[], "agent:main:main", "agent:main:notes"]
  ])("with %j: home is %s, notes %s", (sessions, home, notes) => {
    expect(OwnSession.home(hello(sessions))).toBe(home)
    expect(OwnSession.named(hello(sessions), "notes")).toBe(notes)
  })

  it("is of the agent that is asked for, where that is possible", () => {
    expect(OwnSession.named(hello(["agent:*:alice:*"]), "notes", "coder")).toBe("agent:coder:alice:notes")
    expect(OwnSession.named(hello(), "notes", "coder")).toBe("agent:coder:notes")
  })
})
