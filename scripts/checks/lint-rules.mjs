/**
 * The house's own lint rules, loaded by .oxlintrc.json as the plugin "house".
 *
 * Each rule is a list of syntax selectors (esquery, as in ESLint's no-restricted-syntax, which oxlint lacks)
 * with the reason. Which folders a rule holds for is decided in .oxlintrc.json.
 */

/** A rule that reports every node that one of the selectors matches. */
const forbid = (...pairs) => ({
  create: (context) =>
    Object.fromEntries(
      pairs.map(([selector, message]) => [selector, (node) => context.report({ node, message })])
    )
})

/** A call that registers tests: it(…), it.effect(…), it.effect.only(…), it.each(…)(…), it.effect.each(…)(…). */
const name = "/^(it|test|describe|layer)$/"
const registers = [
  "callee",
  "callee.object",
  "callee.object.object",
  "callee.callee.object",
  "callee.callee.object.object"
].map((path) => `CallExpression[${path}.name=${name}]`)
const onRegister = (rest, message) => [registers.map((call) => call + rest).join(", "), message]

/** it.only, it.effect.only, describe.only, … for any of the words. */
const modifier = (words) =>
  [`object`, `object.object`]
    .map((path) => `MemberExpression[${path}.name=${name}][property.name=/^(${words})$/]`)
    .join(", ")

/** globalThis.setTimeout and the like: a way around no-restricted-globals. */
const viaGlobalThis =
  "MemberExpression[object.name=/^(globalThis|global)$/][property.name=/^(Date|Math|process|performance|setTimeout|setInterval|setImmediate)$/]"

/** A test body that runs under the real clock: it.live, it.scopedLive. */
const live = `CallExpression[callee.object.name=/^(it|test)$/][callee.property.name=/^(live|scopedLive)$/]`

export default {
  meta: { name: "house" },
  rules: {
    /** Casts that switch the compiler off. A decode, a type guard or a better type says the same and is checked. */
    "no-double-cast": forbid([
      "TSAsExpression > TSAsExpression > TSUnknownKeyword, TSAsExpression > TSAsExpression > TSNeverKeyword",
      "`as unknown as T` tells the compiler nothing it can check: decode, narrow or fix the type."
    ]),

    /** What TestClock and a test's Random and ConfigProvider cannot steer, where oxlint's own rules do not look. */
    "no-ambient": forbid(
      [
        "NewExpression[callee.name='Date'][arguments.length=0]",
        "Time comes from Effect's Clock (or DateTime.now)."
      ],
      ["CallExpression[callee.name='Date']", "Time comes from Effect's Clock (or DateTime.now)."],
      [viaGlobalThis, "Use Effect's Clock, Random and Config."]
    ),

    /** Blocking calls stop every connection. By name, because Schema.decodeSync and the like are no I/O. */
    "no-sync-io": forbid([
      "CallExpression[callee.name=/^(exec|execFile|spawn)Sync$/], " +
        "CallExpression[callee.property.name=/^(exec|execFile|spawn|(read|write|append|copy|truncate|cp|rm)(File)?|(f?stat|lstat|exists|access|mkdir|mkdtemp|readdir|rename|rmdir|unlink|open|close|f?sync|fdatasync|link|symlink|realpath|chmod|chown|utimes))Sync$/]",
      "Synchronous I/O stops every connection: use FileSystem or Command of @effect/platform."
    ]),

    /** A test that waits for real time is slow on a good day and wrong on a bad one. */
    "no-sleep": forbid(
      [
        `${live} MemberExpression[object.name='Effect'][property.name=/^(sleep|delay)$/]`,
        "No sleeping under the live clock: wait on a receipt, or use TestClock."
      ],
      [
        "ImportDeclaration[source.value=/^(node:)?timers(.promises)?$/]",
        "No timers in a test: wait on a receipt, or use TestClock."
      ],
      [
        "MemberExpression[object.name='vi'][property.name=/^(useFakeTimers|setConfig|waitFor|waitUntil)$/]",
        "Time in a test is TestClock; limits are vitest's defaults."
      ],
      [
        "ImportDeclaration[source.value='@effect/vitest'] > ImportSpecifier[imported.name='layer']",
        "`layer` replaces the methods of the one global `it`, for every file behind this one: use test/support/Shared.ts."
      ],
      [viaGlobalThis, "Wait on a receipt, or use TestClock."],
      ["MemberExpression[object.name='Atomics'][property.name='wait']", "No sleeping in a test."]
    ),

    /** A suite that is partly off proves nothing. */
    "no-focus-or-skip": forbid(
      [modifier("only"), "`.only` turns the rest of the suite off."],
      [
        modifier("skip|skipIf|runIf|todo|fails"),
        "A test that does not run needs its reason: disable this line with `-- why`."
      ]
    ),

    /** Defaults decide how long and how often a test runs: needing more means waiting for the wrong thing. */
    "no-raised-limits": forbid(
      onRegister(
        "[arguments.length>2] > Literal[raw=/^[0-9]/]",
        "A test that needs a timeout to pass is wrong."
      ),
      onRegister(
        " > ObjectExpression.arguments > Property[key.name=/^(timeout|retry|repeats)$/]",
        "No retries and no raised timeouts: make the test wait for the right thing."
      ),
      [
        "MemberExpression[object.name='it'][property.name='flakyTest']",
        "A flaky test is a bug in the test or the code."
      ]
    ),

    /** Whoever switches a rule off says why, so that the next person can tell when the reason is gone. */
    "disable-needs-reason": {
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            if (/^\s*(oxlint|eslint)-disable/.test(comment.value) && !/ -- \S/.test(comment.value)) {
              context.report({
                node: comment,
                message: "Say why: `oxlint-disable-next-line RULE -- reason`."
              })
            }
          }
        }
      })
    }
  }
}
