/** CodeBlock: code with its language, its colours and a button that copies it. */
import { useEffect, useState } from "preact/hooks"
import { CopyButton } from "./CopyButton.js"

export interface CodeBlockProps {
  readonly code: string
  /** As the text names it; may be empty. */
  readonly language: string
  /** While it still grows it is not coloured. */
  readonly isClosed: boolean
}

export const CodeBlock = ({ code, isClosed, language }: CodeBlockProps) => {
  const [html, setHtml] = useState<string>()
  useEffect(() => {
    if (!isClosed || language === "") return setHtml(undefined)
    let isWanted = true
    import("./Highlight.js").then(
      ({ highlight }) => {
        if (isWanted) setHtml(highlight(code, language.toLowerCase()))
      },
      () => undefined // plain code is readable, too
    )
    return () => {
      isWanted = false
    }
  }, [code, isClosed, language])
  return (
    <figure class="code">
      <figcaption>
        <span>{language === "" ? "text" : language}</span>
        <CopyButton text={code} label="Copy the code" />
      </figcaption>
      <pre tabIndex={0} aria-label={language === "" ? "Code" : `Code: ${language}`} role="region">
        {html === undefined ? (
          <code>{code}</code>
        ) : (
          // What is highlighted is escaped by the highlighter.
          <code dangerouslySetInnerHTML={{ __html: html }} />
        )}
      </pre>
    </figure>
  )
}
