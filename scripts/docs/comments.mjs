/**
 * Doc comments of the wire's Schemas and errors. A Schema doesn't hold the comments of its fields, so they are read from
 * the sources.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"

const docOf = (node, source) => {
  const ranges = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? []
  const last = ranges.at(-1)
  const text = last === undefined ? "" : source.text.slice(last.pos, last.end)
  return text.startsWith("/**")
    ? text
        .replaceAll(/^\/\*\*|\*\/$/g, "")
        .replaceAll(/^\s*\* ?/gm, "")
        .replaceAll(/\s+/g, " ")
        .trim()
    : ""
}

/** name → { doc, initializer, source } of every const and class at the top of the files in `folders`. */
const declarations = (folders) => {
  const found = new Map()
  for (const folder of folders) {
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".ts"))) {
      const path = join(folder, file)
      const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true)
      for (const statement of source.statements) {
        if (ts.isClassDeclaration(statement) && statement.name) {
          found.set(statement.name.text, { doc: docOf(statement, source), source })
        }
        if (!ts.isVariableStatement(statement)) continue
        for (const { initializer, name } of statement.declarationList.declarations) {
          const doc = docOf(statement, source)
          if (ts.isIdentifier(name) && initializer) found.set(name.text, { doc, initializer, source })
        }
      }
    }
  }
  return found
}

/** Reads the comments of `folders`. */
export const readComments = (...folders) => {
  const known = declarations(folders)

  /** Calls `visit(path, doc)` for every field under an expression; a field of an array's item is `items[].field`. */
  const walk = (node, source, path, visit) => {
    if (ts.isIdentifier(node)) {
      const target = known.get(node.text)
      if (target?.initializer) walk(target.initializer, target.source, path, visit)
    } else if (ts.isPropertyAccessExpression(node)) {
      // `Chat.HistoryParams`; of a call like `Schema.String.pipe(...)` the interesting part is behind it.
      if (known.has(node.name.text)) walk(node.name, source, path, visit)
      else walk(node.expression, source, path, visit)
    } else if (ts.isCallExpression(node)) {
      const isArray = node.expression.getText(source) === "Schema.Array"
      if (ts.isPropertyAccessExpression(node.expression)) walk(node.expression, source, path, visit)
      for (const argument of node.arguments) walk(argument, source, isArray ? `${path}[]` : path, visit)
    } else if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
      walk(node.expression, source, path, visit)
    } else if (ts.isObjectLiteralExpression(node)) {
      for (const property of node.properties) {
        if (ts.isSpreadAssignment(property)) walk(property.expression, source, path, visit)
        if (!ts.isPropertyAssignment(property)) continue
        const name = ts.isStringLiteral(property.name) ? property.name.text : property.name.getText(source)
        const inner = path === "" ? name : `${path}.${name}`
        visit(inner, docOf(property, source))
        walk(property.initializer, source, inner, visit)
      }
    }
  }

  return {
    /** The comment of a const or class. */
    of: (name) => known.get(name)?.doc ?? "",
    /** path → comment of the fields under a const, or under one of its properties. */
    fields: (name, under = "") => {
      const docs = new Map()
      const declared = known.get(name)
      if (declared?.initializer) {
        walk(declared.initializer, declared.source, "", (path, doc) => {
          const prefix = under === "" ? "" : `${under}.`
          if (path.startsWith(prefix) && doc !== "") docs.set(path.slice(prefix.length), doc)
        })
      }
      return docs
    }
  }
}
