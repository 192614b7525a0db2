import { contract } from "./SessionChanges.contract.js"
import { implementations } from "./StoreDisk.js"

for (const [name, make] of implementations) contract(name, make)
