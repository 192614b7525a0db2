/** Boot: this life of the gateway. */
import { Clock, Context, Effect, Layer } from "effect"
import * as Ids from "../domain/Ids.js"

export interface BootShape {
  /** Changes with every start. */
  readonly id: string
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number
}

export class Boot extends Context.Tag("colloquy/Boot")<Boot, BootShape>() {}

export const layer: Layer.Layer<Boot> = Layer.effect(
  Boot,
  Effect.all({ id: Ids.uuid, startedAt: Clock.currentTimeMillis })
)
