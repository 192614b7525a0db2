/** Which of the known names somebody may have meant. */
import { Option } from "effect"

/** The most alike one, if it is alike at all. Case, hyphens and underscores don't count. */
export const nearest = (name: string, known: ReadonlyArray<string>): Option.Option<string> => {
  const wanted = plain(name)
  let best: { readonly candidate: string; readonly distance: number } | undefined
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate))
    if (best === undefined || distance < best.distance) best = { candidate, distance }
  }
  return best !== undefined && best.distance <= Math.max(2, wanted.length / 3)
    ? Option.some(best.candidate)
    : Option.none()
}

const plain = (name: string): string =>
  name
    .replaceAll(/[-_\s]/g, "")
    .toLowerCase()
    .slice(0, 64)

/** Letters to insert, remove or replace (Levenshtein), row by row. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, at(row, j) + 1, at(next, j - 1) + 1))
    }
    row = next
  }
  return at(row, b.length)
}

const at = (row: ReadonlyArray<number>, index: number): number => row[index] ?? Number.POSITIVE_INFINITY
