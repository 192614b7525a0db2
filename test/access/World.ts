/** A gateway with two principals who have the same things, each in sessions of its own. */
import { Duration, Effect, Either, Fiber } from "effect"
import * as Principal from "../../src/auth/Principal.js"
import * as GatewayTest from "../../src/testing/GatewayTest.js"
import * as ScriptedAgent from "../../src/testing/ScriptedAgent.js"
import * as Pictures from "../support/Pictures.js"

export const principal = (...args: Parameters<typeof Principal.make>): Principal.Principal =>
  Either.getOrThrow(Principal.make(...args))

/** What somebody has: a session whose run is at work, was sent an image, and waits for an answer to a question. */
export interface Belongings {
  readonly sessionKey: string
  readonly key: string
  readonly sha256: string
  readonly questionId: string
}

export const sessionKeyOf = (name: string): string => `agent:main:${name}:box`

/** What there is to name when somebody has nothing. */
export const nothingOf = (name: string): Belongings => ({
  sessionKey: sessionKeyOf(name),
  key: `key of ${name}`,
  sha256: pictureOf(name).sha256,
  questionId: "00000000-0000-4000-8000-000000000000"
})

export const pictureOf = (name: string): Pictures.Picture => Pictures.of("image/png", Buffer.from(name))

export const question = {
  title: "Remove a file?",
  options: [
    { id: "y", name: "Yes", kind: "allow_once" as const },
    { id: "n", name: "No", kind: "reject_once" as const }
  ],
  timeout: Duration.hours(1)
}

/** Gives somebody its things, over a connection of its own. */
export const furnish = (name: string) =>
  Effect.gen(function* () {
    const client = yield* (yield* GatewayTest.GatewayTest).connect({ token: name })
    const agent = yield* ScriptedAgent.ScriptedAgent
    const { key, sessionKey, sha256 } = nothingOf(name)
    yield* client.request("chat.send", {
      sessionKey,
      message: `message of ${name}`,
      idempotencyKey: key,
      attachments: [{ content: pictureOf(name).data }]
    })
    const run = yield* agent.next
    const asked = yield* Effect.fork(run.request.ask(question))
    yield* client.awaitFrame((frame) => frame.type === "event" && frame.event === "permission.requested")
    const { payload } = yield* client.request("permission.list")
    const [found] = (payload as { readonly permissions: ReadonlyArray<{ readonly id: string }> }).permissions
    const belongings: Belongings = { sessionKey, key, sha256, questionId: found?.id ?? "" }
    return { asked: Fiber.join(asked), belongings, client, run }
  })

export const layer = GatewayTest.layer({
  principals: {
    alice: principal("alice", ["agent:main:alice:*"]),
    bob: principal("bob", ["agent:*:bob:*"]),
    guest: principal("guest", ["global"]),
    boss: Principal.owner
  },
  agents: ScriptedAgent.cast({
    main: { name: "Main", model: { provider: "p", id: "m1" } },
    ops: { name: "Ops", model: { provider: "p", id: "m2" } }
  })
})

/** Ids that were drawn, by the order in which they come. */
export const normal = <A>(value: A): A => {
  const seen: Array<string> = []
  const text = JSON.stringify(value).replaceAll(
    /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g,
    (id) => {
      if (!seen.includes(id)) seen.push(id)
      return `id ${seen.indexOf(id) + 1}`
    }
  )
  return JSON.parse(text)
}
