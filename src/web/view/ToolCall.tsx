/** ToolCall: what an agent did with a tool, and what it thought, folded. */
import type { ToolPart } from "../../client/Transcript.js"
import { ChevronIcon, ToolIcon } from "./Icons.js"

/** Characters of a result that are shown. */
const longest = 20_000

const shown = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value, undefined, 2) ?? "")
  return text.length > longest
    ? `${text.slice(0, longest)}\n… (${text.length - longest} more characters)`
    : text
}

/** The first argument that says what it is about. */
const summaryOf = (args: unknown): string => {
  if (typeof args === "string") return args
  if (typeof args !== "object" || args === null) return ""
  const texts = Object.values(args).filter((value) => typeof value === "string")
  return texts[0] ?? ""
}

export const ToolCall = ({ tool }: { readonly tool: ToolPart }) => (
  <details class={tool.isError ? "fold failed" : "fold"}>
    <summary>
      <ChevronIcon />
      <ToolIcon />
      <strong>{tool.name}</strong>
      <span class="hint">{summaryOf(tool.args)}</span>
      {!tool.isDone && <span class="spinner" role="img" aria-label="under way" />}
      {tool.isError && <span class="tag">failed</span>}
    </summary>
    {tool.args !== undefined && (
      <pre tabIndex={0} role="region" aria-label="Arguments">
        {shown(tool.args)}
      </pre>
    )}
    {tool.result !== undefined && (
      <pre tabIndex={0} role="region" aria-label="Result">
        {shown(tool.result)}
      </pre>
    )}
  </details>
)

export const Thinking = ({ isOpen = false, text }: { readonly text: string; readonly isOpen?: boolean }) => (
  <details class="fold" open={isOpen}>
    <summary>
      <ChevronIcon />
      <strong>Thoughts</strong>
    </summary>
    <p class="thoughts">{text}</p>
  </details>
)
