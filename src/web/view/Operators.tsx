/** Operators: what runs, who waits, who is connected, and whether all is well. */
import { useEffect, useMemo } from "preact/hooks"
import { Activity, interval, type Reading } from "../state/Activity.js"
import { duration, nameOfKey, titleOf } from "../state/Wording.js"
import { useDesk } from "./Context.js"
import { CheckIcon, MenuIcon, WarnIcon } from "./Icons.js"
import { RunTable } from "./RunTable.js"

export const Operators = ({ onMenu }: { readonly onMenu: () => void }) => {
  const desk = useDesk()
  const activity = useMemo(() => new Activity(desk), [desk])
  useEffect(() => {
    void activity.read()
    const timer = setInterval(() => void activity.read(), interval)
    return () => clearInterval(timer)
  }, [activity])
  const reading = activity.reading.value
  return (
    <section class="operators" aria-label="Activity">
      <header class="head">
        <button type="button" class="quiet drawer" aria-label="Sessions" onClick={onMenu}>
          <MenuIcon />
        </button>
        <div>
          <h1>Activity</h1>
          <p>
            {reading === undefined
              ? "Reading…"
              : `Colloquy ${reading.status.version}, up for ${duration(reading.status.uptimeMs)}`}
          </p>
        </div>
      </header>
      <div class="pane" tabIndex={0} role="region" aria-label="Activity of the gateway">
        {activity.problem.value !== undefined && <p class="problem bar">{activity.problem.value}</p>}
        {reading !== undefined && (
          <>
            <Figures reading={reading} />
            <Health reading={reading} />
            {reading.runs !== undefined && (
              <RunTable
                runs={reading.runs.runs}
                now={reading.runs.ts}
                titleOf={(key) => {
                  const row = desk.sessions.row(key)
                  return row === undefined ? nameOfKey(key) : titleOf(row)
                }}
                onOpen={(key) => desk.open(key)}
                onAbort={
                  desk.may("operator.write")
                    ? ({ runId, sessionKey }) => desk.attempt(activity.abort(sessionKey, runId))
                    : undefined
                }
              />
            )}
            <Connections reading={reading} now={desk.now()} />
          </>
        )}
      </div>
    </section>
  )
}

const Figure = ({ label, value }: { readonly label: string; readonly value: number | string }) => (
  <div>
    <dt>{label}</dt>
    <dd>{value}</dd>
  </div>
)

const Figures = ({ reading: { runs, status } }: { readonly reading: Reading }) => (
  <dl class="figures">
    <Figure
      label="Running"
      value={runs === undefined ? status.runs.active : `${status.runs.active} / ${runs.maxConcurrentRuns}`}
    />
    <Figure label="Queued" value={status.runs.queued} />
    <Figure label="Handed off" value={status.runs.handedOff} />
    <Figure label="Connections" value={status.connections} />
    <Figure label="Sessions" value={status.sessions.count} />
  </dl>
)

const Health = ({ reading: { health, status } }: { readonly reading: Reading }) => {
  const desk = useDesk()
  const agents = desk.agents.value?.agents
  return (
    <section aria-labelledby="health">
      <h2 id="health">Health</h2>
      {health !== undefined && (
        <p class={health.ok ? "well" : "problem"}>
          {health.ok ? <CheckIcon /> : <WarnIcon />}
          <span>{health.ok ? `All is well (checked in ${health.durationMs} ms)` : "Something is wrong"}</span>
        </p>
      )}
      {(health?.problems ?? []).map((problem) => (
        <p key={problem} class="problem">
          <WarnIcon />
          <span>{problem}</span>
        </p>
      ))}
      <ul class="chips" aria-label="Agents">
        {status.agents.ids.map((id) => {
          const agent = agents?.find((one) => one.id === id)
          return (
            <li key={id}>
              <strong>{agent?.name ?? id}</strong>
              <span>
                {agent?.kind}
                {agent?.model === undefined ? "" : ` · ${agent.model}`}
                {id === status.agents.defaultId ? " · default" : ""}
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

const Connections = ({ now, reading: { presence } }: { readonly reading: Reading; readonly now: number }) =>
  presence === undefined ? null : (
    <section aria-labelledby="connections">
      <h2 id="connections">Connections</h2>
      <div class="sheet" tabIndex={0} role="region" aria-label="Table of connections">
        <table>
          <thead>
            <tr>
              <th scope="col">Who</th>
              <th scope="col">Client</th>
              <th scope="col">From</th>
              <th scope="col">For</th>
            </tr>
          </thead>
          <tbody>
            {presence.map((one) => (
              <tr key={one.connId}>
                <td>{one.principal}</td>
                <td>
                  {one.client.displayName ?? one.client.id} {one.client.version}
                  <small> {one.client.platform}</small>
                </td>
                <td>{one.address ?? "–"}</td>
                <td class="number">{duration(now - one.connectedAt)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
