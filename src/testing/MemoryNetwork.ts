/**
 * MemoryNetwork: the WebSocket of a client whose gateway is in the same process. Frames go from hand to hand, under the clock of
 * the test, and the network between them does what the test says: it cuts, swallows, or is not there.
 */
import type { Socket } from "@effect/platform"
import { Socket as PlatformSocket } from "@effect/platform"
import { Context, Effect, Layer, Runtime } from "effect"
import { Gateway } from "../gateway/Gateway.js"
import * as TestClient from "./TestClient.js"

export interface MemoryNetworkShape {
  /** Cuts every connection, without a goodbye to either side. */
  readonly cut: Effect.Effect<void>
  /** Swallows what the gateway sends from now on; the connections stay. */
  readonly deafen: Effect.Effect<void>
  /** Swallows what clients send from now on; the connections stay. */
  readonly mute: Effect.Effect<void>
  /** Delivers again, on connections made before too. What was swallowed is lost. */
  readonly heal: Effect.Effect<void>
  /** Refuses new connections, or takes them again. */
  readonly refuse: (refused: boolean) => Effect.Effect<void>
  /** How many connections were made until now. */
  readonly dialled: Effect.Effect<number>
}

export class MemoryNetwork extends Context.Tag("colloquy/MemoryNetwork")<
  MemoryNetwork,
  MemoryNetworkShape
>() {}

/** What is shared by the sockets of one network. */
interface Weather {
  deaf: boolean
  mute: boolean
  refused: boolean
  dialled: number
}

const states = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const

/** As much of a browser's WebSocket as a client uses; the rest is there and does nothing. */
class MemorySocket extends EventTarget implements globalThis.WebSocket {
  readonly CONNECTING = states.CONNECTING
  readonly OPEN = states.OPEN
  readonly CLOSING = states.CLOSING
  readonly CLOSED = states.CLOSED
  readonly bufferedAmount = 0
  readonly extensions = ""
  readonly protocol = ""
  readonly url: string
  binaryType: globalThis.WebSocket["binaryType"] = "arraybuffer"
  onopen: globalThis.WebSocket["onopen"] = null
  onmessage: globalThis.WebSocket["onmessage"] = null
  onerror: globalThis.WebSocket["onerror"] = null
  onclose: globalThis.WebSocket["onclose"] = null
  #state: globalThis.WebSocket["readyState"] = states.CONNECTING
  #wire: TestClient.Wire | undefined
  readonly #weather: Weather

  constructor(url: string, weather: Weather) {
    super()
    this.url = url
    this.#weather = weather
  }

  get readyState(): globalThis.WebSocket["readyState"] {
    return this.#state
  }

  opened(wire: TestClient.Wire): void {
    this.#wire = wire
    this.#state = states.OPEN
    this.dispatchEvent(new Event("open"))
  }

  received(frame: string): void {
    if (this.#state !== states.OPEN || this.#weather.deaf) return
    this.dispatchEvent(new MessageEvent("message", { data: frame }))
  }

  failed(): void {
    this.#state = states.CLOSED
    this.dispatchEvent(new Event("error"))
  }

  ended(code: number, reason: string): void {
    if (this.#state === states.CLOSED) return
    this.#state = states.CLOSED
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 }))
  }

  cut(): void {
    this.#wire?.cut()
    this.ended(1006, "")
  }

  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    if (this.#state !== states.OPEN || this.#weather.mute) return
    this.#wire?.send(typeof data === "string" ? data : null)
  }

  close(code = 1000, reason = ""): void {
    this.#wire?.cut()
    this.ended(code, reason)
  }
}

const make = Effect.gen(function* () {
  const gateway = yield* Gateway
  const runtime = yield* Effect.runtime()
  const weather: Weather = { deaf: false, mute: false, refused: false, dialled: 0 }
  const sockets = new Set<MemorySocket>()

  const dial = (url: string): MemorySocket => {
    weather.dialled += 1
    const socket = new MemorySocket(url, weather)
    if (weather.refused) {
      queueMicrotask(() => socket.failed())
      return socket
    }
    sockets.add(socket)
    const early: Array<string> = []
    let isOpen = false
    const wire = TestClient.memoryWire(gateway)({
      onFrame: (frame) => (isOpen ? socket.received(frame) : void early.push(frame)),
      onClose: ({ code, reason }) => {
        sockets.delete(socket)
        socket.ended(code, reason)
      }
    })
    Runtime.runCallback(runtime)(wire, {
      onExit: (exit) =>
        queueMicrotask(() => {
          if (exit._tag === "Failure") return socket.failed()
          socket.opened(exit.value)
          isOpen = true
          for (const frame of early) socket.received(frame)
        })
    })
    return socket
  }

  const network = MemoryNetwork.of({
    cut: Effect.sync(() => {
      for (const socket of sockets) socket.cut()
      sockets.clear()
    }),
    deafen: Effect.sync(() => void (weather.deaf = true)),
    mute: Effect.sync(() => void (weather.mute = true)),
    heal: Effect.sync(() => {
      weather.deaf = false
      weather.mute = false
    }),
    refuse: (refused) => Effect.sync(() => void (weather.refused = refused)),
    dialled: Effect.sync(() => weather.dialled)
  })
  return Context.make(MemoryNetwork, network).pipe(Context.add(PlatformSocket.WebSocketConstructor, dial))
})

/** Beside a gateway in memory: `Client.make` finds it under any address. */
export const layer: Layer.Layer<MemoryNetwork | Socket.WebSocketConstructor, never, Gateway> =
  Layer.effectContext(make)
