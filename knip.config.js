import pkg from "./package.json" with { type: "json" }

/**
 * What is used: whatever the bin, the package's exports, the tests and the scripts reach.
 * The entries of the library are read from package.json, so that a new export needs no second place.
 */
const sources = (target) =>
  typeof target === "string"
    ? [target]
    : Object.entries(target ?? {}).flatMap(([key, value]) => (key === "types" ? [] : sources(value)))

const exported = sources(pkg.exports)
  .filter((path) => path.endsWith(".js"))
  .map((path) => path.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts"))

export default {
  entry: [...exported.map((path) => `${path}!`), "src/main.ts!", "test/**/*.test.ts", "scripts/**/*.mjs"],
  project: ["src/**/*.ts!", "test/**/*.ts", "scripts/**/*.mjs"],
  // Not dead: the parts of a schema are named and exported, so that the contract can be read and built upon.
  ignoreExportsUsedInFile: true
}
