/** TranscriptLines: the lines of a transcript from its beginning, out of blocks. Memory: one line, and not a longer one than `longest`. */

export interface Lines {
  readonly push: (block: Buffer) => void
  /** What is behind the last line feed: its bytes, undefined when they are more than `longest`. */
  readonly rest: () => { readonly bytes: Buffer | undefined; readonly length: number }
}

/** `onLine` gets each whole line without its line feed; undefined for one that is longer than `longest` bytes. */
export const make = (longest: number, onLine: (line: Buffer | undefined) => void): Lines => {
  let parts: Array<Buffer> = []
  let length = 0
  const keep = (part: Buffer): void => {
    length += part.length
    if (length > longest) parts = []
    else if (part.length > 0) parts.push(part)
  }
  const take = (): Buffer | undefined => {
    if (length > longest) return undefined
    const [only, ...others] = parts
    return only !== undefined && others.length === 0 ? only : Buffer.concat(parts, length)
  }
  return {
    push: (block) => {
      let at = 0
      for (;;) {
        const newline = block.indexOf(lineFeed, at)
        if (newline < 0) break
        keep(block.subarray(at, newline))
        onLine(take())
        parts = []
        length = 0
        at = newline + 1
      }
      keep(block.subarray(at))
    },
    rest: () => ({ bytes: take(), length })
  }
}

const lineFeed = 0x0a
