/**
 * JsonFields: the fields of a JSON object as slices of its text. What is not touched is written back letter by letter:
 * the order of fields (also of those that look like numbers), long numbers, and a field named `__proto__`.
 */
import { Option } from "effect"

/** A field's name and the text of its value. */
export interface JsonField {
  readonly name: string
  readonly text: string
}

/** Is it an object, and neither null nor an array? */
export const isRecord = (value: unknown): value is { readonly [field: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Parses a JSON text; none when it is not one. */
export const parse = (text: string): Option.Option<unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    return Option.some(value)
  } catch {
    return Option.none()
  }
}

/**
 * Splits the text of a JSON object into its fields, in their order. The text must be valid JSON, or the beginning of
 * such a text: then the last field's text is what there is of it. A text that is not an object has no fields.
 */
export const split = (text: string): ReadonlyArray<JsonField> => {
  const fields: Array<JsonField> = []
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== openBrace) return fields
  at = skipSpace(text, at + 1)
  while (text.charCodeAt(at) === quote) {
    const nameEnd = skipString(text, at)
    const name = parse(text.slice(at, nameEnd))
    at = skipSpace(text, nameEnd)
    if (Option.isNone(name) || typeof name.value !== "string" || text.charCodeAt(at) !== colon) return fields
    const start = skipSpace(text, at + 1)
    at = skipValue(text, start)
    fields.push({ name: name.value, text: text.slice(start, at) })
    at = skipSpace(text, at)
    if (text.charCodeAt(at) !== comma) return fields
    at = skipSpace(text, at + 1)
  }
  return fields
}

/** Sets fields of the object in `text`; new ones come last. Values are JSON texts. */
export const set = (text: string, values: ReadonlyArray<JsonField>): string => {
  const fields = split(text)
  const known = new Set(fields.map((field) => field.name))
  const replaced = fields.map((field) => values.find((value) => value.name === field.name) ?? field)
  return join([...replaced, ...values.filter((value) => !known.has(value.name))])
}

/** Takes fields of the object in `text` away. */
export const without = (text: string, names: ReadonlySet<string>): string =>
  join(split(text).filter(({ name }) => !names.has(name)))

/** The text of an object with these fields. */
export const join = (fields: ReadonlyArray<JsonField>): string =>
  `{${fields.map((field) => `${JSON.stringify(field.name)}:${field.text}`).join(",")}}`

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const skipSpace = (text: string, from: number): number => {
  let at = from
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** From an opening quote to behind the closing one. */
const skipString = (text: string, from: number): number => {
  let end = from
  for (;;) {
    end = text.indexOf('"', end + 1)
    if (end < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return end + 1
  }
}

/** From a value's first character to behind its last one. Not recursive: a foreign file may be nested deeply. */
const skipValue = (text: string, from: number): number => {
  let depth = 0
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = skipString(text, at)
      if (depth === 0) return at
      continue
    }
    if (code === openBrace || code === openBracket) {
      depth++
    } else if (code === closeBrace || code === closeBracket) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (code === comma || isSpace(code))) {
      return at
    }
    at++
  }
  return at
}
