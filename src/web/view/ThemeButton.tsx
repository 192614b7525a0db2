/** ThemeButton: as the system has it, light, dark, and round again. */
import { useState } from "preact/hooks"
import type { Theme } from "../state/Memory.js"
import { useDesk } from "./Context.js"
import { ThemeIcon } from "./Icons.js"

const next: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" }
const words: Readonly<Record<Theme, string>> = {
  system: "as the system has it",
  light: "light",
  dark: "dark"
}

export const ThemeButton = () => {
  const { memory } = useDesk()
  const [theme, setTheme] = useState(memory.theme())
  const label = `Colours: ${words[theme]}`
  return (
    <button
      type="button"
      class="quiet"
      aria-label={label}
      title={label}
      onClick={() => {
        const chosen = next[theme]
        memory.keepTheme(chosen)
        document.documentElement.dataset["theme"] = chosen
        setTheme(chosen)
      }}
    >
      <ThemeIcon />
    </button>
  )
}
