/**
 * The agent under test, made with the SDK's agent side: `node agent.mjs [CONFIG]`. What it does, the message tells it: its
 * first word is the name of one of the acts below, the rest is its argument. What it has reached it says as a chunk or on
 * stderr: tests wait for that.
 */
import { agent, methods, ndJsonStream, RequestError } from "@agentclientprotocol/sdk"
import { spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { Readable, Writable } from "node:stream"
import { fileURLToPath } from "node:url"

const self = fileURLToPath(import.meta.url)
const config = JSON.parse(process.argv[2] ?? "{}")
const never = new Promise(() => undefined)
// oxlint-disable-next-line no-restricted-globals -- this is a program under test, and something has to keep it alive
const stay = () => setInterval(() => undefined, 2 ** 30)
const complain = (text) => process.stderr.write(`${text}\n`)

/** A child that does not end on SIGTERM. */
if (config.child) {
  process.on("SIGTERM", () => undefined)
  stay()
  process.send("ready")
}

const startChild = () =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [self, JSON.stringify({ child: true })], {
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    child.on("message", () => {
      child.disconnect()
      child.unref()
      resolve(child.pid)
    })
  })

/** What each session has heard and said; in a file, so that another process can take it up again. */
const stored =
  config.store !== undefined && existsSync(config.store) ? readFileSync(config.store, "utf8") : "{}"
const memory = JSON.parse(stored)
const remember = (sessionId, entry) => {
  memory[sessionId].push(entry)
  if (config.store !== undefined) writeFileSync(config.store, JSON.stringify(memory))
}
const cancels = new Map()
let settings = {}

/** Does something when the answer to the prompt was written. */
const afterAnswer = (then) => {
  const { write } = process.stdout
  process.stdout.write = (bytes, ...rest) => {
    const result = write.call(process.stdout, bytes, ...rest)
    if (!Buffer.from(bytes).includes('"stopReason"')) return result
    process.stdout.write = write
    void then()
    return result
  }
}

const textOf = (prompt) => prompt.map((block) => (block.type === "text" ? block.text : `<${block.type}>`))

const acts = {
  /** Says its argument word by word. */
  say: async ({ argument, say }) => {
    for (const word of argument.match(/\S+\s*/g) ?? []) await say(word)
  },
  /** Says all that the session has heard and said. */
  recall: ({ heard, say }) => say(JSON.stringify(heard)),
  /** Says half an answer and waits for its cancel. */
  wait: async ({ argument, cancelled, say }) => {
    await say(argument === "" ? "half an " : argument)
    await cancelled
    return "cancelled"
  },
  /** The same, and does not hear. */
  deaf: async ({ argument, say }) => {
    await say(argument === "" ? "half an " : `${await startChild()} `)
    await never
  },
  /** Says nothing. */
  silent: async ({ cancelled }) => {
    complain("silent")
    await cancelled
    return "cancelled"
  },
  /** Thinks, plans and uses tools. */
  work: async ({ say, update }) => {
    await update({ sessionUpdate: "agent_thought_chunk", content: { type: "text", text: "hm" } })
    const entries = [{ content: "look", priority: "high", status: "pending" }]
    await update({ sessionUpdate: "plan", entries })
    await say("Let me look.")
    await update({
      sessionUpdate: "tool_call",
      toolCallId: "c1",
      title: "Read a.txt",
      kind: "read",
      rawInput: { path: "a.txt" }
    })
    await update({ sessionUpdate: "tool_call_update", toolCallId: "c1", status: "in_progress" })
    await update({
      sessionUpdate: "tool_call_update",
      toolCallId: "c1",
      status: "completed",
      rawOutput: { text: "A" }
    })
    const content = [{ type: "content", content: { type: "text", text: "no" } }]
    await update({ sessionUpdate: "tool_call", toolCallId: "c2", title: "Run", status: "failed", content })
    await say("It says A.")
    await update({ sessionUpdate: "available_commands_update", availableCommands: [] })
  },
  /** Asks for permission and says what came of it. */
  ask: async ({ argument, client, say, sessionId }) => {
    const kinds = argument === "" ? ["allow_always", "allow_once", "reject_once"] : argument.split(" ")
    const answer = await client.request(methods.client.session.requestPermission, {
      sessionId,
      toolCall: { toolCallId: "c1", title: "rm -rf /", rawInput: { command: "rm" } },
      options: kinds.map((kind) => ({ optionId: `o-${kind}`, name: kind, kind }))
    })
    complain(`answered ${JSON.stringify(answer.outcome)}`)
    await say(JSON.stringify(answer.outcome))
    return answer.outcome.outcome === "cancelled" ? "cancelled" : "end_turn"
  },
  /** Dies in the middle of its answer. */
  die: async ({ argument, say }) => {
    await say("half an ")
    process.stderr.write("\u001B[31mout of credit\u001B[0m\n", () =>
      argument === "" ? process.exit(3) : process.kill(process.pid, argument)
    )
    await never
  },
  /** Says that many kilobytes, as fast as they are taken; once it says on stderr after how many it was held up. */
  flood: async ({ argument, say }) => {
    const kilobyte = "x".repeat(1024)
    let said = 0
    let before = -1
    // oxlint-disable-next-line no-restricted-globals -- this is a program under test
    const watch = setInterval(() => {
      if (said === before) {
        complain(`held up after ${said}.`)
        clearInterval(watch)
      }
      before = said
    }, 100)
    for (; said < Number(argument); said += 1) await say(kilobyte)
    clearInterval(watch)
  },
  /** Writes to stdout what is no message. */
  garbage: async ({ say }) => {
    await say("before ")
    const lines = [
      "npm warn deprecated\n",
      "\u001B[31m{not json\n",
      "[1]\n\n",
      '{"jsonrpc":"2.0","id":4711,"result":{}}\n',
      '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":7}}\n',
      '{"jsonrpc":"2.0","method":"session/update"}\n',
      '{"jsonrpc":"2.0","method":"other","params":{}}\n',
      '{"jsonrpc":"2.0","id":"?"}\n',
      '{"id":5}\n'
    ]
    process.stdout.write(lines.join(""))
    await say("after")
  },
  /** Ends its turn for a reason, with usage. */
  stop: async ({ argument, say }) => {
    await say("so far")
    return argument
  },
  /** Has a child that does not end on SIGTERM, and says its pid. */
  parent: async ({ cancelled, say }) => {
    await say(`${await startChild()}`)
    await cancelled
    return "cancelled"
  },
  /** Goes on talking when its turn is over, and in the next one: what it says is of the old one. */
  late: async ({ say, update }) => {
    await update({ sessionUpdate: "tool_call", toolCallId: "late", title: "Slow" })
    await say("on time", "m1")
    afterAnswer(async () => {
      await say(" late", "m1")
      complain("late")
    })
  },
  later: async ({ say, update }) => {
    await update({ sessionUpdate: "tool_call_update", toolCallId: "late", status: "completed" })
    await say(" late", "m1")
    await say("mine", "m2")
  },
  fail: () => {
    throw new RequestError(-32603, "Internal error", { details: "529 overloaded" })
  },
  unauthorized: () => {
    throw RequestError.authRequired()
  },
  setting: ({ say }) => say(JSON.stringify(settings)),
  read: async ({ argument, client, say, sessionId }) => {
    const [path, line, limit] = argument.split(" ")
    const range = line === undefined ? {} : { line: Number(line), limit: Number(limit) }
    const answer = await tried(client.request(methods.client.fs.readTextFile, { sessionId, path, ...range }))
    await say(answer.content ?? answer)
  },
  write: async ({ argument, client, say, sessionId }) => {
    const [path, content] = argument.split(" ")
    await say(
      JSON.stringify(
        await tried(client.request(methods.client.fs.writeTextFile, { sessionId, path, content }))
      )
    )
  },
  /** Runs a program of Node's in a terminal. */
  run: async ({ argument, client, say, sessionId }) => {
    const made = await tried(
      client.request(methods.client.terminal.create, {
        sessionId,
        command: process.execPath,
        args: ["-e", argument],
        env: [{ name: "EXTRA", value: "1" }],
        outputByteLimit: 10
      })
    )
    if (made.terminalId === undefined) return say(made)
    const { terminalId } = made
    const exit = await client.request(methods.client.terminal.waitForExit, { sessionId, terminalId })
    const output = await client.request(methods.client.terminal.output, { sessionId, terminalId })
    await client.request(methods.client.terminal.release, { sessionId, terminalId })
    await say(
      JSON.stringify({
        exit,
        output,
        gone: await tried(client.request(methods.client.terminal.output, { sessionId, terminalId }))
      })
    )
  },
  /** Leaves a terminal alone that does not end by itself, and says its pid. */
  serve: async ({ argument, cancelled, client, say, sessionId }) => {
    const { terminalId } = await client.request(methods.client.terminal.create, {
      sessionId,
      command: process.execPath,
      args: ["-e", "console.log(process.pid); setInterval(() => undefined, 1 << 30)"]
    })
    for (;;) {
      const { output } = await client.request(methods.client.terminal.output, { sessionId, terminalId })
      if (!output.endsWith("\n")) continue
      await say(output.trim())
      break
    }
    if (argument !== "wait") return
    await cancelled
    return "cancelled"
  }
}

const tried = (promise) => promise.catch((error) => `${error.code}: ${error.message}`)

const act = async (sessionId, prompt, client) => {
  const texts = textOf(prompt)
  const [, name, argument] = /^(\S*)\s*(.*)$/s.exec(texts.at(-1)) ?? []
  let said = ""
  const update = (update) => client.notify(methods.client.session.update, { sessionId, update })
  const say = async (text, messageId) => {
    said += text
    const content = { type: "text", text }
    await update({
      sessionUpdate: "agent_message_chunk",
      content,
      ...(messageId === undefined ? {} : { messageId })
    })
  }
  const cancelled = new Promise((resolve) => cancels.set(sessionId, resolve))
  const heard = [...memory[sessionId]]
  remember(sessionId, { user: texts })
  const context = { argument, cancelled, client, heard: [...heard, { user: texts }], say, sessionId, update }
  const stopReason = await (acts[name] ?? acts.say)(
    acts[name] === undefined ? { ...context, argument: `you said: ${texts.at(-1)}` } : context
  )
  remember(sessionId, { agent: said.slice(0, 1000) })
  return {
    stopReason: stopReason ?? "end_turn",
    ...(config.usage === undefined ? {} : { usage: config.usage })
  }
}

let made = 0
const app = agent({ name: "test-agent" })
  .onRequest(methods.agent.initialize, async ({ params }) => {
    complain(`initialize ${JSON.stringify(params)}`)
    if (config.hang === "initialize") await never
    return {
      protocolVersion: config.version ?? 1,
      agentInfo: { name: "test-agent", title: "Test Agent", version: "1.2.3" },
      authMethods: [{ id: "login", name: "Log in with Test" }],
      agentCapabilities: {
        loadSession: config.load === "load",
        promptCapabilities: { image: config.image ?? true },
        sessionCapabilities: config.load === "resume" ? { resume: {} } : {}
      }
    }
  })
  .onRequest(methods.agent.session.new, async () => {
    complain("new")
    if (config.auth) throw RequestError.authRequired()
    if (config.hang === "new") await never
    made += 1
    const sessionId = `${process.pid}-${made}`
    memory[sessionId] = []
    return { sessionId, ...config.session }
  })
  .onRequest(methods.agent.session.load, async ({ client, params }) => {
    complain("load")
    if (memory[params.sessionId] === undefined) throw RequestError.resourceNotFound(params.sessionId)
    const content = { type: "text", text: "a replay" }
    await client.notify(methods.client.session.update, {
      sessionId: params.sessionId,
      update: { sessionUpdate: "agent_message_chunk", content }
    })
    return {}
  })
  .onRequest(methods.agent.session.resume, ({ params }) => {
    complain("resume")
    if (memory[params.sessionId] === undefined) throw RequestError.resourceNotFound(params.sessionId)
    return {}
  })
  .onRequest(methods.agent.session.setConfigOption, ({ params }) => {
    settings = { ...settings, [params.configId]: params.value }
    const configOptions = config.session.configOptions.map((option) => ({
      ...option,
      currentValue: settings[option.id] ?? option.currentValue
    }))
    return { configOptions }
  })
  .onRequest(
    "session/set_model",
    (params) => params,
    ({ params }) => {
      settings = { ...settings, set_model: params.modelId }
      return {}
    }
  )
  .onRequest(methods.agent.session.prompt, ({ client, params }) =>
    act(params.sessionId, params.prompt, client)
  )
  .onNotification(methods.agent.session.cancel, ({ params }) => {
    complain("cancel")
    cancels.get(params.sessionId)?.()
  })

if (!config.child) {
  if (config.stubborn) process.on("SIGTERM", () => complain("no"))
  if (config.stubborn || config.stays) stay()
  app.connect(ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)))
}
