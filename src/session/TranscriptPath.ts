/** TranscriptPath: which files an entry may name. */
import type { Path } from "@effect/platform"
import { Either } from "effect"

/**
 * Resolves an entry's `sessionFile` against the state directory. Right: the path from there, of a `.jsonl` file inside
 * it, with no hidden part. Left: why it is refused. Symbolic links are the driver's to look at.
 */
export const resolve = (
  path: Path.Path,
  stateDir: string,
  sessionFile: string
): Either.Either<string, string> => {
  if (controlPattern.test(sessionFile)) return Either.left("sessionFile has control characters")
  const relative = path.relative(stateDir, path.resolve(stateDir, sessionFile))
  const parts = relative.split(/[/\\]/)
  // A hidden part also stands for "..".
  if (path.isAbsolute(relative) || parts.some((part) => part === "" || part.startsWith("."))) {
    return Either.left("sessionFile is outside the state directory")
  }
  if (!relative.endsWith(".jsonl")) return Either.left("sessionFile is not a .jsonl file")
  return Either.right(relative)
}

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const controlPattern = /[\u0000-\u001f\u007f]/
