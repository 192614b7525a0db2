/** CopyButton: puts a text on the clipboard and says that it did. */
import { useEffect, useState } from "preact/hooks"
import { CheckIcon, CopyIcon } from "./Icons.js"

/** Without TLS browsers have no `navigator.clipboard`; an old way still works there. */
const copy = async (text: string): Promise<boolean> => {
  if (window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false
    )
  }
  const area = document.createElement("textarea")
  area.value = text
  area.className = "offscreen"
  document.body.append(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  return done
}

export interface CopyButtonProps {
  readonly text: string
  /** What it does, for people. */
  readonly label: string
}

export const CopyButton = ({ label, text }: CopyButtonProps) => {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), 2000)
    return () => clearTimeout(timer)
  }, [isCopied])
  return (
    <button
      type="button"
      class="quiet small"
      title={label}
      aria-label={isCopied ? "Copied" : label}
      onClick={() => void copy(text).then(setCopied)}
    >
      {isCopied ? <CheckIcon /> : <CopyIcon />}
      <span class="word">{isCopied ? "Copied" : "Copy"}</span>
    </button>
  )
}
