/** ConnectionBar: says when there is no connection, and when it is tried again. */
import { useEffect, useState } from "preact/hooks"
import { useDesk } from "./Context.js"

export const ConnectionBar = () => {
  const desk = useDesk()
  const status = desk.gateway.status.value
  const [now, setNow] = useState(desk.now())
  const isWaiting = status._tag === "Waiting"
  useEffect(() => {
    if (!isWaiting) return
    setNow(desk.now())
    const timer = setInterval(() => setNow(desk.now()), 500)
    return () => clearInterval(timer)
  }, [status])
  const seconds = isWaiting ? Math.max(0, Math.ceil((status.retryAt - now) / 1000)) : 0
  return (
    <div class="connection" data-state={status._tag} role="status">
      {isWaiting && (
        <>
          <span>
            No connection <span class="reason">({status.reason})</span>.{" "}
            {/* Counted down for the eye only: it would be read out every second. */}
            <span aria-hidden="true">
              {seconds === 0 ? "Trying again…" : `Trying again in ${seconds} s.`}
            </span>
          </span>
          <button type="button" class="plain small" onClick={() => desk.gateway.reconnect()}>
            Now
          </button>
        </>
      )}
      {status._tag === "Connecting" && <span>Connecting again…</span>}
    </div>
  )
}
