/** Dialog: the browser's own, modal: it keeps the focus, closes with Esc and gives the focus back. */
import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { CloseIcon } from "./Icons.js"

export interface DialogProps {
  readonly label: string
  readonly kind?: "lightbox" | "box"
  readonly onClose: () => void
  readonly children: ComponentChildren
}

export const Dialog = ({ children, kind = "box", label, onClose }: DialogProps) => {
  const ref = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement
    ref.current?.showModal()
    return () => {
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      class={kind}
      aria-label={label}
      onClose={onClose}
      // Beside it is the dialog itself: what is in it covers it.
      onClick={(event) => {
        if (event.target === ref.current) ref.current?.close()
      }}
    >
      <div class="inside">
        <button type="button" class="quiet close" aria-label="Close" onClick={() => ref.current?.close()}>
          <CloseIcon />
        </button>
        {children}
      </div>
    </dialog>
  )
}

export interface ConfirmProps {
  readonly title: string
  readonly text: string
  readonly action: string
  readonly onConfirm: () => void
  readonly onClose: () => void
}

/** Asks before something is lost. */
export const Confirm = ({ action, onClose, onConfirm, text, title }: ConfirmProps) => (
  <Dialog label={title} onClose={onClose}>
    <h2>{title}</h2>
    <p>{text}</p>
    <div class="buttons">
      <button type="button" class="plain" onClick={onClose}>
        Cancel
      </button>
      <button
        type="button"
        class="danger"
        onClick={() => {
          onConfirm()
          onClose()
        }}
      >
        {action}
      </button>
    </div>
  </Dialog>
)
