/**
 * Where a client is in what the gateway tells: a life of the gateway (`epoch`) and the number of an event in it (`pos`).
 *
 * A client that comes over from an older life and has ends of that life to hear (`Terminal.retold`) may leave again before
 * it has heard all of them. Its `pos` counts in the new life then and no longer says what it knew of the old one, so the
 * epoch that it is given carries that: `<epoch>` becomes `<epoch> "<" <older epoch> ":" <older pos>`. For clients an epoch is
 * a text to keep and to bring back.
 */
export interface Position {
  readonly epoch: string
  /** 0: before the first event. */
  readonly pos: number
}

/**
 * What an epoch is made of: a life of the gateway, and, of those who see only some sessions, their perspective, in which
 * their positions count: `<life>~<perspective>`.
 */
export interface Epoch {
  readonly life: string
  readonly perspective: string | undefined
}

export const makeEpoch = (life: string, perspective: string | undefined): string =>
  perspective === undefined ? life : `${life}~${perspective}`

export const parseEpoch = (epoch: string): Epoch => {
  const end = epoch.indexOf("~")
  return end < 0
    ? { life: epoch, perspective: undefined }
    : { life: epoch.slice(0, end), perspective: epoch.slice(end + 1) }
}

/** An epoch, and where in an older one its bearer has come from. */
export interface Carried {
  readonly epoch: string
  readonly from: Position | undefined
}

/** The text of an epoch for a client that comes from an older one. */
export const carry = (epoch: string, from: Position): string => `${epoch}<${from.epoch}:${from.pos}`

/** Reads the text of an epoch. Whatever was not made by `carry` is an epoch as it is. */
export const parse = (text: string): Carried => {
  const match = /^([^<]+)<([^<]+):(\d{1,15})$/.exec(text)
  if (match === null) return { epoch: text, from: undefined }
  const [, epoch = "", older = "", pos = ""] = match
  return { epoch, from: { epoch: older, pos: Number(pos) } }
}
