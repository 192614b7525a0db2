/** DocsPage: the OpenAPI document for people: one page without scripts, made from the document itself. */
import { createHash } from "node:crypto"
import type * as OpenApi from "@effect/platform/OpenApi"

const style = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:48rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}h2{margin-top:2.5rem;border-top:1px solid #8884;padding-top:1.5rem}
.method{display:inline-block;min-width:3.2rem;font-weight:700}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .75rem .25rem 0;vertical-align:top}`

/** The page's own style, and nothing else. */
export const policy = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[char] ?? "&quot;")

const methods = ["get", "post", "put", "delete", "patch"] as const

export const render = ({ info, paths }: OpenApi.OpenAPISpec): string => {
  const sections = Object.entries(paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method]
      if (operation === undefined) return []
      const parameters = operation.parameters.map(
        ({ description = "", in: place, name, required }) =>
          `<tr><td><code>${escape(name)}</code></td><td>${escape(place)}${required ? ", required" : ""}</td><td>${escape(description)}</td></tr>`
      )
      const responses = Object.entries(operation.responses).map(
        ([status, { description }]) =>
          `<tr><td><code>${status}</code></td><td>${escape(description)}</td></tr>`
      )
      return [
        `<h2><span class="method">${method.toUpperCase()}</span> <code>${escape(path)}</code></h2>`,
        operation.description === undefined ? "" : `<p>${escape(operation.description)}</p>`,
        parameters.length === 0 ? "" : `<h3>Parameters</h3><table>${parameters.join("")}</table>`,
        `<h3>Answers</h3><table>${responses.join("")}</table>`
      ]
    })
  )
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(info.title)}: the HTTP API</title><style>${style}</style></head><body><main>
<h1>${escape(info.title)}</h1><p>${escape(info.description ?? "")}</p>
<p>Version ${escape(info.version)}. For programs: <a href="docs/openapi.json">openapi.json</a></p>
${sections.join("\n")}</main></body></html>
`
}
