/** `colloquy sessions list|show|reset|delete`. */
import { Effect, Option } from "effect"
import { failed } from "../CliError.js"
import * as Confirm from "../Confirm.js"
import * as Count from "../Count.js"
import * as Output from "../Output.js"
import * as Remote from "../Remote.js"
import type * as Settings from "../Settings.js"
import { visible } from "../Visible.js"
import * as Messages from "./Messages.js"
import * as SessionTable from "./SessionTable.js"

interface Where {
  readonly url: Option.Option<string>
}
interface Which extends Where {
  readonly key: string
}

export const list = (
  request: Where & {
    readonly search: Option.Option<string>
    readonly limit: Option.Option<string>
    readonly json: boolean
  },
  flags: Settings.Flags
) =>
  Effect.gen(function* () {
    const limit = yield* Count.parse("--limit", request.limit, 50)
    return yield* Remote.ask(request.url, flags, ["operator.read"], (client) =>
      Effect.gen(function* () {
        const result = yield* client.call("sessions.list", {
          limit,
          includeDerivedTitles: true,
          includeLastMessage: true,
          includeGlobal: true,
          includeUnknown: true,
          ...(Option.isSome(request.search) ? { search: request.search.value } : {})
        })
        yield* request.json
          ? Output.printJson(result)
          : Output.printLine(SessionTable.table(result, process.stdout.columns))
      })
    )
  })

export const show = (
  request: Which & { readonly limit: Option.Option<string>; readonly json: boolean },
  flags: Settings.Flags
) =>
  Effect.gen(function* () {
    const limit = yield* Count.parse("--limit", request.limit, 20)
    return yield* Remote.ask(request.url, flags, ["operator.read"], (client) =>
      Effect.gen(function* () {
        const { hasMore, messages, sessionId } = yield* client.call("chat.history", {
          sessionKey: request.key,
          limit: Math.min(limit, 1000)
        })
        if (request.json) return yield* Output.printJson(messages)
        if (sessionId === undefined) return yield* failed(`there is no session ${visible(request.key)}.`)
        if (hasMore) yield* Output.printLine(Output.dim(`-- older messages: --limit ${2 * limit}`))
        yield* Output.printLine(
          messages.length === 0 ? Output.dim("-- no messages yet") : Messages.page(messages)
        )
      })
    )
  })

export const reset = (request: Which & { readonly yes: boolean }, flags: Settings.Flags) =>
  Effect.zipRight(
    Confirm.confirm(
      `Have session ${visible(request.key)} begin anew? Its messages are put aside.`,
      request.yes
    ),
    Remote.ask(request.url, flags, ["operator.read", "operator.write"], (client) =>
      Effect.flatMap(client.call("sessions.reset", { key: request.key }), ({ key }) =>
        Output.printLine(`${visible(key)} begins anew.`)
      )
    )
  )

export const remove = (request: Which & { readonly yes: boolean }, flags: Settings.Flags) =>
  Effect.zipRight(
    Confirm.confirm(`Delete session ${visible(request.key)}? Its transcript is put aside.`, request.yes),
    Remote.ask(request.url, flags, ["operator.read", "operator.write"], (client) =>
      Effect.flatMap(client.call("sessions.delete", { key: request.key }), ({ archived, deleted, key }) =>
        deleted
          ? Output.printLine(
              [
                `Deleted ${visible(key)}.`,
                ...archived.map((name) => `Its transcript is now ${visible(name)}.`)
              ].join(" ")
            )
          : failed(`there is no session ${visible(request.key)}.`)
      )
    )
  )
