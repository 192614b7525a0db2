/** Rows: what a conversation consists of, row by row. */
import type { ComponentChildren } from "preact"
import { memo } from "preact/compat"
import type { Conversation } from "../state/Conversation.js"
import type { LiveRun } from "../state/LiveRun.js"
import type { Row } from "../state/Timeline.js"
import { type Entry, type Part, textOfEntry } from "../../client/Transcript.js"
import { clock, day, sentence, stopped } from "../state/Wording.js"
import { useDesk } from "./Context.js"
import { CopyButton } from "./CopyButton.js"
import { HistoryImage, Picture } from "./HistoryImage.js"
import { RetryIcon, TrashIcon, WarnIcon } from "./Icons.js"
import { Markdown } from "./Markdown.js"
import { Thinking, ToolCall } from "./ToolCall.js"

interface InConversation {
  readonly conversation: Conversation
}

export const RowView = memo(({ conversation, row }: InConversation & { readonly row: Row }) => {
  const desk = useDesk()
  switch (row.kind) {
    case "day":
      return (
        <div class="row day" role="separator">
          <span>{day(row.timestamp, desk.now())}</span>
        </div>
      )
    case "entry":
      return <EntryRow conversation={conversation} entry={row.entry} run={row.run} />
    case "sent":
      return <SentRow conversation={conversation} run={row.run} />
    case "answer":
      return <AnswerRow conversation={conversation} run={row.run} isQueued={row.isQueued} />
  }
})

const Turn = ({ children, role }: { readonly role: Entry["role"]; readonly children: ComponentChildren }) => (
  <article
    class={`row turn ${role}`}
    aria-label={role === "user" ? "Message" : role === "system" ? "Note" : "Answer"}
  >
    <div class="body">{children}</div>
  </article>
)

const PartView = ({
  conversation,
  part,
  role
}: InConversation & { readonly part: Part; readonly role: Entry["role"] }) => {
  switch (part.kind) {
    case "text":
      return role === "user" ? <p class="said">{part.text}</p> : <Markdown text={part.text} />
    case "image":
      return <HistoryImage sessionKey={conversation.key} image={part} />
    case "tool":
      return <ToolCall tool={part} />
    case "thinking":
      return <Thinking text={part.text} />
  }
}

const Problem = ({ children, text }: { readonly text: string; readonly children?: ComponentChildren }) => (
  <div class="problem">
    <WarnIcon />
    <span>{sentence(text)}</span>
    {children}
  </div>
)

const AskAgain = ({ conversation, runId }: InConversation & { readonly runId: string | undefined }) => {
  const desk = useDesk()
  const question = runId === undefined ? undefined : conversation.questionOf(runId)
  if (question === undefined || question === "" || !desk.may("operator.write")) return null
  return (
    <button type="button" class="quiet small" onClick={() => desk.attempt(conversation.send(question, []))}>
      <RetryIcon />
      Ask again
    </button>
  )
}

const EntryRow = ({
  conversation,
  entry,
  run
}: InConversation & { readonly entry: Entry; readonly run: LiveRun | undefined }) => {
  const text = textOfEntry(entry)
  // The history keeps no tool calls of a run; the page does, for as long as it is open.
  const tools = entry.role === "assistant" ? (run?.tools.value ?? []) : []
  return (
    <Turn role={entry.role}>
      {tools.map((tool) => (
        <ToolCall key={tool.id} tool={tool} />
      ))}
      {entry.parts.map((part, index) => (
        <PartView key={index} conversation={conversation} part={part} role={entry.role} />
      ))}
      {entry.stopReason === "error" && (
        <Problem text={entry.errorMessage ?? "The run has failed."}>
          <AskAgain conversation={conversation} runId={entry.runId} />
        </Problem>
      )}
      {entry.stopReason === "aborted" && <p class="ended">Stopped</p>}
      <footer>
        {entry.timestamp > 0 && (
          <time dateTime={new Date(entry.timestamp).toISOString()}>{clock(entry.timestamp)}</time>
        )}
        {text !== "" && (
          <CopyButton text={text} label={entry.role === "user" ? "Copy the message" : "Copy the answer"} />
        )}
      </footer>
    </Turn>
  )
}

const SentRow = ({ conversation, run }: InConversation & { readonly run: LiveRun }) => {
  const desk = useDesk()
  const phase = run.phase.value
  return (
    <Turn role="user">
      {run.sent?.attachments?.map(({ content, fileName }, index) => (
        <Picture key={index} url={content} name={fileName ?? "Image"} />
      ))}
      {run.sent?.message !== "" && <p class="said">{run.sent?.message}</p>}
      <footer>
        {phase._tag === "Sending" && (
          <span class="state">
            {phase.problem === undefined
              ? desk.gateway.status.value._tag === "Open"
                ? "Sending…"
                : "Waits for the connection"
              : `${phase.problem} – trying again`}
          </span>
        )}
        {phase._tag === "Accepted" && <span class="state">Sent</span>}
      </footer>
      {phase._tag === "Rejected" && (
        <Problem text={`Not sent: ${phase.message}`}>
          <button type="button" class="quiet small" onClick={() => conversation.retry(run.id)}>
            <RetryIcon />
            Retry
          </button>
          <button
            type="button"
            class="quiet small"
            onClick={() => {
              desk.gateway.discard(run.id)
              conversation.forget(run.id)
            }}
          >
            <TrashIcon />
            Discard
          </button>
        </Problem>
      )}
    </Turn>
  )
}

const AnswerRow = ({
  conversation,
  isQueued,
  run
}: InConversation & { readonly run: LiveRun; readonly isQueued: boolean }) => {
  const phase = run.phase.value
  const text = run.text.value
  const isOpen = phase._tag === "Accepted"
  return (
    <Turn role="assistant">
      {run.thinking.value !== "" && <Thinking text={run.thinking.value} isOpen={isOpen && text === ""} />}
      {run.tools.value.map((tool) => (
        <ToolCall key={tool.id} tool={tool} />
      ))}
      {text !== "" && <Markdown text={text} />}
      {isOpen && isQueued && <p class="ended">Waits for the answers before it</p>}
      {isOpen && !isQueued && text === "" && (
        <p class="dots" role="img" aria-label="The agent works">
          <i />
          <i />
          <i />
        </p>
      )}
      {phase._tag === "Failed" && (
        <Problem text={phase.message}>
          <AskAgain conversation={conversation} runId={run.id} />
        </Problem>
      )}
      {phase._tag === "Aborted" && <p class="ended">{stopped(phase.reason)}</p>}
      <footer>
        {isOpen && text !== "" && <span class="state">Answering…</span>}
        {!isOpen && text !== "" && <CopyButton text={text} label="Copy the answer" />}
      </footer>
    </Turn>
  )
}
