/** Agents in the config file, from `--agent`, and from the environment. */
import { FileSystem, Path } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer, Option, Redacted } from "effect"
import { homedir } from "node:os"
import * as AgentSettings from "../../src/cli/agents/AgentSettings.js"
import type * as Settings from "../../src/cli/Settings.js"

const platform = Layer.merge(NodeFileSystem.layer, NodePath.layer)
const keys = { ANTHROPIC_API_KEY: "sk-ant-1", OPENAI_API_KEY: "sk-oai-1", OPENROUTER_API_KEY: "sk-or-1" }

interface Given {
  readonly flags?: Settings.Flags
  readonly environment?: Readonly<Record<string, string>>
  readonly file?: { readonly [key: string]: unknown }
}

/** Loads from a state directory of its own. */
const load = ({ environment = keys, file = {}, flags = {} }: Given) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = yield* Effect.orDie(fs.makeTempDirectoryScoped())
    yield* Effect.orDie(fs.writeFileString(`${stateDir}/config.json`, JSON.stringify(file)))
    return yield* AgentSettings.load({ stateDir, ...flags }).pipe(
      Effect.map(({ agents, settings }) => ({ ...agents, sessionDefault: settings.gateway.defaultAgentId })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
      Effect.mapError((error) => error.message.replaceAll(`${stateDir}/`, ""))
    )
  }).pipe(Effect.scoped, Effect.provide(platform))

const agents = (definitions: object, more: Omit<Given, "file"> = {}) =>
  load({ ...more, file: { agents: definitions } })
const one = (definition: object, more: Omit<Given, "file"> = {}) =>
  Effect.map(agents({ main: definition }, more), ({ definitions }) => [...definitions.values()][0])

describe("which agent is the default one", () => {
  const two = { coder: { kind: "demo" }, Other: { kind: "demo" } }
  it.effect.each([
    ["without anything: the demo agent, as the default agent", {}, "main", ["main"]],
    ["the first one", { file: { agents: two } }, "coder", ["coder", "other"]],
    [
      "main, when there is one",
      { file: { agents: { ...two, main: { kind: "demo" } } } },
      "main",
      ["coder", "other", "main"]
    ],
    [
      "the one that defaultAgentId names",
      { file: { agents: two, defaultAgentId: "other" } },
      "other",
      ["coder", "other"]
    ],
    [
      "the one that --agent names",
      { file: { agents: two }, flags: { agent: "OTHER" } },
      "other",
      ["coder", "other"]
    ],
    [
      "the one that COLLOQUY_AGENT names",
      { file: { agents: two }, environment: { COLLOQUY_AGENT: "other" } },
      "other",
      ["coder", "other"]
    ],
    [
      "a kind, beside those there are",
      { file: { agents: two }, flags: { agent: "demo" } },
      "main",
      ["coder", "other", "main"]
    ],
    [
      "a kind under its own name, when main is there",
      { file: { agents: { main: { kind: "demo" } } }, flags: { agent: "openai", model: "m" } },
      "openai",
      ["main", "openai"]
    ],
    ["a kind with its model", { flags: { agent: "anthropic", model: "claude" } }, "main", ["main"]]
  ] as const)("%s", ([, given, expected, ids]) =>
    Effect.gen(function* () {
      const { defaultAgentId, definitions, sessionDefault } = yield* load(given)
      expect(defaultAgentId).toBe(expected)
      expect(sessionDefault).toBe(expected)
      expect([...definitions.keys()]).toEqual(ids)
    })
  )
})

describe("what is read", () => {
  it.effect("a model: key and base URL from the environment, the rest as written", () =>
    Effect.gen(function* () {
      const written = {
        kind: "openai",
        model: "m",
        system: "Be brief.",
        temperature: 0.5,
        maxTokens: 100,
        thinking: "low",
        images: false,
        contextWindow: 1000,
        reasoning: true,
        provider: "acme",
        name: "M",
        timeout: "10m",
        noProgressTimeout: "30s",
        concurrency: 3,
        history: { messages: 7 },
        retry: { attempts: 2, budget: 5000 }
      }
      const environment = { ...keys, OPENAI_BASE_URL: "http://127.0.0.1:11434/v1" }
      const definition = yield* one(written, { environment })
      expect(definition).toEqual({
        kind: "openai",
        policy: {
          noProgressTimeout: Duration.seconds(30),
          retry: {
            attempts: 2,
            baseDelay: Duration.millis(500),
            maxDelay: Duration.seconds(10),
            budget: Duration.seconds(5)
          }
        },
        options: {
          model: "m",
          system: "Be brief.",
          temperature: 0.5,
          maxTokens: 100,
          thinking: "low",
          images: false,
          contextWindow: 1000,
          reasoning: true,
          provider: "acme",
          name: "M",
          runTimeout: Duration.minutes(10),
          maxConcurrentRuns: 3,
          history: { messages: 7, bytes: 256 * 1024 },
          baseUrl: "http://127.0.0.1:11434/v1",
          keyName: "OPENAI_API_KEY",
          apiKey: Option.some(Redacted.make("sk-oai-1"))
        }
      })
      // Whatever prints a definition does not print the key.
      expect(JSON.stringify(definition)).not.toContain("sk-oai-1")
    })
  )

  it.effect("a server of one's own needs no key; one that is named must be there", () =>
    Effect.gen(function* () {
      const local = { kind: "openai", model: "m", baseUrl: "http://127.0.0.1:1/v1" }
      expect(yield* one(local, { environment: {} })).toMatchObject({ options: { apiKey: Option.none() } })
      const failed = yield* Effect.flip(
        one({ ...local, apiKeyEnv: "MY_KEY" }, { environment: { MY_KEY: "" } })
      )
      expect(failed).toContain("agents.main in config.json: the environment variable MY_KEY is not set")
    })
  )

  it.effect("a program: its directory, and of the environment what is allowed and nothing else", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const definition = yield* one(
        {
          kind: "command",
          command: ["./bin/answer", "-v"],
          cwd: "~/src",
          env: { A: "1", HOME: "/elsewhere" },
          passEnv: ["ANTHROPIC_API_KEY"]
        },
        { environment: { ...keys, PATH: "/bin", HOME: "/root", COLLOQUY_TOKEN: "secret", EMPTY: "" } }
      )
      expect(definition).toMatchObject({
        kind: "command",
        options: {
          command: path.resolve("bin/answer"),
          args: ["-v"],
          cwd: `${homedir()}/src`,
          input: "text",
          killGrace: Duration.seconds(2)
        }
      })
      expect(definition?.kind === "command" && definition.options.env).toEqual({
        PATH: "/bin",
        HOME: "/elsewhere",
        A: "1",
        ANTHROPIC_API_KEY: "sk-ant-1"
      })
    }).pipe(Effect.provide(NodePath.layer))
  )

  it.effect("a coding agent: by default it may do nothing that is asked for", () =>
    Effect.gen(function* () {
      expect(yield* one({ kind: "acp", command: "claude-code-acp" })).toMatchObject({
        options: {
          command: "claude-code-acp",
          args: [],
          permissions: "deny",
          files: "none",
          terminal: false,
          process: "agent"
        }
      })
    })
  )
})

describe("what is wrong is told with its place, all of it at once", () => {
  const wrong = (definition: object, more: Omit<Given, "file"> = {}) => Effect.flip(one(definition, more))
  it.effect.each([
    [
      { kind: "anthropic", modle: "x" },
      [
        "agents.main.modle in config.json: there is no such setting. Did you mean model?",
        "agents.main.model in config.json: expected a text that is not empty; found nothing"
      ]
    ],
    [
      { kind: "openai", model: "x", apiKey: "sk-1" },
      [
        "agents.main.apiKey in config.json: a key does not belong into this file: put it into an environment variable, and that one's name into apiKeyEnv"
      ]
    ],
    [
      { kind: "demo", timeout: true, concurrency: 0 },
      [
        "agents.main.timeout in config.json: expected a duration from 0 seconds",
        "agents.main.concurrency in config.json: expected a whole number from 1 to 1000000; found 0"
      ]
    ],
    [
      { kind: "demo", retry: { atempts: 1 } },
      ["agents.main.retry.atempts in config.json: there is no such setting. Did you mean attempts?"]
    ],
    [{ kind: "demo", retry: 3 }, ["agents.main.retry in config.json: expected an object; found 3"]],
    [
      { kind: "comand" },
      [
        'agents.main.kind in config.json: expected one of demo, openai, anthropic, acp, command; found "comand". Did you mean command?'
      ]
    ],
    [
      {},
      [
        "agents.main.kind in config.json: expected one of demo, openai, anthropic, acp, command; found nothing"
      ]
    ],
    [
      { kind: "command", command: [], env: { TOKEN: 1 } },
      [
        "agents.main.command in config.json: expected a program, or an array of a program and its arguments",
        "agents.main.env.TOKEN in config.json: expected a string; found something else"
      ]
    ],
    [
      { kind: "acp", command: "a", permissions: "maybe" },
      ['agents.main.permissions in config.json: expected one of deny, allow, ask; found "maybe"']
    ],
    [
      { kind: "openai", model: "x", baseUrl: "localhost:1" },
      [
        'agents.main.baseUrl in config.json: expected a URL that begins with http:// or https://; found "localhost:1"'
      ]
    ],
    [
      { kind: "openai", model: "x", baseUrl: "http://me:pass@host/" },
      ["agents.main.baseUrl in config.json: a URL with a user name or a password is not taken"]
    ]
  ] as const)("%j", ([definition, messages]) =>
    Effect.gen(function* () {
      const told = yield* wrong(definition)
      for (const message of messages) expect(told).toContain(message)
      expect(told).toContain(
        messages.length === 1 ? "a setting is wrong" : `${messages.length} settings are wrong`
      )
      expect(told).not.toMatch(/sk-1|:pass/)
    })
  )

  it.effect.each([
    [{ agents: [] }, {}, "agents in config.json: expected an object of agents by their ids"],
    [{ agents: { main: {}, MAIN: {} } }, {}, "agents.MAIN in config.json: there are two agents with this id"],
    [{ agents: { "a b": {} } }, {}, "agents.a b in config.json: expected an agent id"],
    [
      { agents: { a: { kind: "demo" } }, defaultAgentId: "b" },
      {},
      'defaultAgentId in config.json: there is no agent "b". The config file has a'
    ],
    [
      { agents: { a: { kind: "demo" } } },
      { agent: "b" },
      '--agent: there is no agent "b". The config file has a; demo, openai, anthropic can be used without one'
    ],
    [{}, { agent: "openai" }, "--agent (openai): needs a model, such as --model gpt-5-mini"],
    [{ agent: "Openai" }, {}, "agent in config.json (openai): needs a model, such as --model gpt-5-mini"],
    [
      { agent: "b", agents: {} },
      {},
      'agent in config.json: there is no agent "b". The config file has none; demo, openai, anthropic can be used without one'
    ],
    [{ model: "m" }, {}, "model in config.json: the demo agent has no model"],
    [{}, { model: "m" }, "--model: the demo agent has no model"],
    [{ agents: { a: { kind: "demo" } } }, { model: "m" }, "--model: only for an agent that --agent makes"]
  ] as const)("%j %j", ([file, flags, message]) =>
    Effect.map(Effect.flip(load({ file, flags })), (told) => expect(told).toContain(message))
  )

  it.effect.each([
    [
      { kind: "anthropic", model: "x" },
      "ANTHROPIC_API_KEY is not set: it holds the key for api.anthropic.com"
    ],
    [{ kind: "openai", model: "x", baseUrl: "https://API.openai.com:443/v1/" }, "OPENAI_API_KEY is not set"]
  ] as const)("a missing key for the provider's own API: %j", ([definition, message]) =>
    Effect.map(wrong(definition, { environment: {} }), (told) =>
      expect(told).toContain(`agents.main in config.json: the environment variable ${message}`)
    )
  )

  it.effect("with the agents, the other settings, the environment and the choice of the default one", () =>
    Effect.gen(function* () {
      const file = {
        port: "many",
        Agents: {},
        agent: "coder",
        agents: {
          "a b": { kind: "demo" },
          one: { kind: "openai", model: "x", baseUrl: "nowhere", apiKeyEnv: "MY_KEY" },
          two: { kind: "acp", permision: "ask" }
        }
      }
      const told = yield* Effect.flip(load({ file, environment: { COLLOQUY_RUN_TIMEOUT: "later" } }))
      expect(told.split("\n").map((line) => line.replace(/(expected|is not set).*/, "$1"))).toEqual([
        "8 settings are wrong:",
        "  port in config.json: expected",
        "  COLLOQUY_RUN_TIMEOUT: expected",
        "  Agents in config.json: there is no such setting. Did you mean agents?",
        // The agent that --agent names could be the one whose id is wrong: that is no further problem.
        "  agents.a b in config.json: expected",
        "  agents.one.baseUrl in config.json: expected",
        "  agents.one in config.json: the environment variable MY_KEY is not set",
        "  agents.two.permision in config.json: there is no such setting. Did you mean permissions?",
        "  agents.two.command in config.json: expected"
      ])
    })
  )

  it.effect("that the config file can't be read says nothing of the agents that it may have", () =>
    Effect.gen(function* () {
      const told = yield* Effect.flip(load({ flags: { config: "/nowhere/config.json", agent: "coder" } }))
      expect(told).toBe("a setting is wrong:\n  /nowhere/config.json: there is no such config file")
    })
  )
})

describe("secrets are not shown, wherever they were written by mistake", () => {
  it.effect.each([
    [{ kind: "openai", model: "x", apiKey: "SECRET-1" }],
    [{ kind: "openai", model: "x", apiKeyEnv: "SECRET-1" }],
    [{ kind: "openai", model: "x", apiKeyEnv: "gsk_SECRET1" }],
    [{ kind: "openai", model: "x", apiKeyEnv: "SECRETlowercase" }],
    [{ kind: "openai", model: "x", baseUrl: "ftp://me:SECRET@host/" }],
    [{ kind: "openai", model: "x", baseUrl: "https://me:SECRET@host/" }],
    [{ kind: "openai", model: "x", baseUrl: "host/?key=SECRET" }],
    [{ kind: "openai", model: "x", baseUrl: ["https://host/?key=SECRET"] }],
    [{ kind: "openai", model: "x", baseUrl: "https://host/?key=SECRET", apiKeyEnv: "NOT_SET" }],
    [{ kind: "command", command: ["x", "--key", "SECRET", 1] }],
    [{ kind: "command", command: "x --key=SECRET" }],
    [{ kind: "command", command: "x", passEnv: ["KEY=SECRET"] }],
    [{ kind: "command", command: "x", env: "KEY=SECRET" }],
    [{ kind: "command", command: "x", env: { KEY: ["SECRET"] } }],
    [{ kind: "acp", command: "x", token: "SECRET" }]
  ] as const)("%j", ([definition]) =>
    Effect.map(Effect.flip(one(definition, { environment: {} })), (told) => {
      expect(told).toContain("agents.main")
      expect(told).not.toContain("SECRET")
    })
  )

  it.effect("a key with a line break behind it is taken without; one that can't be a key is refused", () =>
    Effect.gen(function* () {
      const model = { kind: "openai", model: "x" }
      const read = yield* one(model, { environment: { OPENAI_API_KEY: " sk-1\n" } })
      expect(read).toMatchObject({ options: { apiKey: Option.some(Redacted.make("sk-1")) } })
      for (const key of ["SECRET of two lines\nSECRET", "“SECRET”", " "]) {
        const told = yield* Effect.flip(one(model, { environment: { OPENAI_API_KEY: key } }))
        expect(told).toContain("agents.main in config.json: what is in OPENAI_API_KEY can't be a key")
        expect(told).not.toContain("SECRET")
      }
    })
  )
})

describe("the documents", () => {
  it.effect("have an example of each kind, and each can be read", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const pages = yield* Effect.forEach(["docs/agents.md", "README.md"], (page) => fs.readFileString(page))
      const examples = [...pages.join("\n").matchAll(/```json\n([\s\S]*?)```/g)].map(
        ([, text]): Record<string, unknown> => JSON.parse(text ?? "")
      )
      const kinds = new Set<string>()
      for (const file of examples) {
        const { definitions } = yield* load({ file })
        for (const { kind } of definitions.values()) kinds.add(kind)
      }
      expect([...kinds].toSorted()).toEqual(["acp", "anthropic", "command", "demo", "openai"])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
