/** The system's code (`ENOENT`) in an error of Node's, or in what wraps one. */
export const of = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "UNKNOWN"
  if ("code" in error && typeof error.code === "string") return error.code
  return "cause" in error ? of(error.cause) : "UNKNOWN"
}
