/** Room: the session of a chat, and what can be done there. Both faces of `colloquy chat` have one. */
import type { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"
import type * as Client from "../../client/Client.js"
import type { Run } from "../../client/Run.js"
import * as OwnSession from "../../client/OwnSession.js"
import * as Ids from "../../domain/Ids.js"
import type { AttachmentParam } from "../../protocol/Chat.js"
import type * as Connect from "../../protocol/Connect.js"
import { type CliError, failed } from "../CliError.js"
import * as Input from "../Input.js"
import * as Output from "../Output.js"
import * as Remote from "../Remote.js"
import * as SameSession from "../SameSession.js"
import * as Messages from "../sessions/Messages.js"
import * as SessionTable from "../sessions/SessionTable.js"
import { visible } from "../Visible.js"
import { commands } from "./Command.js"

/** Sessions in a list. */
const listed = 20

type Answered = Effect.Effect<string, CliError>

export class Room {
  readonly #client: Client.ClientShape
  readonly #target: Remote.Target
  #sessionKey: string | undefined
  #isHere: (key: string) => boolean = () => false
  #images: ReadonlyArray<AttachmentParam> = []
  /** The keys of the list that was shown last. */
  #listed: ReadonlyArray<string> = []

  /** `sessionKey`: undefined is the one to begin in. */
  constructor(client: Client.ClientShape, target: Remote.Target, sessionKey: string | undefined) {
    this.#client = client
    this.#target = target
    this.#sessionKey = sessionKey
  }

  /** `main` until it is entered. */
  get sessionKey(): string {
    return this.#sessionKey ?? "main"
  }

  /** Does a key name this session? */
  isHere(key: string): boolean {
    return this.#isHere(key)
  }

  /** Images that go with the next message. */
  get images(): number {
    return this.#images.length
  }

  /** Where one is, and what one can do. */
  get welcome(): Effect.Effect<string, CliError> {
    return Effect.zipRight(
      this.#enter(this.#sessionKey),
      Effect.sync(
        () => `Session ${visible(this.sessionKey)} at ${this.#target.url}. /help shows what there is.`
      )
    )
  }

  get help(): string {
    const width = Math.max(...commands.map(([usage]) => usage.length))
    return commands.map(([usage, description]) => `${usage.padEnd(width)}  ${description}`).join("\n")
  }

  /** Sends, with the images that wait. */
  send(text: string): Effect.Effect<Run, CliError> {
    return Effect.suspend(() => {
      const attachments = this.#images
      this.#images = []
      return this.#client
        .send({
          sessionKey: this.sessionKey,
          message: text,
          ...(attachments.length === 0 ? {} : { attachments })
        })
        .pipe(
          Effect.mapError(({ max }) => failed(`${max} messages wait for the gateway; no more are taken.`))
        )
    })
  }

  get sessions(): Answered {
    return this.#ask(
      this.#client.call("sessions.list", {
        limit: listed,
        includeDerivedTitles: true,
        includeLastMessage: true
      })
    ).pipe(
      Effect.map((list) => {
        this.#listed = list.sessions.map(({ key }) => key)
        const rows = SessionTable.table(list, process.stdout.columns && process.stdout.columns - 4).split(
          "\n"
        )
        return rows
          .map(
            (row, index) => `${index < list.sessions.length ? String(index + 1).padStart(2) : "  "}  ${row}`
          )
          .join("\n")
      })
    )
  }

  /** To a session by its key, or its number in the list that was shown last. */
  goTo(keyOrNumber: string): Answered {
    const key = /^\d+$/.test(keyOrNumber) ? this.#listed[Number(keyOrNumber) - 1] : undefined
    return Effect.flatMap(this.#enter(key ?? keyOrNumber), () =>
      Effect.map(this.history(4), (messages) =>
        [messages, Output.dim(`-- session ${visible(this.sessionKey)}`)]
          .filter((part) => part !== "")
          .join("\n\n")
      )
    )
  }

  begin(name: string | undefined): Answered {
    return Effect.flatMap(
      name === undefined ? Effect.map(Ids.uuid, (id) => `chat-${id.slice(0, 8)}`) : Effect.succeed(name),
      (wanted) =>
        Effect.map(
          // Whoever may not use all sessions gets one of that name among its own.
          this.#enterAs((hello) => {
            const key = OwnSession.named(hello, wanted)
            return key === `agent:${hello.snapshot.sessionDefaults.defaultAgentId}:${wanted}` ? wanted : key
          }),
          () => Output.dim(`-- session ${visible(this.sessionKey)}`)
        )
    )
  }

  /** The newest messages; `""`: there are none. */
  history(count: number): Answered {
    return Effect.suspend(() =>
      this.#ask(
        this.#client.call("chat.history", { sessionKey: this.sessionKey, limit: Math.min(count, 1000) })
      )
    ).pipe(Effect.map(({ messages }) => (messages.length === 0 ? "" : Messages.page(messages))))
  }

  /** What was asked with a run, as far as the newest messages have it. */
  question(runId: string): Answered {
    return Effect.map(
      this.#ask(this.#client.call("chat.history", { sessionKey: this.sessionKey, limit: 20 })),
      ({ messages }) =>
        Messages.page(messages.filter(({ role, runId: id }) => role === "user" && id === runId))
    )
  }

  attach(file: string): Effect.Effect<string, CliError, FileSystem.FileSystem | Path.Path> {
    return Effect.map(Input.image(file), (image) => {
      this.#images = [...this.#images, image]
      const { length } = this.#images
      return Output.dim(`-- ${length} image${length === 1 ? "" : "s"} with the next message`)
    })
  }

  /** Aborts all runs of the session. */
  get stop(): Answered {
    return Effect.map(
      this.#ask(this.#client.call("chat.abort", { sessionKey: this.sessionKey })),
      ({ aborted }) => (aborted ? "" : Output.dim("-- nothing was running"))
    )
  }

  answer(id: string, optionId: string): Answered {
    return Effect.as(this.#ask(this.#client.call("permission.resolve", { id, optionId })), "")
  }

  #enter(key: string | undefined): Effect.Effect<void, CliError> {
    return this.#enterAs((hello) => {
      if (key !== undefined) return key
      const home = OwnSession.home(hello)
      return home === hello.snapshot.sessionDefaults.mainSessionKey ? "main" : home
    })
  }

  #enterAs(keyOf: (hello: Connect.HelloOk) => string): Effect.Effect<void, CliError> {
    return Effect.map(this.#ask(this.#client.open), (hello) => {
      const key = keyOf(hello)
      this.#sessionKey = key
      this.#isHere = SameSession.as(key, hello)
    })
  }

  #ask<A>(asked: Effect.Effect<A, Client.CallError>): Effect.Effect<A, CliError> {
    return Effect.mapError(asked, Remote.explain(this.#target))
  }
}
