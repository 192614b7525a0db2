/** Requests as Node's server hands them on, without a connection. */
import { IncomingMessage } from "node:http"
import { Socket } from "node:net"

/** `headers`: names in lower case. `remoteAddress`: the socket's other end. */
export const incoming = (
  headers: Readonly<Record<string, string | undefined>>,
  remoteAddress = "127.0.0.1"
): IncomingMessage => {
  const socket = new Socket()
  Object.defineProperty(socket, "remoteAddress", { value: remoteAddress })
  const request = new IncomingMessage(socket)
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) request.headers[name] = value
  return request
}
