/** Markdown: a text in blocks; of a growing one, only the blocks that change are drawn again. */
import { memo } from "preact/compat"
import { useMemo } from "preact/hooks"
import { blocksOf } from "../state/Blocks.js"
import { CodeBlock } from "./CodeBlock.js"
import { render } from "./Markup.js"

const HtmlBlock = memo(({ definitions, raw }: { readonly raw: string; readonly definitions: string }) => (
  // Sanitised by `render`.
  <div class="block" dangerouslySetInnerHTML={{ __html: render(raw, definitions) }} />
))

const Code = memo(CodeBlock)

export const Markdown = ({ text }: { readonly text: string }) => {
  const { blocks, definitions } = useMemo(() => blocksOf(text), [text])
  return (
    <div class="markdown">
      {blocks.map((block) =>
        block.kind === "code" ? (
          <Code key={block.key} code={block.code} language={block.language} isClosed={block.isClosed} />
        ) : (
          <HtmlBlock key={block.key} raw={block.raw} definitions={definitions} />
        )
      )}
    </div>
  )
}
