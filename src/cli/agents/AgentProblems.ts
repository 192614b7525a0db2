/** AgentProblems: what is wrong with an agent in the config file, in the words of the settings. */
import { Option, type ParseResult, SchemaAST } from "effect"
import { nearest } from "../Nearest.js"
import type { SettingProblem } from "../SettingsError.js"

export type Problems = ReadonlyArray<SettingProblem>

/** Names a place in an agent by its path: `.retry.attempts`. */
export type Where = (path: string) => string

/** Everything that is wrong. `where` names a place in the agent; `fieldsAt` tells the fields that there are at a path. */
export const list = (
  issue: ParseResult.ParseIssue,
  where: Where,
  fieldsAt: (path: ReadonlyArray<PropertyKey>) => ReadonlyArray<string>
): Problems =>
  walk(issue, []).map(({ expected, found, path }) => ({
    where: where(pathText(path)),
    message: Option.match(expected, {
      onSome: (text) => `expected ${text}; found ${show(found, path)}`,
      onNone: () => unknownField(String(path.at(-1)), fieldsAt(path.slice(0, -1)))
    })
  }))

const unknownField = (name: string, known: ReadonlyArray<string>): string =>
  /^api_?key$/i.test(name)
    ? "a key does not belong into this file: put it into an environment variable, and that one's name into apiKeyEnv"
    : Option.match(nearest(name, known), {
        onNone: () => "there is no such setting",
        onSome: (candidate) => `there is no such setting. Did you mean ${candidate}?`
      })

interface Found {
  readonly path: ReadonlyArray<PropertyKey>
  /** None: nothing should be there. */
  readonly expected: Option.Option<string>
  readonly found: unknown
}

const walk = (issue: ParseResult.ParseIssue, path: ReadonlyArray<PropertyKey>): ReadonlyArray<Found> => {
  switch (issue._tag) {
    case "Pointer":
      return walk(issue.issue, [...path, ...stepsOf(issue.path)])
    case "Composite": {
      // Of a union no branch fits: naming one of them would mislead.
      if (SchemaAST.isUnion(issue.ast)) return [wrong(issue.ast, issue.actual, path)]
      const issues = "_tag" in issue.issues ? [issue.issues] : issue.issues
      return issues.flatMap((one) => walk(one, path))
    }
    case "Transformation": {
      // What is written has one description, whatever is made of it.
      const inner = walk(issue.issue, path)
      const isHere = inner.every((found) => found.path.length === path.length)
      return isHere ? [wrong(issue.ast, issue.actual, path)] : inner
    }
    case "Missing":
      return [{ path, expected: describe(issue.ast.type), found: undefined }]
    case "Unexpected":
      return [{ path, expected: Option.none(), found: issue.actual }]
    default:
      return [wrong(issue.ast, issue.actual, path)]
  }
}

const wrong = (ast: SchemaAST.AST, found: unknown, path: ReadonlyArray<PropertyKey>): Found => ({
  path,
  expected: describe(ast),
  found
})

const describe = (ast: SchemaAST.AST): Option.Option<string> =>
  Option.orElseSome(SchemaAST.getAnnotation<string>(ast, SchemaAST.DescriptionAnnotationId), () =>
    SchemaAST.isTypeLiteral(ast) ? "an object" : String(ast)
  )

const stepsOf = (path: ParseResult.Path): ReadonlyArray<PropertyKey> => (isSteps(path) ? path : [path])
const isSteps = (path: ParseResult.Path): path is readonly [PropertyKey, ...Array<PropertyKey>] =>
  Array.isArray(path)

const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("")

const show = (value: unknown, [field]: ReadonlyArray<PropertyKey>): string =>
  value === undefined
    ? "nothing"
    : mayHoldSecrets.has(field)
      ? "something else (it is not shown: it could be a secret)"
      : JSON.stringify(value).slice(0, 80)

/** Where people write keys: as values, as arguments, and by mistake where the name of a variable belongs. */
const mayHoldSecrets: ReadonlySet<PropertyKey | undefined> = new Set([
  "apiKeyEnv",
  "baseUrl",
  "command",
  "env",
  "passEnv"
])
