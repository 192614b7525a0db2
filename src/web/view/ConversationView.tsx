/** ConversationView: a session: its head, its messages, its agent's questions, and where one writes. */
import type { Conversation } from "../state/Conversation.js"
import { agentOfKey, nameOfKey } from "../state/Wording.js"
import { Composer } from "./Composer.js"
import { useDesk } from "./Context.js"
import { MenuIcon } from "./Icons.js"
import { Logo } from "./Logo.js"
import { MessageList } from "./MessageList.js"
import { Questions } from "./Questions.js"
import { SessionMenu } from "./SessionMenu.js"

export interface ConversationViewProps {
  readonly conversation: Conversation
  readonly title: string
  readonly onMenu: () => void
}

export const ConversationView = ({ conversation, onMenu, title }: ConversationViewProps) => {
  const desk = useDesk()
  const agentId = agentOfKey(conversation.key)
  const agent = desk.agents.value?.agents.find(({ id }) => id === agentId)
  const rows = conversation.rows.value
  const { problem } = conversation
  return (
    <section class="conversation" aria-label={title}>
      <header class="head">
        <button type="button" class="quiet drawer" aria-label="Sessions" onClick={onMenu}>
          <MenuIcon />
        </button>
        <div>
          <h1>{title}</h1>
          <p>
            {agent?.name ?? agentId ?? nameOfKey(conversation.key)}
            {agent?.model === undefined ? "" : ` · ${agent.model}`}
          </p>
        </div>
        <SessionMenu conversationKey={conversation.key} title={title} />
      </header>
      {problem.value !== undefined && (
        <div class="problem bar" role="alert">
          <span>{problem.value}</span>
          <button type="button" class="plain small" onClick={() => void conversation.reload()}>
            Try again
          </button>
        </div>
      )}
      {conversation.loading.value === "first" && rows.length === 0 ? (
        <div class="messages skeletons" aria-busy="true" role="status" aria-label="Loading the conversation">
          <i />
          <i />
          <i />
        </div>
      ) : rows.length === 0 ? (
        <div class="messages welcome">
          <Logo />
          <h2>What shall we talk about?</h2>
          <p>Write below. Images can be pasted or dropped, too.</p>
        </div>
      ) : (
        <MessageList conversation={conversation} />
      )}
      <div class="foot">
        <Questions conversation={conversation} />
        {desk.may("operator.write") ? (
          <Composer conversation={conversation} />
        ) : (
          <p class="hint">You may read here, and not write.</p>
        )}
      </div>
      <p class="offscreen" aria-live="polite">
        {conversation.said.value}
      </p>
    </section>
  )
}
