/** Visible: texts of others (names of files, what programs and servers say), so that a terminal only shows them. */

/** Control characters as JSON writes them, so that none takes effect. */
export const visible = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1))

/** The same, but for the ends of lines and tabs: a text of several lines. */
export const visibleText = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (char) => JSON.stringify(char).slice(1, -1))
