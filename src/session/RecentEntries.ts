/**
 * RecentEntries: the sessions of `sessions.json` from the most to the least recently used one. The order is kept between
 * two questions, so that the newest few of 100,000 cost a few; what has changed since is put in its place when it is asked.
 */
import { Effect, Either, Option } from "effect"
import type { SessionKey } from "../domain/SessionKey.js"
import * as EventLoop from "../event/EventLoop.js"
import type { IndexDocument } from "./IndexDocument.js"
import type { StoredEntry } from "./StoredEntry.js"

/** A session's key and its entry. */
export type Keyed = readonly [key: SessionKey, entry: StoredEntry]

export interface RecentEntries {
  /** These entries were changed in the file: their place in the order is no longer right. */
  readonly touch: (keys: Iterable<SessionKey>) => void
  /**
   * All entries that can be used, the newest first, and those of the same time by key. Sorted in turns of the event loop when
   * the file is another one. What is given is read as it is iterated, without a wait: the caller lets the loop have its turns.
   * `pending`: keys whose entries `now` knows better than the file.
   */
  readonly newest: (
    document: IndexDocument,
    pending: () => Iterable<SessionKey>,
    now: (key: SessionKey) => Option.Option<StoredEntry>
  ) => Effect.Effect<Iterable<Keyed>>
}

interface Order {
  readonly document: IndexDocument
  readonly rows: ReadonlyArray<Keyed>
  /** Keys whose rows are not right any more. */
  readonly touched: Set<SessionKey>
}

/** Entries that are decoded or merged in one turn: a millisecond at most. */
const rowsPerTurn = 512
/** With more changes than that it is sorted anew. */
const mostTouched = 2048

export const make: Effect.Effect<RecentEntries> = Effect.map(Effect.makeSemaphore(1), (sorting) => {
  let order: Order | undefined
  /** The order that is being made. */
  let next: Order | undefined

  const isGood = (known: Order | undefined, document: IndexDocument): known is Order =>
    known !== undefined && known.document === document && known.touched.size <= mostTouched

  const sort = (document: IndexDocument) =>
    Effect.gen(function* () {
      if (isGood(order, document)) return order
      const touched = new Set<SessionKey>()
      next = { document, rows: [], touched }
      const breathe = EventLoop.turnEvery(rowsPerTurn)
      const rows: Array<Keyed> = []
      let looked = 0
      for (const name of document.names()) {
        const row = document.row(name)
        if (Option.isSome(row) && Either.isRight(row.value[1])) rows.push([row.value[0], row.value[1].right])
        looked += 1
        if (looked % rowsPerTurn === 0) yield* breathe(rowsPerTurn)
      }
      order = { document, rows: yield* mergeSort(rows, breathe), touched }
      return order
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          next = undefined
        })
      ),
      sorting.withPermits(1)
    )

  return {
    touch: (keys) => {
      for (const key of keys) {
        order?.touched.add(key)
        next?.touched.add(key)
      }
    },
    newest: (document, pending, now) =>
      Effect.map(
        Effect.suspend(() => (isGood(order, document) ? Effect.succeed(order) : sort(document))),
        ({ rows, touched }) => {
          const changed = new Set(touched)
          for (const key of pending()) changed.add(key)
          const fresh: Array<Keyed> = []
          for (const key of changed) {
            const entry = now(key)
            if (Option.isSome(entry)) fresh.push([key, entry.value])
          }
          return merge(rows, fresh.toSorted(compare), changed)
        }
      )
  }
})

/** The newer one first. A foreign `updatedAt` may be anything that is a number. */
const compare = ([aKey, a]: Keyed, [bKey, b]: Keyed): number =>
  a.updatedAt > b.updatedAt ? -1 : a.updatedAt < b.updatedAt ? 1 : aKey < bKey ? -1 : aKey > bKey ? 1 : 0

/** Two sorted lists as one; of the first one without those that the second one has anew, or that are gone. */
function* merge(
  rows: ReadonlyArray<Keyed>,
  fresh: ReadonlyArray<Keyed>,
  changed: ReadonlySet<SessionKey>
): Iterable<Keyed> {
  let at = 0
  for (const row of rows) {
    if (changed.has(row[0])) continue
    for (let first = fresh[at]; first !== undefined && compare(first, row) < 0; first = fresh[++at])
      yield first
    yield row
  }
  yield* fresh.slice(at)
}

/** Sorts so that no turn of the event loop is longer than sorting a small part. */
const mergeSort = (
  rows: ReadonlyArray<Keyed>,
  breathe: (done: number) => Effect.Effect<void>
): Effect.Effect<ReadonlyArray<Keyed>> =>
  Effect.gen(function* () {
    let runs: Array<ReadonlyArray<Keyed>> = []
    for (let at = 0; at < rows.length; at += rowsPerTurn) {
      runs.push(rows.slice(at, at + rowsPerTurn).toSorted(compare))
      yield* breathe(rowsPerTurn)
    }
    while (runs.length > 1) {
      const merged: Array<ReadonlyArray<Keyed>> = []
      for (let at = 0; at < runs.length; at += 2) {
        const [left, right] = [runs[at] ?? [], runs[at + 1]]
        merged.push(right === undefined ? left : yield* mergeRuns(left, right, breathe))
      }
      runs = merged
    }
    return runs[0] ?? []
  })

const mergeRuns = (
  left: ReadonlyArray<Keyed>,
  right: ReadonlyArray<Keyed>,
  breathe: (done: number) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const merged: Array<Keyed> = []
    for (const row of merge(left, right, nothing)) {
      merged.push(row)
      if (merged.length % rowsPerTurn === 0) yield* breathe(rowsPerTurn)
    }
    return merged
  })

const nothing: ReadonlySet<SessionKey> = new Set()
