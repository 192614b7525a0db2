import { implementations } from "./LogProbe.js"
import { contract } from "./RunJournal.contract.js"

for (const [name, layer] of implementations) contract(name, layer)
