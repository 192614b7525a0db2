// The floor: what Node can do with the usual library and nothing else. Run as a process of its own, like the gateway.
import { WebSocketServer } from "ws"

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 })
server.on("listening", () => process.send({ port: server.address().port }))
server.on("connection", (socket) => {
  socket.on("message", (data) => {
    const text = data.toString()
    if (text.startsWith("broadcast ")) {
      const [, count, size] = text.split(" ")
      const frame = JSON.stringify({ type: "event", event: "chat", payload: "x".repeat(Number(size)) })
      for (let index = 0; index < Number(count); index++)
        for (const client of server.clients) client.send(frame)
    } else socket.send(text)
  })
})
process.on("message", () => process.send({ rss: process.memoryUsage().rss }))
