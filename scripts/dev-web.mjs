/**
 * `npm run dev:web [-- gateway]`: the page from its sources, drawn anew on every change, at http://127.0.0.1:5173/. What it asks
 * of the gateway goes to the one that runs at `gateway` (default http://127.0.0.1:18789).
 */
import { createServer } from "vite"
import { web } from "./web.mjs"

const target = process.argv[2] ?? "http://127.0.0.1:18789"

const server = await createServer({
  ...web,
  logLevel: "info",
  server: {
    host: "127.0.0.1",
    port: 5173,
    proxy: {
      // The page's own WebSocket has the page's address; the page itself is Vite's.
      "^/$": { target, ws: true, bypass: (request) => (request.headers.upgrade ? undefined : request.url) },
      "/login": { target }
    }
  }
})
await server.listen()
server.printUrls()
