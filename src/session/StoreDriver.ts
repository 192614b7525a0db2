/**
 * StoreDriver: the narrow interface under `SessionStore`. A driver keeps the bytes of `sessions.json`, of the transcripts,
 * of the images and of the run journal; what they mean is decided once, above it (`StoreEngine`), so implementations can't drift apart.
 *
 * The engine calls it so: one index write at a time; for one transcript one writing call at a time; reads at any moment.
 * Writing calls run in uninterruptible fibers. What is not said to be durable need not be: the journal has it, until `sync`
 * and `secure` have said that it is stored for good.
 */
import type { Effect, Either, Option, Scope } from "effect"
import type { LogDriver } from "../journal/LogDriver.js"
import type { SessionStoreError } from "../domain/SessionError.js"
import type { ImageFile } from "./ImageFile.js"

/**
 * A cheap mark of a version of `sessions.json`: versions with different ids differ. Equal ids mean the same version,
 * unless that version was made by another program and changed again within the same tick of the file system's clock.
 */
export interface IndexStamp {
  readonly id: string
  /** When it was changed, in ms since the epoch. Absent: equal ids always mean the same version. */
  readonly modifiedAt: number | undefined
}

/** The content of `sessions.json`, and its stamp taken before reading (so a change while reading is noticed later). */
export interface IndexContent {
  readonly stamp: IndexStamp
  readonly bytes: Uint8Array
}

/** The one file of entries, `sessions.json`. */
export interface IndexDriver {
  /** The stamp of the file as it is now; none when there is no file. */
  readonly stamp: Effect.Effect<Option.Option<IndexStamp>, SessionStoreError>
  readonly read: Effect.Effect<Option.Option<IndexContent>, SessionStoreError>
  /** Writes a new version beside the current one. Nobody sees it yet. Gives the stamp that it will have, and no other. */
  readonly stage: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<IndexStamp, SessionStoreError>
  /** Puts the staged version in the place of the current one, atomically. With `keep`, that one becomes the backup. */
  readonly publish: (keep: boolean) => Effect.Effect<void, SessionStoreError>
  /** Makes the current version durable. */
  readonly secure: Effect.Effect<void, SessionStoreError>
  /** Makes a version the backup, durably. */
  readonly keep: (chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, SessionStoreError>
  /** The version that was kept last. */
  readonly backup: Effect.Effect<Option.Option<Uint8Array>, SessionStoreError>
  /** Keeps a copy of the current version beside, for people to look at. Gives the name under which. */
  readonly keepDamaged: Effect.Effect<string, SessionStoreError>
}

/** The end of a transcript, as it is right before an append. A missing one has the size 0. */
export interface TranscriptTail {
  readonly size: number
  /** Also true for an empty transcript. */
  readonly endsWithNewline: boolean
}

/** A transcript that is open for reading. */
export interface TranscriptSource {
  /** Its size when it was opened, in bytes. */
  readonly size: number
  /** The bytes from `start`; fewer than `length` only when the transcript has become shorter. */
  readonly read: (start: number, length: number) => Effect.Effect<Uint8Array, SessionStoreError>
}

/** The transcripts. `file` is what `locate` gave. */
export interface TranscriptDriver {
  /**
   * The file that an entry's `sessionFile` (or `<sessionId>.jsonl`) names. Fails when that is not a transcript
   * inside the state directory. (Links are looked at when the file is opened: `open` and `append` fail then.)
   */
  readonly locate: (sessionFile: string) => Either.Either<string, SessionStoreError>
  /** None when there is no such file. */
  readonly open: (
    file: string
  ) => Effect.Effect<Option.Option<TranscriptSource>, SessionStoreError, Scope.Scope>
  /**
   * Opens the transcript, making it when it is missing, and appends what `encode` makes of its tail. With `trusting`, a
   * file that was looked at within the last second need not be looked at again. When either fails, the
   * file is cut back to its old size (a new one goes away) as far as the system lets us.
   */
  readonly append: (
    file: string,
    encode: (tail: TranscriptTail) => Effect.Effect<Uint8Array, SessionStoreError>,
    options?: { readonly trusting: boolean }
  ) => Effect.Effect<void, SessionStoreError>
  /** Cuts the transcript to its first `size` bytes. */
  readonly truncate: (file: string, size: number) => Effect.Effect<void, SessionStoreError>
  /** Keeps bytes of a transcript that can't be used in a file beside it, for people to look at. */
  readonly setAside: (file: string, bytes: Uint8Array) => Effect.Effect<void, SessionStoreError>
  /** Gives the transcript another name, durably. One that is not there needs it not: false. */
  readonly rename: (file: string, to: string) => Effect.Effect<boolean, SessionStoreError>
  /** Makes what was appended, and the file itself, durable. One that is gone needs it no more. */
  readonly sync: (file: string) => Effect.Effect<void, SessionStoreError>
}

/** The files of images. `name` says what is in a file (`ImageFile.nameOf`), so a file never changes. */
export interface ImageDriver {
  /**
   * Keeps a file for good: when this succeeds it is durable. One that is there and holds these bytes is not written again.
   * When it fails, there is no such file, or the one that was there before. May be called at any moment.
   */
  readonly write: (file: ImageFile) => Effect.Effect<void, SessionStoreError>
  /** At most the first `limit` bytes of a file; none when it is not there. */
  readonly read: (name: string, limit: number) => Effect.Effect<Option.Option<Uint8Array>, SessionStoreError>
}

export interface StoreDriver {
  readonly index: IndexDriver
  readonly transcripts: TranscriptDriver
  readonly images: ImageDriver
  readonly log: LogDriver
  /** Writes something of the size of a message, and takes it away again: fails as a message would. */
  readonly probe: Effect.Effect<void, SessionStoreError>
}
