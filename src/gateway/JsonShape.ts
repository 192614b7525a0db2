/**
 * JsonShape: how deep a JSON text is and how many values it has, told before it is parsed. Reading half a megabyte of text is
 * quick; making 200,000 little objects of it is not, and nobody else is served meanwhile.
 */

export interface JsonLimits {
  /** Arrays and objects within each other. */
  readonly maxDepth: number
  /** Values, keys not counted. */
  readonly maxValues: number
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** What of the limits a text exceeds. Whether it is JSON at all is not looked at. */
export const excess = (text: string, { maxDepth, maxValues }: JsonLimits): string | undefined => {
  let depth = 0
  let values = 1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at)
        break
      case openBracket:
      case openBrace:
        depth += 1
        values += 1
        if (depth > maxDepth) return `nested deeper than ${maxDepth} levels`
        if (values > maxValues) return `more than ${maxValues} values`
        break
      case closeBracket:
      case closeBrace:
        depth -= 1
        break
      case comma:
        values += 1
        if (values > maxValues) return `more than ${maxValues} values`
        break
    }
  }
  return undefined
}

/** The index of the quote that ends the string which begins at `start`, or that of the text's end. */
const endOfString = (text: string, start: number): number => {
  const next = text.indexOf('"', start + 1)
  if (next < 0) return text.length
  // Nearly always. Where something is escaped, each character is looked at: to search on would be slower.
  if (text.charCodeAt(next - 1) !== backslash) return next
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === backslash) at += 1
  }
  return text.length
}

/**
 * The text of a member of the outermost object when that is a string, found without parsing the rest; of several members of
 * that name, the last one counts, as a parser has it.
 */
export const topLevelString = (text: string, key: string): string | undefined => {
  let found: string | undefined
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = endOfString(text, at)
        const value =
          depth === 1 && isKey(text.slice(at, end + 1), key) ? skip(text, end + 1, colon) : undefined
        at = end
        if (value === undefined) break
        found = undefined
        if (text.charCodeAt(value) !== quote) break
        at = endOfString(text, value)
        found = parseString(text.slice(value, at + 1))
        break
      }
      case openBracket:
      case openBrace:
        depth += 1
        break
      case closeBracket:
      case closeBrace:
        depth -= 1
        break
    }
  }
  return found
}

/** Each character of a key may be written as `\uXXXX`. */
const isKey = (member: string, key: string): boolean =>
  member.includes("\\")
    ? member.length <= 6 * key.length + 2 && parseString(member) === key
    : member.length === key.length + 2 && member.startsWith(key, 1)

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d

/** The index of what follows a character, with white space around it. */
const skip = (text: string, start: number, expected: number): number | undefined => {
  let at = start
  while (isSpace(text.charCodeAt(at))) at += 1
  if (text.charCodeAt(at) !== expected) return undefined
  at += 1
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

const parseString = (text: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "string" ? value : undefined
  } catch {
    return undefined
  }
}
