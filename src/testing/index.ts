/** `colloquy/testing`: a whole gateway in memory, with an agent and clients that do what a test says. */
export * as FaultyFileSystem from "./FaultyFileSystem.js"
export * as GatewayTest from "./GatewayTest.js"
export * as MemoryNetwork from "./MemoryNetwork.js"
export * as ScriptedAgent from "./ScriptedAgent.js"
export * as TestClient from "./TestClient.js"
