/** Questions: what the agent asks before it does something. */
import type { Conversation, Question } from "../state/Conversation.js"
import { useDesk } from "./Context.js"
import { ToolIcon } from "./Icons.js"

const shown = (args: unknown): string =>
  typeof args === "string" ? args : (JSON.stringify(args, undefined, 2) ?? "")

export const Questions = ({ conversation }: { readonly conversation: Conversation }) => {
  const questions = conversation.questions.value
  return (
    <>
      {questions.map((question) => (
        <QuestionCard key={question.id} question={question} conversation={conversation} />
      ))}
    </>
  )
}

const QuestionCard = ({
  conversation,
  question
}: {
  readonly question: Question
  readonly conversation: Conversation
}) => {
  const desk = useDesk()
  return (
    <section class="question" aria-label="The agent asks for permission">
      <p>
        <ToolIcon />
        <strong>{question.title}</strong>
      </p>
      {question.args !== undefined && (
        <pre tabIndex={0} role="region" aria-label="What it would do">
          {shown(question.args)}
        </pre>
      )}
      <div class="buttons">
        {question.options.map(({ id, kind, name }) => (
          <button
            key={id}
            type="button"
            class={kind.startsWith("allow") ? "strong" : "plain"}
            disabled={!desk.may("operator.write")}
            onClick={() => desk.attempt(conversation.answer(question.id, id))}
          >
            {name}
          </button>
        ))}
      </div>
    </section>
  )
}
