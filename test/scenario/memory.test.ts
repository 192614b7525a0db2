import { run } from "./Harness.js"
import { layer } from "./MemoryHarness.js"
import { suites } from "./suites.js"

run("in memory, without a socket", layer, suites)
