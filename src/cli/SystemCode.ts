/** What the system said. */
import type { Error as PlatformErrors } from "@effect/platform"

/** The system's code (`EACCES`) where there is one. */
export const codeOf = (error: PlatformErrors.PlatformError): string => {
  const { cause } = error
  if (typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string")
    return cause.code
  return error._tag === "SystemError" ? error.reason : error.message
}
