/** docs/protocol-reference.md, from the Schemas and the error map in src/protocol. */
import { readComments } from "./comments.mjs"
import { code, generated, table } from "./markdown.mjs"

export const protocolPage = ({ Chat, Connect, ErrorMap, Errors, Event, Frame, JSONSchema, Method }) => {
  const comments = readComments("src/protocol", "src/domain")
  const named = new Map(
    [Chat, Connect, Frame, Event].flatMap((module) =>
      Object.entries(module).map(([name, value]) => [value, name])
    )
  )

  /** The members of a union that are objects: each gets its own table. */
  const members = (schema) => schema.members ?? [schema]

  /** The JSON Schema behind a reference. */
  const follow = (json, root) =>
    json.$ref ? { ...root.$defs[json.$ref.slice("#/$defs/".length)], ...json } : json

  const typeText = (raw, root) => {
    const json = follow(raw, root)
    if (json.enum) return json.enum.map((value) => code(JSON.stringify(value))).join(" or ")
    if (json.type === "array") {
      const items = typeText(json.items, root)
      return items === "an object" ? "an array of objects" : `an array; each ${items}`
    }
    if (json.type === "object") return "an object"
    if (json.description) return json.description
    if (json.type) return json.type === "boolean" ? "true or false" : `a ${json.type}`
    return "any JSON"
  }

  /** One row for each field, those of inner objects too. */
  const fieldRows = (raw, root, docs, path) => {
    const json = follow(raw, root)
    if (json.type === "array") return fieldRows(json.items, root, docs, `${path}[]`)
    return Object.entries(json.properties ?? {}).flatMap(([name, field]) => {
      const inner = path === "" ? name : `${path}.${name}`
      const required = json.required.includes(name)
      return [
        [code(inner), required ? "yes" : "", typeText(field, root), docs.get(inner) ?? ""],
        ...fieldRows(field, root, docs, inner)
      ]
    })
  }

  /** The fields of an object as a table; `at` is where its comments are when it has no name of its own. */
  const fields = (schema, at) => {
    const json = JSONSchema.make(schema)
    const name = named.get(schema)
    const docs = name === undefined ? comments.fields(...at) : comments.fields(name)
    const rows = fieldRows(json, json, docs, "")
    return rows.length === 0 ? "None." : table(["field", "required", "is", "meaning"], rows)
  }

  const object = (title, schema, at) =>
    members(schema)
      .map((member, index, all) => {
        const doc = all.length > 1 ? comments.of(named.get(member) ?? "") : ""
        return `${title}${all.length > 1 ? ` (${index + 1} of ${all.length})` : ""}:${doc === "" ? "" : ` ${doc}`}\n\n${fields(member, at)}`
      })
      .join("\n\n")

  const failedAgain = `When a key is sent again whose run has failed, the response is the error ${code("RUN_FAILED")} with this payload beside it:

${fields(Chat.SendFailure)}`

  const methods = Object.entries(Method.methods).map(
    ([name, { params, result, scope, summary }]) => `### ${code(name)}

${summary} Scope: ${code(scope)}.

${object("Parameters", params, ["methods", `${name}.params`])}

${object("Result", result, ["methods", `${name}.result`])}${name === "chat.send" ? `\n\n${failedAgain}` : ""}`
  )

  const events = Object.entries(Event.events).map(
    ([name, { payload, scope, summary }]) => `### ${code(name)}

${summary} ${scope === null ? "Needs no scope." : `Scope: ${code(scope)}.`}

${object("Payload", payload, ["events", `${name}.payload`])}`
  )

  /**
   * Errors of a tag that say of each field only its name, in braces, so that it shows where the map puts it. A field
   * that is one of a few words has each of them in turn: the map may tell them apart.
   */
  const anyErrors = (tag) => {
    const choices = Object.entries(errorClass(tag).fields).map(([name, field]) => {
      const schema = name === "cause" ? {} : JSONSchema.make(field)
      const { enum: words = [schema.type === "array" ? [`{${name}}`] : `{${name}}`] } = schema
      return words.map((word) => [name, word])
    })
    return choices
      .reduce((combined, words) => combined.flatMap((fields) => words.map((word) => [...fields, word])), [[]])
      .map(Object.fromEntries)
  }
  const errorClass = (tag) => Errors.find((module) => tag in module)[tag]

  const errorRow = (wire, doc) => [
    code(wire.details?.code ?? ""),
    code(wire.code),
    wire.message,
    wire.retryable ? (wire.retryAfterMs === undefined ? "yes" : "yes, `retryAfterMs` says when") : "",
    Object.keys(wire.details ?? {})
      .filter((key) => key !== "code")
      .map(code)
      .join(", "),
    doc
  ]

  const errors = Object.keys(ErrorMap.errorMap).flatMap((tag) =>
    anyErrors(tag).map((error) => errorRow(ErrorMap.errorMap[tag](error, 4), comments.of(tag)))
  )
  const others = [
    [ErrorMap.connectFirst, "connectFirst"],
    [ErrorMap.protocolMismatch(4), "protocolMismatch"],
    [ErrorMap.internal, "internal"],
    [ErrorMap.runFailed("{runId}", "{summary}"), "runFailed"]
  ].map(([wire, name]) => errorRow(wire, comments.of(name)))

  return `${generated}

# Protocol reference

The methods, events and errors of this gateway: what \`hello-ok.features\` lists. Text frames over one WebSocket, one JSON
object each. Unknown fields of parameters are ignored. A field that is not required is left out, never \`null\`.

## Frames

### Request

${comments.of("RequestFrame")}

${fields(Frame.RequestFrame)}

### Response

${comments.of("ResponseFrame")}

${fields(Frame.ResponseFrame)}

### Event

${comments.of("EventFrame")}

${fields(Frame.EventFrame)}

## The handshake

The gateway sends \`connect.challenge\`; the client's first request is \`connect\`, answered with \`hello-ok\`.

### ${code("connect")}

${object("Parameters", Method.connect.params)}

${object("Result", Method.connect.result)}

A connection may ask with \`caps\` for: ${Event.capabilities.map(code).join(", ")}.

## Methods

${methods.join("\n\n")}

## Events

${events.join("\n\n")}

## Errors

\`error.code\` is one that every client knows; \`error.details.code\` says exactly what it is. On version 3, \`FORBIDDEN\` is sent as
\`INVALID_REQUEST\`.

${table(["`details.code`", "`code`", "message", "try again?", "more in `details`", "meaning"], [...errors, ...others])}
`
}
