/** ModelCheck: tries a model for real, and as cheaply as can be: the provider's list of models costs nothing. */
import { Effect, Option, Schema } from "effect"
import { AgentError } from "../AgentRunner.js"
import type { Dialect } from "./Dialect.js"
import * as ModelAnswer from "./ModelAnswer.js"
import type { ModelClient } from "./ModelClient.js"
import * as ModelError from "./ModelError.js"
import type { ModelOptions } from "./ModelOptions.js"
import * as Wire from "./Wire.js"

/** Says in a few words what was found, within 10 s. */
export const make = (
  dialect: Dialect,
  options: ModelOptions,
  client: ModelClient
): Effect.Effect<string, AgentError> =>
  Effect.gen(function* () {
    const listed = yield* client.get(dialect.modelsPath, dialect.modelsQuery)
    const ids = listed.status === 200 ? idsIn(listed.body) : undefined
    // Servers without a list say so in several ways; a refused key is a refused key.
    if (ids === undefined && (listed.status === 200 || [404, 405, 501].includes(listed.status)))
      return yield* byAnswer(dialect, options, client)
    if (ids === undefined) return yield* Effect.flip(ModelError.fromStatus(client.site, listed))
    if (ids.includes(options.model)) return found(client)
    // Lists hold no other names that a model has, such as the one that always means the newest.
    const page = yield* client.get(`${dialect.modelsPath}/${encodeURIComponent(options.model)}`)
    if (page.status === 200 && isModel(Wire.parse(page.body))) return found(client)
    return yield* ModelError.unknownModel(client.site, nearest(options.model, ids))
  }).pipe(
    Effect.timeoutFail({
      duration: "10 seconds",
      onTimeout: () =>
        new AgentError({
          code: "UNREACHABLE",
          retryable: true,
          message: `${client.site.baseUrl} has not answered within 10 s: check the base URL, the network and the server`
        })
    })
  )

const found = ({ site }: ModelClient): string => `${site.model} is there at ${site.baseUrl}`

/** Has the model say one token. */
const byAnswer = (
  dialect: Dialect,
  options: ModelOptions,
  client: ModelClient
): Effect.Effect<string, AgentError> =>
  Effect.gen(function* () {
    const pull = yield* ModelAnswer.open(
      dialect,
      client,
      { ...options, maxTokens: 1 },
      { messages: [{ role: "user", content: [{ type: "text", text: "Say: ok" }] }], thinking: undefined }
    )
    yield* Effect.forever(pull).pipe(
      Effect.catchAll(Option.match({ onNone: () => Effect.void, onSome: Effect.fail }))
    )
    return `${client.site.model} answers at ${client.site.baseUrl}`
  }).pipe(Effect.scoped)

const Model = Schema.Struct({ id: Schema.String })
const isModel = Schema.is(Model)
const isList = Schema.is(Schema.Struct({ data: Schema.Array(Model) }))

const idsIn = (body: string): ReadonlyArray<string> | undefined => {
  const list = Wire.parse(body)
  return isList(list) ? list.data.map(({ id }) => id) : undefined
}

/** The three names that begin the most alike. */
const nearest = (wanted: string, known: ReadonlyArray<string>): ReadonlyArray<string> =>
  known
    .map((id) => ({ id, alike: commonStart(wanted.toLowerCase(), id.toLowerCase()) }))
    .toSorted((a, b) => b.alike - a.alike)
    .slice(0, 3)
    .map(({ id }) => id)

const commonStart = (a: string, b: string): number => {
  let at = 0
  while (at < a.length && a[at] === b[at]) at++
  return at
}
