/**
 * AddressKey: what counts as one address. Of IPv6 the first 64 bits, which is what one customer gets; all of loopback is one,
 * since any program of this machine can take any of 127.0.0.0/8.
 */

/** `address`: as the transport names it; empty: no network in between. Any other text is taken as it is. */
export const of = (address: string): string => {
  const plain = address.toLowerCase().replace(/%.*$/, "")
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1]
  const ipv4 = mapped ?? plain
  if (/^127\.\d+\.\d+\.\d+$/.test(ipv4) || plain === "::1") return "loopback"
  return ipv4.includes(":") ? prefixOf(ipv4) : ipv4
}

/** The first four of the eight groups. */
const prefixOf = (address: string): string => {
  const [head = "", tail] = address.split("::")
  const front = groupsOf(head)
  const back = tail === undefined ? [] : groupsOf(tail)
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => "0")
  const groups = [...front, ...zeros, ...back].slice(0, 4)
  return `${groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`
}

/** An IPv4 address at the end stands for two groups. */
const groupsOf = (part: string): ReadonlyArray<string> =>
  part === "" ? [] : part.split(":").flatMap((group) => (group.includes(".") ? [group, ""] : [group]))
