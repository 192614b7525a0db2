/** One connection to a gateway that may die at any moment. */
import { Deferred, Effect, Exit, FiberId, Option } from "effect"
import { WebSocket } from "ws"

type Fields = Readonly<Record<string, unknown>>

/** A response. */
export interface Reply {
  readonly ok: boolean
  readonly payload: Fields | undefined
  /** The error's code. */
  readonly code: string | undefined
  readonly message: string | undefined
}

export interface Event {
  readonly event: string
  readonly payload: Fields
  readonly seq: unknown
}

export interface Socket {
  /** None: the connection was lost before the answer. `onReply` sees it before any frame behind it is read. */
  readonly request: (
    method: string,
    params: Fields,
    onReply?: (reply: Reply) => void
  ) => Effect.Effect<Option.Option<Reply>>
  readonly closed: Effect.Effect<void>
  readonly isOpen: () => boolean
  /** The requests that wait for their answers. */
  readonly waiting: () => ReadonlyArray<string>
  readonly cut: () => void
}

/** None: nobody is there. Events are handed over in the order in which they are read, also behind the last answer. */
export const open = (url: string, onEvent: (event: Event) => void): Effect.Effect<Option.Option<Socket>> =>
  Effect.async((resume) => {
    const webSocket = new WebSocket(url, { perMessageDeflate: false })
    const waiting = new Map<
      string,
      { readonly request: string; readonly settle: (reply: Option.Option<Reply>) => void }
    >()
    const closed = Deferred.unsafeMake<void>(FiberId.none)
    let isOpen = true
    let ids = 0

    const settle = (id: string, reply: Option.Option<Reply>): void => {
      const waiter = waiting.get(id)
      waiting.delete(id)
      waiter?.settle(reply)
    }
    webSocket.on("message", (data) => {
      const frame = fields(JSON.parse(Buffer.isBuffer(data) ? data.toString("utf8") : String(data)))
      if (frame["type"] === "res") settle(String(frame["id"]), Option.some(replyOf(frame)))
      else onEvent({ event: String(frame["event"]), payload: fields(frame["payload"]), seq: frame["seq"] })
    })
    webSocket.on("error", () => undefined) // `close` comes behind it
    webSocket.on("close", () => {
      isOpen = false
      for (const id of [...waiting.keys()]) settle(id, Option.none())
      Deferred.unsafeDone(closed, Exit.void)
      resume(Effect.succeedNone)
    })
    webSocket.once("open", () =>
      resume(
        Effect.succeedSome({
          request: (method, params, onReply) =>
            Effect.suspend(() => {
              if (!isOpen) return Effect.succeedNone
              const id = String(++ids)
              const answer = Deferred.unsafeMake<Option.Option<Reply>>(FiberId.none)
              const request = JSON.stringify({ type: "req", id, method, params })
              waiting.set(id, {
                request,
                settle: (reply) => {
                  if (Option.isSome(reply)) onReply?.(reply.value)
                  Deferred.unsafeDone(answer, Exit.succeed(reply))
                }
              })
              webSocket.send(request, () => undefined)
              return Deferred.await(answer)
            }),
          closed: Deferred.await(closed),
          isOpen: () => isOpen,
          waiting: () => [...waiting.values()].map(({ request }) => request),
          cut: () => webSocket.terminate()
        })
      )
    )
    return Effect.sync(() => webSocket.terminate())
  })

const replyOf = (frame: Fields): Reply => {
  const error = fields(frame["error"])
  return {
    ok: frame["ok"] === true,
    payload: frame["payload"] === undefined ? undefined : fields(frame["payload"]),
    code: textOrNone(error["code"]),
    message: textOrNone(error["message"])
  }
}

const textOrNone = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** The fields of a JSON object; none of anything else. */
export const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}
