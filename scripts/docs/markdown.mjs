/** Pieces of Markdown. */

/** A text as one cell of a table. */
const cell = (text) => String(text).replaceAll("|", "\\|").replaceAll(/\s+/g, " ").trim()

export const table = (head, rows) =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")

export const code = (text) => `\`${text}\``

/** First line of every page. */
export const generated = "<!-- Made from the code by `npm run docs`. Change the code, not this page. -->"
