/** Menu: a button that opens a few choices. Arrow keys walk through them, Esc closes. */
import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"

export interface MenuItem {
  readonly label: string
  readonly hint?: string
  readonly icon?: ComponentChildren
  readonly isDanger?: boolean
  readonly onChoose: () => void
}
export interface MenuProps {
  /** What it is for. */
  readonly label: string
  readonly icon: ComponentChildren
  readonly items: ReadonlyArray<MenuItem>
}

export const Menu = ({ icon, items, label }: MenuProps) => {
  const [isOpen, setOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const choices = (): ReadonlyArray<HTMLElement> => [
    ...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])
  ]
  useEffect(() => {
    if (!isOpen) return
    choices()[0]?.focus()
    const outside = (event: PointerEvent): void => {
      if (event.target instanceof Node && root.current?.contains(event.target) === false) setOpen(false)
    }
    addEventListener("pointerdown", outside)
    return () => removeEventListener("pointerdown", outside)
  }, [isOpen])
  const close = (): void => {
    setOpen(false)
    button.current?.focus()
  }
  return (
    <div
      class="menu"
      ref={root}
      onKeyDown={(event) => {
        if (!isOpen) return
        const all = choices()
        const at = all.findIndex((one) => one === document.activeElement)
        if (event.key === "Escape") close()
        else if (event.key === "ArrowDown") all[(at + 1) % all.length]?.focus()
        else if (event.key === "ArrowUp") all.at(at - 1)?.focus()
        else if (event.key === "Tab") return setOpen(false)
        else return
        event.preventDefault()
        event.stopPropagation()
      }}
    >
      <button
        ref={button}
        type="button"
        class="quiet"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {icon}
      </button>
      {isOpen && (
        <div role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={item.isDanger === true ? "danger" : undefined}
              onClick={() => {
                close()
                item.onChoose()
              }}
            >
              {item.icon}
              <span>{item.label}</span>
              {item.hint !== undefined && <small>{item.hint}</small>}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
