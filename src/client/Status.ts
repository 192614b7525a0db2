/** How a client stands with its gateway. */
import type * as Connect from "../protocol/Connect.js"
import type { WireError } from "../protocol/Frame.js"

export type Status =
  | {
      readonly _tag: "Connecting"
      /** From 1; begins anew behind each connection. */
      readonly attempt: number
    }
  | { readonly _tag: "Open"; readonly hello: Connect.HelloOk }
  | {
      readonly _tag: "Waiting"
      readonly attempt: number
      /** When it is tried again, in milliseconds since the Unix epoch. */
      readonly retryAt: number
      /** Why there is no connection, in a few words. */
      readonly reason: string
    }
  /** The gateway does not let it in; it is not tried again. */
  | { readonly _tag: "Refused"; readonly error: WireError }
  | { readonly _tag: "Closed" }

/** Nothing follows. */
export const isOver = ({ _tag }: Status): boolean => _tag === "Refused" || _tag === "Closed"
