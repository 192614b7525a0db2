/**
 * The layers of the house: imports point downwards only, types included.
 *
 *   main → cli → Gateway → transport → gateway → {run, event, journal, session, agent, auth} → protocol → domain
 *
 * `run` stands above its neighbours: it is where session, agents and events meet.
 */

/** Layers from top to bottom. A layer may import itself and what stands below it. */
const layers = [
  ["main", "^src/main\\.ts$"],
  ["cli", "^src/cli/"],
  ["Gateway", "^src/Gateway\\.ts$"],
  ["transport", "^src/transport/"],
  ["gateway", "^src/gateway/"],
  ["run", "^src/run/"],
  ["event, journal, session, agent, auth", "^src/(event|journal|session|agent|auth)/"],
  ["protocol", "^src/protocol/"],
  ["domain", "^src/domain/"]
]

/** One rule for each layer: nothing of the layers above it, and nothing of the houses beside the tower. */
const downwards = layers.map(([name, path], level) => ({
  name: `downwards-only: ${name}`,
  comment: `${name} may import only what stands below it.`,
  severity: "error",
  from: { path },
  to: { path: [...layers.slice(0, level).map(([, above]) => above), "^src/testing/"] }
}))

const forbid = (name, comment, from, to) => ({ name, comment, severity: "error", from, to })

export default {
  forbidden: [
    ...downwards,

    forbid("no-cycles", "Two modules that need each other are one module, or three.", {}, { circular: true }),

    forbid(
      "domain-imports-only-effect",
      "The domain is pure: it knows effect and itself.",
      { path: "^src/domain/" },
      { pathNot: ["^src/domain/", "^node_modules/effect/"] }
    ),
    forbid(
      "protocol-runs-anywhere",
      "The wire contract is read by servers and browsers: effect, the domain and itself.",
      { path: "^src/protocol/" },
      { pathNot: ["^src/(protocol|domain)/", "^node_modules/effect/"] }
    ),
    forbid(
      "client-knows-only-the-contract",
      "The client runs in a browser too: protocol, domain and Effect's packages, nothing of the server, nothing of Node.",
      { path: "^src/client/" },
      { pathNot: ["^src/(client|protocol|domain)/", "^node_modules/(effect|@effect/platform)/"] }
    ),
    forbid(
      "web-knows-only-the-client",
      "The page talks through the client.",
      { path: "^src/web/" },
      { path: "^src/", pathNot: "^src/(web|client|protocol|domain)/" }
    ),
    forbid(
      "config-stays-below",
      "GatewayConfig is read by many, so it may need only domain and protocol.",
      { path: "^src/GatewayConfig\\.ts$" },
      { path: "^src/", pathNot: "^src/(domain|protocol)/" }
    ),
    forbid(
      "config-readers",
      "Agents, auth and the layers below are given what they need, not the whole configuration.",
      { path: "^src/(agent|auth|protocol|domain|client|web)/" },
      { path: "^src/GatewayConfig\\.ts$" }
    ),
    forbid(
      "testing-needs-no-socket",
      "The test kit runs a whole gateway in memory, so it needs neither transport nor command line.",
      { path: "^src/testing/" },
      { path: "^src/(transport/|cli/|main\\.ts$)" }
    ),
    forbid(
      "client-and-page-are-for-others",
      "The server does not talk to itself; only the command line uses the client, and only transport serves the page.",
      { path: "^src/", pathNot: "^src/(client|web|cli|testing)/" },
      { path: "^src/client/" }
    ),

    forbid(
      "only-transport-knows-sockets",
      "ws and Node's servers stay behind one door, so that everything else is testable without them.",
      { path: "^src/", pathNot: "^src/transport/" },
      { path: ["^node_modules/(ws|@types/ws)/", "^(node:)?(http|https|http2|net|tls)$"] }
    ),
    forbid(
      "no-node-fs",
      "Files are read and written through FileSystem of @effect/platform, so that a test can make them fail.",
      { path: "^src/" },
      { path: "^(node:)?fs(/promises)?$" }
    ),
    forbid(
      "src-stands-alone",
      "What is shipped must not need what is not.",
      { path: "^src/" },
      { path: "^(test|scripts|dist)/" }
    ),
    forbid(
      "no-dev-dependencies",
      "A dev dependency is not there when the package is installed.",
      // The page is bundled: what it needs is in dist/web.
      { path: "^src/", pathNot: "^src/web/" },
      { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] }
    ),
    forbid("resolvable", "Every import leads somewhere.", {}, { couldNotResolve: true })
  ],
  options: {
    doNotFollow: { path: "^(node_modules|dist)/" },
    exclude: { path: "^dist/" },
    tsPreCompilationDeps: true, // type imports tie modules together as well
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"]
    }
  }
}
