/**
 * LogLine: one line of a log, `<crc32> <JSON>\n`. The checksum (CRC-32 of the JSON's UTF-8, eight hex digits) tells a
 * line that a crash cut off, or a disk has damaged, from one that was written whole. JSON texts as `JSON.stringify` makes
 * them hold no line feed, so a line never runs into the next one.
 */
import { Option } from "effect"
import { crc32 } from "node:zlib"

export const encode = (json: string): string => `${checksum(json)} ${json}\n`

/** The JSON text of a line given without its line feed. None: it is not what was written. */
export const decode = (line: Buffer): Option.Option<string> => {
  if (line.length <= prefixBytes || line[prefixBytes - 1] !== space) return Option.none()
  const json = line.subarray(prefixBytes)
  return line.toString("latin1", 0, prefixBytes - 1) === checksum(json)
    ? Option.some(json.toString("utf8"))
    : Option.none()
}

/** A log as it was found. */
export interface Found {
  /** The JSON texts of the whole lines, in order. */
  readonly lines: ReadonlyArray<string>
  /** What can't be used: damaged lines, with their line feed, and the end that is no line. */
  readonly torn: ReadonlyArray<Buffer>
  /** Bytes up to the end of the last line feed: what is behind was never written whole. */
  readonly end: number
  /** Is every line up to there whole? */
  readonly sound: boolean
}

/** Takes a log apart. Damage ends with its line: the next one is read again. */
export const read = (bytes: Uint8Array): Found => {
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const lines: Array<string> = []
  const torn: Array<Buffer> = []
  let at = 0
  while (at < log.length) {
    const newline = log.indexOf(lineFeed, at)
    if (newline < 0) break
    const line = decode(log.subarray(at, newline))
    if (Option.isSome(line)) lines.push(line.value)
    else torn.push(log.subarray(at, newline + 1))
    at = newline + 1
  }
  const sound = torn.length === 0
  if (at < log.length) torn.push(log.subarray(at))
  return { lines, torn, end: at, sound }
}

const checksum = (data: string | Buffer): string => crc32(data).toString(16).padStart(8, "0")

const prefixBytes = "00000000 ".length
const space = 0x20
const lineFeed = 0x0a
