/** Who must wait, and who must not because of others. Times are given, so there is no clock here. */
import { describe, expect, it } from "@effect/vitest"
import * as AddressKey from "../../src/auth/AddressKey.js"
import { FailureTally, forgottenAfterMs, maxKeys } from "../../src/auth/FailureTally.js"
import { LoginLimiter } from "../../src/auth/LoginLimiter.js"

const from = (address: string, principal: string, isLocal = false) => ({
  peer: { address, isLocal },
  principal
})
const mallory = from("203.0.113.1", "alice")

const failTimes = (limiter: LoginLimiter, attempt: ReturnType<typeof from>, times: number, now = 0) => {
  for (let count = 0; count < times; count++) limiter.failed(attempt, now)
}

describe("AddressKey", () => {
  for (const [address, key] of [
    ["203.0.113.1", "203.0.113.1"],
    ["::ffff:203.0.113.1", "203.0.113.1"],
    ["127.0.0.1", "loopback"],
    ["127.8.9.10", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
    ["2001:db8::9", "2001:db8:0:0::/64"],
    ["2001:db8:1:3::", "2001:db8:1:3::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["", ""]
  ] as const)
    it(`${address || "(none)"} counts as ${key || "(none)"}`, () => expect(AddressKey.of(address)).toBe(key))
})

describe("FailureTally", () => {
  it("lets `max` go, then backs off: 1 s, doubling to 60 s, and forgets after 10 minutes", () => {
    const tally = new FailureTally(3)
    const waits: Array<number> = []
    let now = 0
    for (let count = 0; count < 11; count++) {
      tally.failed("a", "x", now)
      waits.push(tally.retryAfter("a", now))
      now += tally.retryAfter("a", now)
      expect(tally.retryAfter("a", now)).toBe(0)
    }
    expect(waits).toEqual([0, 0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    tally.failed("a", "x", now)
    now += forgottenAfterMs
    tally.failed("a", "x", now)
    expect(tally.retryAfter("a", now)).toBe(0)
  })

  it("keeps at most 10,000 keys, and those that failed last", () => {
    const tally = new FailureTally(1)
    for (let key = 0; key < maxKeys + 500; key++) {
      tally.failed(String(key), "x", 0)
      tally.failed("always", "x", 0)
    }
    expect(tally.size).toBe(maxKeys)
    expect(tally.retryAfter("always", 0)).toBe(60_000)
    expect(tally.retryAfter("0", 0)).toBe(0)
    expect(tally.retryAfter(String(maxKeys + 499), 0)).toBe(1000)
  })
})

describe("LoginLimiter", () => {
  it("an address that has failed too often waits, whomever it names, also on loopback", () => {
    for (const isLocal of [false, true]) {
      const limiter = new LoginLimiter(10)
      const address = isLocal ? "127.0.0.1" : "203.0.113.1"
      for (let at = 0; at < 9; at++) limiter.failed(from(address, `p${at}`, isLocal), 0)
      expect(limiter.retryAfter(from(address, "q", isLocal), 0)).toBe(0)
      limiter.failed(from(address, "p", isLocal), 0)
      expect(limiter.retryAfter(from(address, "q", isLocal), 0)).toBe(1000)
      expect(limiter.retryAfter(from("203.0.113.2", "q"), 0)).toBe(0)
    }
  })

  it("a principal that was tried from many addresses waits everywhere but where it has been, and on this machine", () => {
    const limiter = new LoginLimiter(10)
    limiter.succeeded(from("198.51.100.7", "alice"), 0)
    for (let at = 0; at < 10; at++) limiter.failed(from(`203.0.113.${at}`, "alice"), 0)
    expect(limiter.retryAfter(from("192.0.2.1", "alice"), 0)).toBe(1000)
    expect(limiter.retryAfter(from("192.0.2.1", "bob"), 0)).toBe(0)
    expect(limiter.retryAfter(from("198.51.100.7", "alice"), 0)).toBe(0)
    expect(limiter.retryAfter(from("127.0.0.1", "alice", true), 0)).toBe(0)
    // A day later that address is one like others.
    const later = 25 * 3_600_000
    failTimes(limiter, mallory, 10, later)
    expect(limiter.retryAfter(from("198.51.100.7", "alice"), later)).toBe(1000)
  })

  it("a success takes back the slips of its own, and no guesses at others", () => {
    const limiter = new LoginLimiter(10)
    failTimes(limiter, from("203.0.113.1", "bob"), 9)
    limiter.succeeded(from("203.0.113.1", "mallory"), 0)
    limiter.failed(from("203.0.113.1", "bob"), 0)
    expect(limiter.retryAfter(from("203.0.113.1", "mallory"), 0)).toBe(1000)

    const other = new LoginLimiter(10)
    failTimes(other, mallory, 9)
    other.succeeded(mallory, 0)
    failTimes(other, mallory, 9)
    expect(other.retryAfter(mallory, 0)).toBe(0)
  })

  it("the bearer's success elsewhere gives a guesser no new tries", () => {
    const limiter = new LoginLimiter(10)
    failTimes(limiter, mallory, 9)
    limiter.succeeded(from("198.51.100.7", "alice"), 0)
    limiter.failed(mallory, 0)
    expect(limiter.retryAfter(from("203.0.113.99", "alice"), 0)).toBe(1000)
  })
})
