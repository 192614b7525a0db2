import { connect } from "colloquy/client/promise"

const client = connect({
  url: "wss://chat.example.com/",
  token: "my-token",
  client: { id: "my-page", version: "1.0.0", platform: "web", mode: "webchat" }
})

export const ask = async (message: string): Promise<string> => {
  const run = await client.send({ sessionKey: "main", message })
  let answer = ""
  for await (const { added, rewritten } of run) answer = rewritten ? added : answer + added
  return answer
}
