/** What is used: whatever the bin, the package's exports (knip reads them itself), the tests and the scripts reach. */
export default {
  entry: [
    "src/main.ts!",
    "src/web/main.tsx!",
    "test/**/*.test.ts",
    "test/examples/*.ts",
    "test/crash/{Driver,Gateway}.ts",
    "scripts/**/*.mjs"
  ],
  project: ["src/**/*.{ts,tsx}!", "test/**/*.ts", "scripts/**/*.mjs"],
  // Of every system that has a dynamic linker.
  ignoreBinaries: ["ldd"],
  // Not dead: the parts of a schema are named and exported, so that the contract can be read and built upon.
  ignoreExportsUsedInFile: true
}
