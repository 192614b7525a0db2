/** RunTable: the runs that are not over, with their age and a button that aborts. */
import type { RunRow } from "../../protocol/System.js"
import { duration } from "../state/Wording.js"

const phases: Readonly<Record<RunRow["phase"], string>> = {
  accepting: "being saved",
  queued: "waits",
  running: "runs",
  "handed-off": "works elsewhere",
  settling: "being saved"
}

export interface RunTableProps {
  readonly runs: ReadonlyArray<RunRow>
  /** The gateway's time, in milliseconds since the Unix epoch. */
  readonly now: number
  readonly titleOf: (sessionKey: string) => string
  readonly onOpen: (sessionKey: string) => void
  readonly onAbort: ((run: RunRow) => void) | undefined
}

/** Messages that wait, by session. */
const queues = (runs: ReadonlyArray<RunRow>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { phase, sessionKey } of runs) {
    if (phase === "queued") counts.set(sessionKey, (counts.get(sessionKey) ?? 0) + 1)
  }
  return counts
}

export const RunTable = ({ now, onAbort, onOpen, runs, titleOf }: RunTableProps) => {
  const waiting = queues(runs)
  return (
    <section aria-labelledby="runs">
      <h2 id="runs">Runs</h2>
      {runs.length === 0 ? (
        <p class="hint">Nothing runs.</p>
      ) : (
        <div class="sheet" tabIndex={0} role="region" aria-label="Table of runs">
          <table>
            <thead>
              <tr>
                <th scope="col">Session</th>
                <th scope="col">Agent</th>
                <th scope="col">Who</th>
                <th scope="col">State</th>
                <th scope="col">Age</th>
                <th scope="col">
                  <span class="offscreen">Abort</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <tr key={run.runId}>
                  <td>
                    <button type="button" class="link" onClick={() => onOpen(run.sessionKey)}>
                      {titleOf(run.sessionKey)}
                    </button>
                    {waiting.has(run.sessionKey) && run.phase !== "queued" && (
                      <small> {waiting.get(run.sessionKey)} behind it</small>
                    )}
                  </td>
                  <td>{run.agentId}</td>
                  <td>{run.principal}</td>
                  <td>
                    <span class="tag" data-phase={run.phase}>
                      {phases[run.phase]}
                    </span>
                  </td>
                  <td class="number">{duration(now - run.acceptedAt)}</td>
                  <td>
                    {onAbort !== undefined && run.phase !== "settling" && (
                      <button
                        type="button"
                        class="plain small"
                        aria-label={`Abort the run in ${titleOf(run.sessionKey)}`}
                        onClick={() => onAbort(run)}
                      >
                        Abort
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
