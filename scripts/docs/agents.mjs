/** docs/agents.md: the tables from src/cli/agents/AgentSchema.ts, the rest from here. */
import { code, generated, table } from "./markdown.mjs"

export const agentsPage = ({ AgentSchema, SchemaAST, passedAlways }) => {
  const text = (annotated, id) => annotated.annotations[id] ?? ""
  /** What a property takes, in the words of its schema. */
  const expects = ({ type }) =>
    text(type, SchemaAST.DescriptionAnnotationId) ||
    (SchemaAST.isLiteral(type) ? JSON.stringify(type.literal) : "")

  const rows = (fields, prefix = "") =>
    Object.entries(fields).flatMap(([name, field]) => {
      if (name === "kind") return []
      const { ast } = field
      const inner =
        prefix === "" ? { history: AgentSchema.History, retry: AgentSchema.Retry }[name] : undefined
      const isRequired = !ast.isOptional
      return [
        [
          code(prefix + name),
          text(ast, SchemaAST.DocumentationAnnotationId),
          expects(ast),
          isRequired ? "**required**" : text(ast, SchemaAST.TitleAnnotationId)
        ],
        ...(inner === undefined ? [] : rows(inner.fields, `${name}.`))
      ]
    })

  const common = new Set(Object.keys(AgentSchema.common))
  const own = ({ fields }) => Object.fromEntries(Object.entries(fields).filter(([name]) => !common.has(name)))
  const head = ["field", "what it does", "expects", "default"]
  const fieldsOf = (kind) => table(head, rows(own(AgentSchema.kinds[kind])))

  return `${generated}

# Agents

Who answers is said in the config file (\`config.json\` in the state directory, or the file that \`--config\` names): \`agents\` is
an object of agents by their ids. The id in a session's key chooses: \`agent:coder:notes\` is answered by \`coder\`, and a key that
names no agent by the default one. A message to an agent that is not there is refused, naming those there are.

\`\`\`json
{
  "agents": {
    "main": { "kind": "anthropic", "model": "claude-sonnet-4-5", "system": "You are brief." },
    "local": { "kind": "openai", "model": "llama3.2", "baseUrl": "http://127.0.0.1:11434/v1" },
    "coder": { "kind": "acp", "command": ["claude-code-acp"], "cwd": "~/src", "permissions": "ask" }
  }
}
\`\`\`

- **The default agent** is the one that \`--agent\` names; else \`defaultAgentId\`; else the first one.
- **Without a config file**, \`--agent anthropic --model claude-sonnet-4-5\` or \`--agent openai --model gpt-5-mini\` makes one agent
  from the environment (\`ANTHROPIC_API_KEY\`, \`ANTHROPIC_BASE_URL\`; \`OPENAI_API_KEY\`, \`OPENAI_BASE_URL\`), and \`--agent demo\` (what is
  taken when nothing is said) one that streams the message back.
- **\`colloquy agents\`** lists what is configured; \`colloquy agents --check\` tries each: is the program there, the server reached, the
  key taken, the model known?
- **What is wrong** is told at the start, all of it at once, with its place: \`agents.main.modle in config.json: there is no such
  setting. Did you mean model?\`

## For every agent

${table(head, rows(AgentSchema.common))}

**Retries** happen only as long as nothing was said: what a client has read, and a tool that was used, can't be taken back. After that
a failure ends the run with \`error\`; what was said stays in the transcript, marked, and the next message's agent sees it.
**An abort** ends an agent in every state: its request is closed, its processes are killed.

## \`openai\`: any server that speaks chat completions

OpenAI, OpenRouter, Ollama, vLLM, llama.cpp, LM Studio and others. The base URL ends before \`/chat/completions\`.

\`\`\`json
{
  "agents": {
    "main": {
      "kind": "openai",
      "model": "anthropic/claude-sonnet-4.5",
      "baseUrl": "https://openrouter.ai/api/v1",
      "apiKeyEnv": "OPENROUTER_API_KEY",
      "provider": "openrouter",
      "system": "You are brief.",
      "history": { "messages": 40, "bytes": "64 KiB" },
      "timeout": "5 minutes"
    }
  }
}
\`\`\`

${fieldsOf("openai")}

The key is read from the environment: \`apiKeyEnv\`, else \`OPENAI_API_KEY\`. It is sent to the base URL, whatever that is: beside a key for
OpenAI, name another one (\`apiKeyEnv\`) for other servers. A server of one's own may need none. Without \`baseUrl\` the variable
\`OPENAI_BASE_URL\` counts, else OpenAI's own.

## \`anthropic\`: the Messages API

\`\`\`json
{
  "agents": {
    "main": {
      "kind": "anthropic",
      "model": "claude-sonnet-4-5",
      "maxTokens": 16000,
      "thinking": "low",
      "contextWindow": 200000,
      "reasoning": true,
      "concurrency": 8,
      "retry": { "attempts": 5, "budget": "2 minutes" }
    }
  }
}
\`\`\`

The fields are those of \`openai\`. The key is read from \`apiKeyEnv\`, else \`ANTHROPIC_API_KEY\`; the base URL, else from
\`ANTHROPIC_BASE_URL\`.

## \`acp\`: coding agents

Any agent that speaks the [Agent Client Protocol](https://agentclientprotocol.com) on stdio: Claude Code and Codex through their
adapters, Gemini CLI, OpenCode and others. Its process is started when it is first needed, serves many messages, and is started
again after it has died. Tool calls and thoughts are events on the \`agent\` stream.

\`\`\`json
{
  "agents": {
    "coder": {
      "kind": "acp",
      "command": ["npx", "--yes", "@agentclientprotocol/claude-agent-acp"],
      "cwd": "~/src/project",
      "passEnv": ["ANTHROPIC_API_KEY"],
      "env": { "DISABLE_TELEMETRY": "1" },
      "permissions": "ask",
      "permissionTimeout": "5 minutes"
    }
  }
}
\`\`\`

${fieldsOf("acp")}

With \`permissions: "ask"\` the session's clients get the event \`permission.requested\`, and the first \`permission.resolve\` counts
([protocol reference](protocol-reference.md)).

## \`command\`: any program

Started once for each message: it gets the message on stdin, and what it writes to stdout is the answer, as it comes. Exit code 0 says
that the answer is whole; any other is an error with the end of its stderr.

\`\`\`json
{
  "agents": {
    "script": {
      "kind": "command",
      "command": ["python3", "-u", "answer.py"],
      "input": "json",
      "timeout": "30 seconds"
    }
  }
}
\`\`\`

${fieldsOf("command")}

With \`"input": "json"\` it gets one document: \`{runId, sessionKey, sessionId, agentId, message, images?, thinking?, system?, model?, history: [{role,
content}]}\`. \`history\` is the conversation with this message as its last one; \`content\` is an array of
\`{"type":"text","text":…}\` and \`{"type":"image","mimeType":…,"data":<base64>}\`. In its environment are \`COLLOQUY_RUN_ID\`,
\`COLLOQUY_SESSION_KEY\` and \`COLLOQUY_AGENT_ID\`, too.

## The environment of programs

Programs (\`acp\`, \`command\`) inherit nothing of the gateway's environment but what they need to run at all, so that they don't see the
gateway's token or other agents' keys: ${passedAlways.map(code).join(", ")}. \`passEnv\` names more, \`env\` sets them. They are never run
through a shell. What is in a
variable whose name says that it is a secret (key, token, password) is taken out of the errors that clients are told. What an agent has started ends with it: all run in a process group of their own, which gets SIGTERM, and SIGKILL after
\`killGrace\`. A process that leaves its group (\`setsid\`) can't be followed, and when the gateway itself is killed (\`kill -9\`) nobody is left to end
them: then those go that end when their stdin does.

## \`demo\`

Streams the message back, and needs no key and no network. It obeys a directive in the text, for tests:
\`{{n=500 ms=5 size=12 first=100 hang=1 error=1 cut=3}}\`.

\`\`\`json
{ "agents": { "main": { "kind": "demo" } } }
\`\`\`
`
}
