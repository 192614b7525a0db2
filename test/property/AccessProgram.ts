/** Random traffic of two principals who must not see each other, of the owner, and of their agents. */
import { FastCheck as fc } from "effect"

export type Name = "alice" | "bob"
/** The owner acts in alice's sessions alone, so that what bob sees has nothing to do with it. */
export type Actor = Name | "boss"

export const otherOf = (name: Name): Name => (name === "alice" ? "bob" : "alice")
/** On whose side somebody is. */
export const sideOf = (actor: Actor): Name => (actor === "bob" ? "bob" : "alice")

/** Where a client comes back from. `foreign`: from where the other one is. */
export type From = "nowhere" | "own" | "foreign" | "start" | "future" | "carried" | "made up"

export type Operation =
  | {
      readonly op: "send"
      readonly by: Actor
      readonly own: boolean
      readonly session: number
      readonly key: number
      readonly kind: "text" | "image" | "stop" | "bad image" | "no agent"
    }
  | {
      readonly op: "abort"
      readonly by: Actor
      readonly own: boolean
      readonly session: number
      readonly key: number
    }
  | {
      readonly op: "history" | "inject" | "image" | "permissions" | "patch" | "reset" | "delete"
      readonly by: Actor
      readonly own: boolean
      readonly session: number
    }
  /** Answers the newest question, of one's own agents or of the other's. */
  | { readonly op: "resolve"; readonly by: Actor; readonly own: boolean; readonly option: string }
  | {
      readonly op: "look"
      readonly by: Actor
      readonly method:
        | "status"
        | "health"
        | "agents.list"
        | "models.list"
        | "permission.list"
        | "runs.list"
        | "system-presence"
        | "nothing.known"
    }
  /** Comes back. */
  | {
      readonly op: "connect"
      readonly by: Actor
      readonly from: From
      readonly protocol: 3 | 4
      /** Does it ask to be told what is done to sessions? */
      readonly hears: boolean
      readonly stay: boolean
    }
  /** The agent of the newest run in somebody's sessions does something. */
  | {
      readonly op: "agent"
      readonly of: Name
      readonly does:
        | "say"
        | "rewrite"
        | "think"
        | "tool"
        | "ask"
        | "finish"
        | "fail"
        | "die"
        | "handOff"
        | "outside"
    }
  | { readonly op: "clock"; readonly ms: number }

export const keys = 4

const by = fc.constantFrom<Actor>("alice", "bob", "bob", "alice", "boss")
const own = fc.boolean()
const mostlyOwn = fc.constantFrom(true, true, true, false)
const session = fc.nat(1)
const key = fc.nat(keys - 1)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("send" as const),
      by,
      own: mostlyOwn,
      session,
      key,
      kind: fc.constantFrom(
        "text" as const,
        "text" as const,
        "image" as const,
        "stop" as const,
        "bad image" as const,
        "no agent" as const
      )
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("abort" as const),
      by,
      own,
      session,
      key: fc.integer({ min: -1, max: keys - 1 })
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constantFrom(
        "history" as const,
        "history" as const,
        "inject" as const,
        "inject" as const,
        "image" as const,
        "permissions" as const,
        "patch" as const,
        "reset" as const,
        "delete" as const
      ),
      by,
      own,
      session
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("resolve" as const),
      by,
      own,
      option: fc.constantFrom("y", "n", "x")
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("look" as const),
      by,
      method: fc.constantFrom(
        "status" as const,
        "health" as const,
        "agents.list" as const,
        "models.list" as const,
        "permission.list" as const,
        "runs.list" as const,
        "system-presence" as const,
        "nothing.known" as const
      )
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("connect" as const),
      by,
      from: fc.constantFrom<From>(
        "nowhere",
        "own",
        "own",
        "foreign",
        "start",
        "future",
        "carried",
        "made up"
      ),
      protocol: fc.constantFrom(3 as const, 4 as const),
      hears: fc.boolean(),
      stay: fc.boolean()
    })
  },
  {
    weight: 12,
    arbitrary: fc.record({
      op: fc.constant("agent" as const),
      of: fc.constantFrom<Name>("alice", "bob"),
      does: fc.constantFrom(
        "say" as const,
        "say" as const,
        "rewrite" as const,
        "think" as const,
        "tool" as const,
        "ask" as const,
        "ask" as const,
        "finish" as const,
        "fail" as const,
        "die" as const,
        "handOff" as const,
        "outside" as const
      )
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("clock" as const), ms: fc.constantFrom(1, 200, 2000, 40_000) })
  }
)

/** Both begin with a run at work, so that what follows meets something. */
const opening: ReadonlyArray<Operation> = [
  { op: "send", by: "alice", own: true, session: 0, key: 0, kind: "image" },
  { op: "send", by: "bob", own: true, session: 0, key: 0, kind: "text" },
  { op: "agent", of: "alice", does: "ask" }
]

export const program: fc.Arbitrary<ReadonlyArray<Operation>> = fc
  .array(operation, { minLength: 10, maxLength: 40, size: "max" })
  .map((rest) => [...opening, ...rest])
