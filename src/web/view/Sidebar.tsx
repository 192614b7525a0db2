/** Sidebar: the sessions, and what belongs to the whole page. */
import { useDesk } from "./Context.js"
import { LeaveIcon, PlusIcon, PulseIcon, SearchIcon } from "./Icons.js"
import { Logo } from "./Logo.js"
import { Menu } from "./Menu.js"
import { SessionItem } from "./SessionItem.js"
import { ThemeButton } from "./ThemeButton.js"

export interface SidebarProps {
  /** Something was chosen: on a phone, the drawer may close. */
  readonly onChosen: () => void
  readonly onLeave: () => void
}

/** Arrow keys walk through the list. */
const walk = (event: KeyboardEvent & { readonly currentTarget: HTMLElement }): void => {
  const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 }
  const step = steps[event.key]
  if (step === undefined && event.key !== "Home" && event.key !== "End") return
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>(".session")]
  const at = items.findIndex((item) => item === document.activeElement)
  const next = step === undefined ? items.at(event.key === "Home" ? 0 : -1) : items[at + step]
  if (next === undefined) return
  event.preventDefault()
  next.focus()
}

export const Sidebar = ({ onChosen, onLeave }: SidebarProps) => {
  const desk = useDesk()
  const { sessions } = desk
  const [now] = [desk.now()]
  const agents = desk.agents.value?.agents ?? []
  const rows = sessions.rows.value
  const current = desk.view.value === "chat" ? desk.current.value?.key : undefined
  const begin = (agentId?: string): void => {
    desk.begin(agentId)
    onChosen()
  }
  return (
    <nav class="sidebar" aria-label="Sessions" onKeyDown={walk}>
      <header>
        <Logo />
        <strong>Colloquy</strong>
        {desk.may("operator.write") &&
          (agents.length > 1 ? (
            <Menu
              label="New conversation"
              icon={<PlusIcon />}
              items={agents.map(({ id, model, name }) => ({
                label: name ?? id,
                ...(model === undefined ? {} : { hint: model }),
                onChoose: () => begin(id)
              }))}
            />
          ) : (
            <button
              type="button"
              class="quiet"
              aria-label="New conversation"
              title="New conversation"
              onClick={() => begin()}
            >
              <PlusIcon />
            </button>
          ))}
      </header>
      <label class="search">
        <SearchIcon />
        <input
          id="search"
          type="search"
          placeholder="Search"
          aria-label="Search the sessions (Ctrl+K)"
          value={sessions.search.value}
          onInput={(event) => {
            sessions.search.value = event.currentTarget.value
          }}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return
            event.preventDefault()
            sessions.search.value = ""
            event.currentTarget.blur()
          }}
        />
      </label>
      {sessions.problem.value !== undefined && <p class="problem">{sessions.problem.value}</p>}
      <ul class="sessions">
        {rows.map((row) => (
          <SessionItem
            key={row.key}
            row={row}
            isCurrent={row.key === current}
            isBusy={sessions.busy.value.has(row.key)}
            isUnread={row.key !== current && sessions.isUnread(row)}
            now={now}
            onOpen={() => {
              desk.open(row.key)
              onChosen()
            }}
          />
        ))}
        {sessions.hasMore.value && (
          <li>
            <button type="button" class="plain wide" onClick={() => void sessions.more()}>
              More sessions
            </button>
          </li>
        )}
      </ul>
      {sessions.isLoaded.value && rows.length === 0 && (
        <p class="hint">{sessions.search.value === "" ? "No conversations yet." : "Nothing is found."}</p>
      )}
      <footer>
        {desk.has("status") && (
          <button
            type="button"
            class="quiet"
            aria-pressed={desk.view.value === "operators"}
            onClick={() => {
              desk.view.value = desk.view.value === "operators" ? "chat" : "operators"
              onChosen()
            }}
          >
            <PulseIcon />
            Activity
          </button>
        )}
        <span class="gap" />
        <ThemeButton />
        {desk.memory.token() !== undefined && (
          <button type="button" class="quiet" aria-label="Log out" title="Log out" onClick={onLeave}>
            <LeaveIcon />
          </button>
        )}
      </footer>
    </nav>
  )
}
