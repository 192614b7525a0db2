// A small load client: as little of its own cost as possible, so that what is measured is the server.
import { WebSocket } from "ws"

export class Client {
  #waiting = new Map()
  #ids = 0
  #terminals = new Map()
  events = []
  onEvent = undefined
  bytes = 0

  static async connect(url, token, { caps, protocol = 4, scopes } = {}) {
    const client = new Client()
    const socket = new WebSocket(url, { perMessageDeflate: false })
    client.socket = socket
    await new Promise((resolve, reject) => {
      socket.once("error", reject)
      socket.on("message", (data) => {
        client.bytes += data.length
        const frame = JSON.parse(data)
        if (frame.type === "res") {
          const waiter = client.#waiting.get(frame.id)
          client.#waiting.delete(frame.id)
          waiter?.(frame)
        } else if (frame.event === "connect.challenge") {
          client
            .request("connect", {
              minProtocol: protocol,
              maxProtocol: protocol,
              client: { id: "test", version: "0", platform: "bench", mode: "test" },
              auth: { token },
              ...(caps ? { caps } : {}),
              ...(scopes ? { scopes } : {})
            })
            .then((reply) => (reply.ok ? resolve() : reject(new Error(reply.error.message))))
        } else {
          const { payload } = frame
          if (frame.event === "chat" && payload.state !== "delta") {
            client.#terminals.get(payload.runId)?.(payload)
            client.#terminals.delete(payload.runId)
          }
          client.onEvent?.(frame)
        }
      })
    })
    return client
  }

  request(method, params) {
    const id = String(++this.#ids)
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.socket.send(JSON.stringify({ type: "req", id, method, params }))
    })
  }

  // Resolves with the chat event that ends the run.
  terminal(runId) {
    return new Promise((resolve) => this.#terminals.set(runId, resolve))
  }

  // The run was not accepted: nothing will end it.
  forget(runId) {
    this.#terminals.delete(runId)
  }

  close() {
    this.socket.terminate()
  }
}
