/** An agent (Agent Client Protocol on stdio) that knows the answers to the questions in talks.mjs, for the screenshots. */
import { createInterface } from "node:readline"
import { talks } from "./talks.mjs"

const answers = new Map(
  Object.values(talks)
    .flat()
    .map((turn) => [turn.question, turn])
)
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)

let sessions = 0
const handlers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, agentCapabilities: {}, authMethods: [] }),
  "session/new": () => ({ sessionId: `s${(sessions += 1)}` }),
  "session/prompt": ({ prompt, sessionId }) => {
    const update = (what) => send({ method: "session/update", params: { sessionId, update: what } })
    const said = prompt.map((block) => block.text ?? "").join("")
    const turn = [...answers.values()].find(({ question }) => said.endsWith(question))
    for (const [index, { args, name, result }] of (turn?.tools ?? []).entries()) {
      const toolCallId = `t${index}`
      update({
        sessionUpdate: "tool_call",
        toolCallId,
        title: name,
        kind: "read",
        status: "in_progress",
        rawInput: args
      })
      update({
        sessionUpdate: "tool_call_update",
        toolCallId,
        status: "completed",
        content: [{ type: "content", content: { type: "text", text: result } }]
      })
    }
    update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text: turn?.answer ?? said } })
    // The last one is still at work when its picture is taken.
    return turn?.isOpen ? new Promise(() => undefined) : { stopReason: "end_turn" }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  if (method === "session/cancel") process.exit()
  const handler = handlers[method]
  if (id === undefined || handler === undefined) continue
  void Promise.resolve(handler(params)).then((result) => send({ id, result }))
}
