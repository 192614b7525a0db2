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
const isClosed = (raw: string): boolean => !isFenced(raw) || /\n {0,3}(`{3,}|~{3,})[ \t]*\n*$/.test(raw)

export interface Blocks {
  readonly blocks: ReadonlyArray<Block>
  /** The link definitions of the text, as markdown: every block may refer to them. */
  readonly definitions: string
}

/** The blocks of a text, in order. */
export const blocksOf = (text: string): Blocks => {
  const tokens = marked.lexer(text, { gfm: true })
  return {
    blocks: tokens
      .filter(({ type }) => type !== "space" && type !== "def")
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
      ),
    definitions: Object.entries(tokens.links)
      .map(([name, { href }]) => `[${name}]: <${href ?? ""}>`)
      .join("\n")
  }
}
