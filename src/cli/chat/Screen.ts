/**
 * Screen: what is where on the terminal of a chat: the answer that grows, notes on lines of their own, and the prompt below,
 * which is there whenever no answer grows.
 */

/** The line that is being typed. */
export interface Prompt {
  /** Draws it, at the beginning of a line. */
  readonly show: () => void
  /** Takes it off, and leaves the cursor at the beginning of a line. */
  readonly hide: () => void
}

export class Screen {
  readonly #write: (text: string) => void
  readonly #prompt: Prompt
  #isPrompted = false
  #isAtLineStart = true

  constructor(write: (text: string) => void, prompt: Prompt) {
    this.#write = write
    this.#prompt = prompt
  }

  /** Is the prompt there? */
  get isPrompted(): boolean {
    return this.#isPrompted
  }

  /** Shows the prompt, on a new line. */
  prompt(): void {
    if (this.#isPrompted) return
    this.#freshLine()
    this.#isPrompted = true
    this.#prompt.show()
  }

  /** The line that was typed has been entered: the cursor is below it. */
  entered(): void {
    this.#isPrompted = false
    this.#isAtLineStart = true
  }

  /** Goes on where the last piece of text ended. */
  text(piece: string): void {
    if (piece === "") return
    this.#unprompt()
    this.#write(piece)
    this.#isAtLineStart = piece.endsWith("\n")
  }

  /** Lines of their own. The prompt, if it is there, moves below them. */
  lines(text: string): void {
    const wasPrompted = this.#isPrompted
    this.#unprompt()
    this.#freshLine()
    this.#write(`${text}\n`)
    if (wasPrompted) this.prompt()
  }

  /** What follows begins on a new line. */
  close(): void {
    this.#unprompt()
    this.#freshLine()
  }

  #unprompt(): void {
    if (!this.#isPrompted) return
    this.#isPrompted = false
    this.#prompt.hide()
  }

  #freshLine(): void {
    if (!this.#isAtLineStart) this.#write("\n")
    this.#isAtLineStart = true
  }
}
