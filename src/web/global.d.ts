/** The package's version, put in by the build (scripts/web.mjs). */
declare const __COLLOQUY_VERSION__: string
