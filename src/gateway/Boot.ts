/** Boot: this life of the gateway. */
import { Clock, Context, Effect, Layer } from "effect"
import { EventHub } from "../event/EventHub.js"

export interface BootShape {
  /** Changes with every start: the epoch of the hub. */
  readonly id: string
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number
}

export class Boot extends Context.Tag("colloquy/Boot")<Boot, BootShape>() {}

export const layer: Layer.Layer<Boot, never, EventHub> = Layer.effect(
  Boot,
  Effect.zipWith(EventHub, Clock.currentTimeMillis, ({ epoch }, startedAt) => ({ id: epoch, startedAt }))
)
