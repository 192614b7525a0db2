/** The program as the systemd unit of docs/deployment.md starts it. */
import { once } from "node:events"
import { request } from "node:http"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { makeStateDir, Program, layer } from "../cli/Program.js"
import { block } from "../support/Proxy.js"
import { shared } from "../support/Shared.js"

/** The values of a key of the unit, in their order. */
const valuesOf = (key: string): ReadonlyArray<string> =>
  block("ini")
    .split("\n")
    .flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []))

const environment = new Map(
  valuesOf("Environment").map((assignment) => {
    const [name = "", ...value] = assignment.split("=")
    return [name, value.join("=")] as const
  })
)

/** The status of a request under that name. */
const statusAs = (port: number, host: string) =>
  Effect.promise(async () => {
    const sent = request({ port, host: "127.0.0.1", headers: { Host: host } }).end()
    const [response] = await once(sent, "response")
    response.resume()
    return response.statusCode
  })

const run = shared(Layer.merge(layer, NodeFileSystem.layer))

it("starts, answers under its name, keeps the token out of the journal, and stops in time", () =>
  run(
    Effect.gen(function* () {
      const [command, ...args] = (valuesOf("ExecStart")[0] ?? "").split(" ")
      expect(command).toBe("colloquy")
      expect(environment.get("COLLOQUY_STATE_DIR")).toBe(`/var/lib/${valuesOf("StateDirectory")[0]}`)
      const stateDir = yield* makeStateDir
      const gateway = yield* Effect.flatMap(Program, (program) =>
        program.start(args, {
          ...Object.fromEntries(environment),
          COLLOQUY_STATE_DIR: stateDir,
          COLLOQUY_PORT: "0"
        })
      )
      const [, port] = yield* gateway.until("stdout", /listens on ws:\/\/127\.0\.0\.1:(\d+) /)
      expect(yield* statusAs(Number(port), "chat.example.com")).toBe(200)
      expect(yield* statusAs(Number(port), "evil.example")).toBe(403)

      yield* gateway.signal("SIGTERM")
      const { code, stderr, stdout } = yield* gateway.ended
      expect(code).toBe(0)
      const fs = yield* FileSystem.FileSystem
      const token = (yield* fs.readFileString(`${stateDir}/token`)).trim()
      // What is on standard output is nobody's business but the owner's.
      expect(stdout).toContain(token)
      expect(valuesOf("StandardOutput")).toEqual(["null"])
      expect(stderr).toContain("stopped")
      expect(stderr).not.toContain(token)
    })
  ))

it("does not start again for a wrong setting", () =>
  run(
    Effect.gen(function* () {
      const program = yield* Program
      const { code } = yield* Effect.flatMap(
        program.start(["serve", "--port", "no"]),
        (running) => running.ended
      )
      expect(valuesOf("RestartPreventExitStatus")).toEqual([String(code)])
    })
  ))
