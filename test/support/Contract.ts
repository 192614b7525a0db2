/** What every frame of the server must be, by our own Schemas, with nothing more in it than they say. */
import { Either, ParseResult, type Schema } from "effect"
import * as Event from "../../src/protocol/Event.js"
import { ServerFrame } from "../../src/protocol/Frame.js"
import * as Method from "../../src/protocol/Method.js"
import * as Chat from "../../src/protocol/Chat.js"

const strict = (schema: Schema.Schema.AnyNoContext) => {
  const decode = ParseResult.decodeUnknownEither(schema, { onExcessProperty: "error" })
  return (value: unknown): ReadonlyArray<string> =>
    Either.match(decode(value), {
      onLeft: (issue) => [ParseResult.TreeFormatter.formatIssueSync(issue)],
      onRight: () => []
    })
}

const frame = strict(ServerFrame)
const events = new Map(Object.entries(Event.events).map(([name, { payload }]) => [name, strict(payload)]))
const results = new Map<string, (value: unknown) => ReadonlyArray<string>>([
  ...Object.entries(Method.methods).map(([name, { result }]) => [name, strict(result)] as const),
  ["connect", strict(Method.connect.result)]
])
const failure = strict(Chat.SendFailure)

/** What is wrong with a frame; `methodOf` tells which method the request with an id called. */
export const violations = (
  text: string,
  methodOf: (id: string) => string | undefined
): ReadonlyArray<string> => {
  const value: unknown = JSON.parse(text)
  const wrong = frame(value)
  if (wrong.length > 0) return wrong
  const { error, event, id, ok, payload } = value as {
    readonly error?: unknown
    readonly event?: string
    readonly id?: string
    readonly ok?: boolean
    readonly payload?: unknown
  }
  if (event !== undefined) return events.get(event)?.(payload) ?? [`unknown event ${event}`]
  if (ok === (error !== undefined)) return ["ok and error exclude each other"]
  if (ok !== true) return payload === undefined ? [] : failure(payload)
  const method = methodOf(id ?? "")
  return method === undefined
    ? []
    : (results.get(method)?.(payload) ?? [`a result of the unknown method ${method}`])
}
