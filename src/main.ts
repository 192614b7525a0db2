#!/usr/bin/env node
import * as Cli from "./cli/Cli.js"
import * as Process from "./cli/Process.js"

Process.run(Cli.run(process.argv))
