import { run } from "./Harness.js"
import { layer } from "./SocketHarness.js"
import { suites } from "./suites.js"

run("over a WebSocket, with files", layer, suites)
