/** Bytes that grow at their end without being copied each time. */
export class GrowingBytes {
  #buffer = new Uint8Array(1024)
  #size = 0

  get size(): number {
    return this.#size
  }

  append(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#size + bytes.length))
      larger.set(this.view(0, this.#size))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#size)
    this.#size += bytes.length
  }

  /** Appends a line of its own: with a line feed behind it. */
  appendLine(bytes: Uint8Array): void {
    this.append(bytes)
    if (bytes.at(-1) !== lineFeed) this.append(Uint8Array.of(lineFeed))
  }

  truncate(size: number): void {
    this.#size = Math.min(size, this.#size)
  }

  view(start: number, end: number): Uint8Array {
    return this.#buffer.subarray(start, Math.min(end, this.#size))
  }

  text(): string {
    return new TextDecoder().decode(this.view(0, this.#size))
  }

  static of(...parts: ReadonlyArray<Uint8Array>): GrowingBytes {
    const bytes = new GrowingBytes()
    for (const part of parts) bytes.append(part)
    return bytes
  }
}

const lineFeed = 0x0a
