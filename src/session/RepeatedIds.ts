/**
 * RepeatedIds: which of very many ids come more than once, with 8 bytes for each of them: hashes are kept, and sorted at
 * the end. What comes out are candidates: two ids have one hash about once in a thousand transcripts of 5 million lines.
 */
export class RepeatedIds {
  #hashes = new Float64Array(256)
  #count = 0

  add(id: string): void {
    if (this.#count === this.#hashes.length) {
      const larger = new Float64Array(this.#count * 2)
      larger.set(this.#hashes)
      this.#hashes = larger
    }
    this.#hashes[this.#count++] = hash(id)
  }

  /** Tells of an id whether it may be one of those that came more than once. */
  candidates(): { readonly size: number; readonly has: (id: string) => boolean } {
    const sorted = this.#hashes.subarray(0, this.#count).sort()
    const repeated = new Set<number>()
    for (let at = 1; at < sorted.length; at++) {
      const one = sorted[at]
      if (one !== undefined && one === sorted[at - 1]) repeated.add(one)
    }
    return { size: repeated.size, has: (id) => repeated.has(hash(id)) }
  }
}

/** 53 bits, as a number can hold them (cyrb53). */
const hash = (text: string): number => {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    high = Math.imul(high ^ code, 2654435761)
    low = Math.imul(low ^ code, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return 4294967296 * (2097151 & low) + (high >>> 0)
}
