/** This build. A test holds the version against package.json. */
export const version = "0.1.0"
