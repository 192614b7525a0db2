/** Blocks: markdown cut into its blocks, so that of a growing answer only the last one is drawn again. */
import { marked, type Token, type Tokens } from "marked"

export type Block =
  | { readonly kind: "html"; readonly key: number; readonly raw: string }
  | {
      readonly kind: "code"
      readonly key: number
      readonly language: string
      readonly code: string
      /** Has its end come? */
      readonly isClosed: boolean
    }

const isCode = (token: Token): token is Tokens.Code => token.type === "code"
const isFenced = (raw: string): boolean => /^ {0,3}(`{3,}|~{3,})/.test(raw)
const isClosed = (raw: string): boolean =>
  !isFenced(raw) || /\n {0,3}(`{3,}|~{3,})[ \t]*\n*$/.test(raw)

/** The blocks of a text, in order. References to links that are defined elsewhere in the text are resolved by `render`. */
export const blocksOf = (text: string): ReadonlyArray<Block> =>
  marked
    .lexer(text, { gfm: true })
    .filter(({ type }) => type !== "space")
    .map((token, key) =>
      isCode(token)
        ? {
            kind: "code",
            key,
            language: (token.lang ?? "").split(/\s/)[0] ?? "",
            code: token.text,
            isClosed: isClosed(token.raw)
          }
        : { kind: "html", key, raw: token.raw }
    )

/** The link definitions of a text, which belong to every block. */
export const definitionsOf = (text: string): string => {
  const { links } = marked.lexer(text, { gfm: true })
  return Object.entries(links)
    .map(([name, { href }]) => `[${name}]: <${href ?? ""}>`)
    .join("\n")
}
