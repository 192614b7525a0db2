import { defineConfig } from "vitest/config"

// Tests import the library by its public names, from its sources.
const conditions = ["colloquy-source"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    // Processes, not threads: tests of the program itself need signals and a working directory of their own.
    pool: "forks",
    // One for each core of the smallest machine that this runs on; with one alone it takes 70 s instead of 45.
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    // Loading Effect costs 1.5 s, and isolation pays it again for each file: 40 files took 67 s with it and 3 s without.
    // So files share their modules. What makes that safe is a promise of the house anyway: no module holds state.
    isolate: false
  }
})
