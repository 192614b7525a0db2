/** App: from the login to the desk. */
import { useEffect, useState } from "preact/hooks"
import { connect } from "../connection/Connection.js"
import { carriedBy, redeem, socketUrl } from "../connection/Login.js"
import { Desk } from "../state/Desk.js"
import { Memory } from "../state/Memory.js"
import { messageOf } from "../state/Wording.js"
import { DeskContext } from "./Context.js"
import { DeskView } from "./DeskView.js"
import { Login } from "./Login.js"

/** Storage that is forbidden throws when it is named. */
const storage = (name: "sessionStorage" | "localStorage") => {
  const kept = new Map<string, string>()
  try {
    return window[name]
  } catch {
    return {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key)
    }
  }
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
const newName = (): string =>
  [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => letters[byte % letters.length]).join("")

const tab = storage("sessionStorage")
const memory = new Memory(tab, storage("localStorage"))

const open = (token: string | undefined): Desk => {
  const desk = new Desk({
    gateway: connect({
      url: socketUrl(location.href),
      token,
      storage: tab,
      platform: navigator.platform || "web"
    }),
    memory,
    now: Date.now,
    newName
  })
  desk.isLookedAt = () => document.visibilityState === "visible"
  return desk
}

/** What the link brings is taken out of the address bar at once: that is copied and looked at. */
const takeCarried = () => {
  const carried = carriedBy(location.hash)
  if (carried !== undefined) history.replaceState(null, "", location.pathname + location.search)
  return carried
}

export const App = () => {
  const [desk, setDesk] = useState<Desk>()
  const [problem, setProblem] = useState<string>()

  const enter = (token: string | undefined): void => {
    memory.keepToken(token)
    setProblem(undefined)
    setDesk((before) => {
      before?.close()
      return open(token)
    })
  }
  useEffect(() => {
    document.documentElement.dataset["theme"] = memory.theme()
    const begin = (): void => {
      const carried = takeCarried()
      if (carried === undefined) return
      if ("token" in carried) return enter(carried.token)
      redeem(carried.code, (path, body) =>
        fetch(path, { method: "POST", body, headers: { "content-type": "application/json" } })
      ).then(enter, (error: unknown) => {
        enter(undefined)
        setProblem(messageOf(error))
      })
    }
    const hasLink = location.hash.length > 1 && carriedBy(location.hash) !== undefined
    if (hasLink) begin()
    else enter(memory.token())
    // A link that is opened in a tab that shows the page already.
    addEventListener("hashchange", begin)
    return () => removeEventListener("hashchange", begin)
  }, [])

  if (desk === undefined) return <Waiting />
  const status = desk.gateway.status.value
  if (status._tag === "Refused") {
    return (
      <Login
        problem={
          problem ?? (memory.token() === undefined ? undefined : `Not let in: ${status.error.message}`)
        }
        onToken={enter}
      />
    )
  }
  return (
    <DeskContext.Provider value={desk}>
      {desk.hello.value === undefined ? (
        <Waiting desk={desk} />
      ) : (
        <DeskView onLeave={() => enter(undefined)} />
      )}
    </DeskContext.Provider>
  )
}

/** Before the first connection. */
const Waiting = ({ desk }: { readonly desk?: Desk }) => {
  const status = desk?.gateway.status.value
  return (
    <main class="lonely" aria-busy="true">
      <span class="spinner" />
      <p role="status">
        {status?._tag === "Waiting"
          ? `The gateway can't be reached (${status.reason}). Trying again…`
          : "Connecting…"}
      </p>
      {status?._tag === "Waiting" && (
        <button type="button" class="plain" onClick={() => desk?.gateway.reconnect()}>
          Try now
        </button>
      )}
    </main>
  )
}
