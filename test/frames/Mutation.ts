/** Requests as clients send them, and what becomes of them in bad hands. A seed decides all of it. */
import * as Method from "../../src/protocol/Method.js"
import type { Prng } from "../crash/Prng.js"
import * as Pictures from "../support/Pictures.js"

const sessionKey = (random: Prng): string =>
  random.pick(["main", "a", "agent:main:b", "AGENT:main:B", "agent:other:c", "global", "", "agent:main:../x"])
const word = (random: Prng): string =>
  random.pick(["hi", "", "/stop", "\u0000", "\ud800", "é€😀", '"\\', "x".repeat(300)])
const key = (random: Prng): string => `k${random.between(0, 20)}`

/** Parameters that are mostly right. A method without them does not compile. */
const params: { readonly [M in Method.MethodName]: (random: Prng) => object } = {
  "chat.history": (random) => ({
    sessionKey: sessionKey(random),
    limit: random.pick([1, 20, 1000, 0, 1.5]),
    ...(random.chance(0.3) ? { before: word(random) } : {})
  }),
  "chat.image": (random) => ({ sessionKey: sessionKey(random), sha256: Pictures.png.sha256 }),
  "chat.send": (random) => ({
    sessionKey: sessionKey(random),
    message: word(random),
    idempotencyKey: key(random),
    timeoutMs: random.pick([0, 1000, -1]),
    ...(random.chance(0.2) ? { attachments: [{ content: Pictures.png.data, fileName: word(random) }] } : {})
  }),
  "chat.abort": (random) => ({ sessionKey: sessionKey(random), runId: key(random) }),
  "chat.inject": (random) => ({ sessionKey: sessionKey(random), message: word(random), label: word(random) }),
  "permission.list": (random) => ({ sessionKey: sessionKey(random) }),
  "permission.resolve": (random) => ({ id: word(random), optionId: word(random) }),
  "sessions.list": (random) => ({
    limit: random.pick([1, 200, 0]),
    search: word(random),
    includeDerivedTitles: random.chance(0.5),
    includeLastMessage: random.chance(0.5)
  }),
  "sessions.preview": (random) => ({ keys: [sessionKey(random), sessionKey(random)] }),
  "sessions.patch": (random) => ({
    key: sessionKey(random),
    label: word(random),
    thinkingLevel: word(random)
  }),
  "sessions.reset": (random) => ({ key: sessionKey(random) }),
  "sessions.delete": (random) => ({ key: sessionKey(random), deleteTranscript: random.chance(0.5) }),
  "sessions.resolve": (random) => ({ key: sessionKey(random), allowMissing: random.chance(0.5) }),
  "agents.list": () => ({}),
  "models.list": () => ({}),
  "runs.list": () => ({}),
  "system-presence": () => ({}),
  health: () => ({}),
  status: () => ({ more: [1, { a: null }] })
}

/** A request as a client sends it. */
export const request = (random: Prng, id: string): string => {
  const method = Method.names[random.between(0, Method.names.length - 1)] ?? "health"
  return JSON.stringify({ type: "req", id, method, params: params[method](random) })
}

const parts = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ":",
  ",",
  "\\",
  "\\u",
  "\\ud800",
  "null",
  "1e999",
  "-0",
  "\u0000",
  "\ud800",
  "\udc00",
  "\ufeff",
  "\u2028",
  " ",
  "__proto__",
  '"constructor":1,'
] as const

type Mutation = (text: string, random: Prng, other: string) => string

const at = (text: string, random: Prng): number => random.between(0, text.length)
const insert = (text: string, where: number, part: string): string =>
  text.slice(0, where) + part + text.slice(where)
/** Behind the brace that opens the frame, or the parameters. */
const asMember = (text: string, random: Prng, member: string): string => {
  const brace = random.chance(0.5) ? text.indexOf("{") : text.indexOf("{", text.indexOf("{") + 1)
  return insert(text, brace + 1, `${member},`)
}

const mutations: readonly [Mutation, ...ReadonlyArray<Mutation>] = [
  // A bit is flipped.
  (text, random) => {
    const where = random.between(0, Math.max(0, text.length - 1))
    const code = text.charCodeAt(where) ^ (1 << random.between(0, 7))
    return text.slice(0, where) + String.fromCharCode(code) + text.slice(where + 1)
  },
  (text, random) => text.slice(0, at(text, random)),
  (text, random) => text.slice(at(text, random)),
  // One frame begins and another one ends.
  (text, random, other) => text.slice(0, at(text, random)) + other.slice(at(other, random)),
  (text, random) => insert(text, at(text, random), random.pick(parts)),
  (text, random) => {
    const where = at(text, random)
    return text.slice(0, where) + text.slice(where + random.between(1, 5))
  },
  // The same member twice.
  (text, random) =>
    asMember(
      text,
      random,
      random.pick([
        '"id":"twice"',
        '"id":1',
        '"\\u0069d":"escaped"',
        '"type":"res"',
        '"method":"status"',
        '"params":[]',
        '"sessionKey":{}',
        '"__proto__":{"id":"x"}'
      ])
    ),
  (text, random) => {
    const levels = random.pick([3, 63, 64, 65, 2000])
    return asMember(
      text,
      random,
      `"deep":${"[".repeat(levels)}${"]".repeat(levels - (random.chance(0.2) ? 1 : 0))}`
    )
  },
  (text, random) =>
    asMember(
      text,
      random,
      `"long":"${random.pick(["x", "\\u0000", "😀", "\\"])}${"y".repeat(random.between(0, 3000))}"`
    ),
  (text, random) => asMember(text, random, `"many":[${"0,".repeat(random.pick([10, 2000, 10_000]))}0]`),
  (text, random) =>
    text.replaceAll(/\d+/g, random.pick(["1e999", "-1", "0.1", "9007199254740993", "1e-400"])),
  (text) => text.replaceAll('"', "'"),
  (text) => ` \n\t${text}\r\n `
]

/** A frame: half of them as they should be. `null`: a binary one. */
export const frame = (random: Prng, id: string): string | null => {
  if (random.chance(0.01)) return null
  let text = request(random, id)
  if (random.chance(0.5)) return text
  for (let turns = random.between(1, 3); turns > 0; turns--) {
    // A long one is not made longer without end.
    if (text.length < 50_000) text = random.pick(mutations)(text, random, request(random, `${id} too`))
  }
  return text
}
