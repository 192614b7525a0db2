/** DeskView: the whole page behind the login. */
import { useEffect, useState } from "preact/hooks"
import { nameOfKey, titleOf } from "../state/Wording.js"
import { ConnectionBar } from "./ConnectionBar.js"
import { useDesk } from "./Context.js"
import { ConversationView } from "./ConversationView.js"
import { CloseIcon } from "./Icons.js"
import { Operators } from "./Operators.js"
import { Sidebar } from "./Sidebar.js"

export const DeskView = ({ onLeave }: { readonly onLeave: () => void }) => {
  const desk = useDesk()
  const [isDrawerOpen, setDrawer] = useState(false)
  const conversation = desk.current.value
  const row = conversation === undefined ? undefined : desk.sessions.row(conversation.key)
  const title =
    conversation === undefined ? "" : row === undefined ? nameOfKey(conversation.key) : titleOf(row)
  const notice = desk.notice.value

  useEffect(() => {
    document.title = title === "" ? "Colloquy" : `${title} · Colloquy`
  }, [title])
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault()
        setDrawer(true)
        // The field may be in the drawer, which opens first.
        requestAnimationFrame(() => document.getElementById("search")?.focus())
        return
      }
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]") !== null)
        return
      if (isDrawerOpen && matchMedia("(max-width: 48rem)").matches) return setDrawer(false)
      const current = desk.current.value
      if (desk.view.value === "chat" && current?.isBusy.value === true) {
        event.preventDefault()
        desk.attempt(current.stop())
      }
    }
    const onVisible = (): void => {
      const key = desk.current.value?.key
      if (key !== undefined && document.visibilityState === "visible") desk.sessions.see(key)
    }
    addEventListener("keydown", onKey)
    document.addEventListener("visibilitychange", onVisible)
    return () => {
      removeEventListener("keydown", onKey)
      document.removeEventListener("visibilitychange", onVisible)
    }
  }, [isDrawerOpen])
  useEffect(() => {
    if (notice === undefined) return
    const timer = setTimeout(() => {
      desk.notice.value = undefined
    }, 8000)
    return () => clearTimeout(timer)
  }, [notice])

  return (
    <div class={isDrawerOpen ? "desk drawn" : "desk"}>
      <a class="skip" href="#main">
        To the conversation
      </a>
      <Sidebar onChosen={() => setDrawer(false)} onLeave={onLeave} />
      <div class="veil" onClick={() => setDrawer(false)} />
      <main id="main" tabIndex={-1}>
        <ConnectionBar />
        {desk.view.value === "operators" ? (
          <Operators onMenu={() => setDrawer(true)} />
        ) : (
          conversation !== undefined && (
            <ConversationView
              key={conversation.key}
              conversation={conversation}
              title={title}
              onMenu={() => setDrawer(true)}
            />
          )
        )}
      </main>
      <div class="notices" role="alert">
        {notice !== undefined && (
          <p class="notice">
            <span>{notice}</span>
            <button
              type="button"
              class="quiet"
              aria-label="Dismiss"
              onClick={() => {
                desk.notice.value = undefined
              }}
            >
              <CloseIcon />
            </button>
          </p>
        )}
      </div>
    </div>
  )
}
