/** Markup: markdown to HTML that is safe to show. An answer may hold anything, so nothing of it may run, load or disguise itself. */
import DOMPurify from "dompurify"
import { Marked, type Tokens } from "marked"

const escape = (text: string): string => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // The page loads nothing from elsewhere: an image becomes a link to it.
    image: ({ href, text }: Tokens.Image) =>
      `<a href="${escape(href)}">${escape(text === "" ? href : text)}</a>`
  }
})

const purify = DOMPurify(window)
purify.addHook("afterSanitizeAttributes", (node) => {
  if (!(node instanceof HTMLAnchorElement)) return
  node.target = "_blank"
  node.rel = "noopener noreferrer nofollow"
})
purify.addHook("afterSanitizeElements", (node) => {
  // What is wider than the column scrolls, and who has no mouse has to get there.
  if (node instanceof HTMLPreElement || node instanceof HTMLTableElement) node.tabIndex = 0
})

/** The HTML of a block. `definitions`: the link definitions of the text that it is from. */
export const render = (raw: string, definitions: string): string =>
  purify.sanitize(marked.parse(definitions === "" ? raw : `${raw}\n\n${definitions}`, { async: false }), {
    USE_PROFILES: { html: true },
    ALLOWED_URI_REGEXP: /^(?:https?|mailto|tel):|^#/i,
    FORBID_TAGS: [
      "style",
      "form",
      "button",
      "select",
      "textarea",
      "img",
      "video",
      "audio",
      "picture",
      "source",
      "dialog"
    ],
    FORBID_ATTR: ["style", "class", "id", "name"],
    ALLOW_DATA_ATTR: false
  })
