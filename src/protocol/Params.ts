/** Decoding of parameters, with errors that name the path and what was expected, never what was sent. */
import { Either, Option, ParseResult, type Schema, SchemaAST } from "effect"
import { InvalidParams } from "../domain/RequestError.js"

/** Compiles a decoder once; unknown fields are ignored. */
export const decoder = <A, I>(method: string, schema: Schema.Schema<A, I>) => {
  const decode = ParseResult.decodeUnknownEither(schema, { errors: "first" })
  return (params: unknown): Either.Either<A, InvalidParams> =>
    Either.mapLeft(decode(params), (issue) => new InvalidParams({ method, ...describe(issue) }))
}

interface Description {
  readonly path: string
  readonly expected: string
  readonly found: string
}

/** The first thing that is wrong, in words for the caller. */
export const describe = (issue: ParseResult.ParseIssue): Description => {
  const { expected, found, path } = walk(issue, "")
  return { path: path.length > maxPath ? `${path.slice(0, maxPath)}…` : path, expected, found }
}

/** Characters of a path that are told: in a record its steps are the caller's own, of any length. */
const maxPath = 128

const walk = (issue: ParseResult.ParseIssue, path: string): Description => {
  switch (issue._tag) {
    case "Pointer":
      return walk(issue.issue, join(path, issue.path))
    case "Composite": {
      // Of a union no branch fits: naming one of them would mislead.
      if (SchemaAST.isUnion(issue.ast)) return leaf(issue.ast, issue.actual, path)
      const first = "_tag" in issue.issues ? issue.issues : issue.issues[0]
      return walk(first, path)
    }
    case "Refinement": {
      // The outermost description says all of it ("an integer of at least 1"), unless it is something inside that is wrong.
      const inner = walk(issue.issue, path)
      return issue.kind === "From" && inner.path !== path ? inner : leaf(issue.ast, issue.actual, path)
    }
    case "Transformation":
      return walk(issue.issue, path)
    case "Missing":
      return {
        path,
        expected: Option.getOrElse(describeAst(issue.ast.type), () => "a value"),
        found: "nothing"
      }
    case "Type":
      return leaf(issue.ast, issue.actual, path)
    case "Unexpected":
    case "Forbidden":
      return { path, expected: "nothing", found: typeName(issue.actual) }
  }
}

const leaf = (ast: SchemaAST.AST, actual: unknown, path: string): Description => ({
  path,
  expected: Option.getOrElse(describeAst(ast), () => String(ast)),
  found: typeName(actual)
})

const describeAst = (ast: SchemaAST.AST): Option.Option<string> => {
  const described = SchemaAST.getAnnotation<string>(ast, SchemaAST.DescriptionAnnotationId)
  if (Option.isSome(described)) return described
  // A struct's own name or text is a wall of fields; what is expected there is an object.
  if (SchemaAST.isTypeLiteral(ast)) return Option.some("an object")
  if (SchemaAST.isTupleType(ast)) return Option.some("an array")
  return Option.some(String(ast))
}

const join = (path: string, step: ParseResult.Path): string => {
  const steps: ReadonlyArray<PropertyKey> = typeof step === "object" ? step : [step]
  return steps.reduce<string>(
    (joined, key) =>
      typeof key === "number"
        ? `${joined}[${key}]`
        : joined === ""
          ? String(key)
          : `${joined}.${String(key)}`,
    path
  )
}

/** The JSON type of a value. */
export const typeName = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : value === undefined ? "nothing" : typeof value
