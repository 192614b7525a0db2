/** Protocol versions. */
import { Option } from "effect"

/** The versions that this server speaks, oldest first. */
export const supported = [3, 4] as const
export type ProtocolVersion = (typeof supported)[number]

/** What a client that speaks none of them is told to speak. */
export const expected: ProtocolVersion = 4

/** The highest version in `[min, max]` that this server speaks. */
export const negotiate = (min: number, max: number): Option.Option<ProtocolVersion> =>
  Option.fromNullable(supported.findLast((version) => version >= min && version <= max))
