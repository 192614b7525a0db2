import { contract } from "./SessionStore.contract.js"
import { implementations } from "./StoreProbe.js"

for (const [name, layer] of implementations) contract(name, layer)
