/**
 * The client that the makers of the existing clients publish, as it is, against our gateway with files: under real time,
 * because its timers are its own.
 */
import { NodeContext } from "@effect/platform-node"
import { FileSystem } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { GatewayClient, type GatewayClientOptions } from "@openclaw/gateway-client"
import { Context, Deferred, Effect, Exit, Layer, Logger, Queue, Redacted, Scope } from "effect"
import * as AgentDemo from "../../src/agent/AgentDemo.js"
import * as Authenticator from "../../src/auth/Authenticator.js"
import * as Gateway from "../../src/Gateway.js"
import * as GatewayConfig from "../../src/GatewayConfig.js"
import * as SessionStoreFile from "../../src/session/SessionStoreFile.js"
import * as WebSocketTransport from "../../src/transport/WebSocketTransport.js"
import * as Device from "../support/Device.js"

const token = "s3cret"

/** A gateway over a state directory, until its scope closes. */
const serve = (stateDir: string, port: number) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const context = yield* Layer.buildWithScope(
      WebSocketTransport.layer({ host: "127.0.0.1", port }).pipe(
        Layer.provide(Gateway.layer),
        Layer.provide(
          Layer.mergeAll(
            AgentDemo.layer,
            Authenticator.layerToken(Redacted.make(token)),
            SessionStoreFile.layer({ stateDir, sessionKeyDefaults: GatewayConfig.defaults, cwd: "/" }),
            GatewayConfig.layer()
          )
        ),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      ),
      scope
    )
    return { address: Context.get(context, WebSocketTransport.Address), stop: Scope.close(scope, Exit.void) }
  })

type Hello = Parameters<NonNullable<GatewayClientOptions["onHelloOk"]>>[0]
type Received = Parameters<NonNullable<GatewayClientOptions["onEvent"]>>[0]
type Paused = Parameters<NonNullable<GatewayClientOptions["onReconnectPaused"]>>[0]

/** The published client, and what it says of itself. */
const makeClient = (options: GatewayClientOptions) =>
  Effect.gen(function* () {
    const hellos = yield* Queue.unbounded<Hello>()
    const events = yield* Queue.unbounded<Received>()
    const closes = yield* Queue.unbounded<number>()
    const paused = yield* Deferred.make<Paused>()
    const errors: Array<string> = []
    const gaps: Array<unknown> = []
    const client = new GatewayClient({
      deviceIdentity: null,
      ...options,
      minProtocol: 4,
      maxProtocol: 4,
      onHelloOk: (hello) => hellos.unsafeOffer(hello),
      onEvent: (event) => events.unsafeOffer(event),
      onClose: (code) => closes.unsafeOffer(code),
      onConnectError: (error) => errors.push(error.message),
      onReconnectPaused: (info) => Deferred.unsafeDone(paused, Effect.succeed(info)),
      onGap: (gap) => gaps.push(gap)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => client.start()),
      () => Effect.promise(() => client.stopAndWait())
    )
    const request = (method: string, params: unknown) =>
      Effect.tryPromise({ try: () => client.request(method, params), catch: String })
    const event = (fits: (event: Received) => boolean) => Effect.repeat(Queue.take(events), { until: fits })
    return {
      hello: Queue.take(hellos),
      close: Queue.take(closes),
      paused: Deferred.await(paused),
      request,
      event,
      errors,
      gaps
    }
  })

const chat = (runId: string, state: string) => (event: Received) =>
  event.event === "chat" &&
  (event.payload as { readonly runId: string }).runId === runId &&
  (event.payload as { readonly state: string }).state === state

it.scopedLive("it connects, sends, streams, aborts, reads history, and comes back after a restart", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const stateDir = yield* fs.makeTempDirectoryScoped()
    const first = yield* serve(stateDir, 0)
    const client = yield* makeClient({ url: first.address.url, token })
    const hello = yield* client.hello
    expect(hello).toMatchObject({ protocol: 4, auth: { role: "operator" } })

    expect(
      yield* client.request("chat.send", {
        sessionKey: "main",
        message: "one two {{ms=0}}",
        idempotencyKey: "r1"
      })
    ).toEqual({ runId: "r1", status: "started" })
    yield* client.event(chat("r1", "final"))
    const history = yield* client.request("chat.history", { sessionKey: "main" })
    expect(history).toMatchObject({
      messages: [
        { role: "user", content: [{ type: "text", text: "one two {{ms=0}}" }] },
        { role: "assistant", content: [{ type: "text", text: "one two" }] }
      ]
    })

    yield* client.request("chat.send", {
      sessionKey: "main",
      message: "{{n=1 ms=0 hang=1}}",
      idempotencyKey: "r2"
    })
    yield* client.event(chat("r2", "delta"))
    expect(yield* client.request("chat.abort", { sessionKey: "main", runId: "r2" })).toEqual({
      ok: true,
      aborted: true,
      runIds: ["r2"]
    })
    yield* client.event(chat("r2", "aborted"))
    const refused = yield* Effect.flip(client.request("chat.history", { sessionKey: "../etc" }))
    expect(refused).toContain("invalid sessionKey")

    yield* first.stop
    expect(yield* client.event(({ event }) => event === "shutdown")).toMatchObject({
      payload: { reason: "service restart" }
    })
    expect(yield* client.close).toBe(1012)
    const second = yield* serve(stateDir, first.address.port)
    const again = yield* client.hello
    expect(again.server.bootId).not.toBe(hello.server.bootId)
    // What was said before is still there, with the part of the answer that was said before the abort.
    expect(yield* client.request("chat.history", { sessionKey: "main" })).toMatchObject({
      messages: [
        { role: "user" },
        { role: "assistant" },
        { role: "user" },
        { role: "assistant", stopReason: "aborted" }
      ]
    })
    yield* client.request("chat.send", {
      sessionKey: "main",
      message: "three {{ms=0}}",
      idempotencyKey: "r3"
    })
    yield* client.event(chat("r3", "final"))
    expect(client.gaps).toEqual([])
    expect(client.errors.filter((error) => !error.includes("ECONNREFUSED"))).toEqual([])
    yield* second.stop
  }).pipe(Effect.provide(NodeContext.layer))
)

it.scopedLive("with a wrong token it gives up, instead of coming back for ever", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { address } = yield* serve(yield* fs.makeTempDirectoryScoped(), 0)
    const wrong = yield* makeClient({ url: address.url, token: "nope" })
    expect(yield* wrong.paused).toMatchObject({ code: 1008, detailCode: "AUTH_TOKEN_MISMATCH" })
    expect(wrong.errors).toEqual(["unauthorized: token mismatch"])
    const none = yield* makeClient({ url: address.url })
    expect(yield* none.paused).toMatchObject({ code: 1008, detailCode: "AUTH_TOKEN_MISSING" })
  }).pipe(Effect.provide(NodeContext.layer))
)

it.scopedLive("with a device identity it comes in, and with another's key it does not", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { address } = yield* serve(yield* fs.makeTempDirectoryScoped(), 0)
    const [device, other] = [Device.make(), Device.make()]
    const as = (key: ReturnType<typeof Device.make>): Partial<GatewayClientOptions> => ({
      deviceIdentity: { deviceId: device.id, publicKeyPem: device.pem, privateKeyPem: device.privatePem },
      platform: "MacOS",
      deviceFamily: "Mac",
      hostDeps: {
        signDevicePayload: (_pem, payload) => key.signText(payload).toString("base64url"),
        publicKeyRawBase64UrlFromPem: () => device.publicKey
      }
    })
    const right = yield* makeClient({ url: address.url, token, ...as(device) })
    expect(yield* right.hello).toMatchObject({ protocol: 4, auth: { role: "operator" } })
    const wrong = yield* makeClient({ url: address.url, token, ...as(other) })
    expect(yield* wrong.close).toBe(1008)
    expect(wrong.errors).toEqual(["unauthorized: device signature invalid"])
  }).pipe(Effect.provide(NodeContext.layer))
)
