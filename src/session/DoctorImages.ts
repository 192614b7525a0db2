/** DoctorImages: whether the images are there that messages refer to, and which are there that none does. Reads only. */
import { Clock, Duration, Effect, Either, Option } from "effect"
import type { ImageReference } from "../domain/Message.js"
import { failAs, optional, readFully } from "../journal/Disk.js"
import { Finding } from "./DoctorFinding.js"
import * as DoctorSite from "./DoctorSite.js"
import * as ImageFile from "./ImageFile.js"
import * as TranscriptHandles from "./TranscriptHandles.js"

/** A reference, and the file in which a message has it. */
export interface Referred {
  readonly reference: ImageReference
  readonly from: string
}

export const examine = (
  site: DoctorSite.Site,
  referred: ReadonlyArray<Referred>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const handles = yield* TranscriptHandles.makeIn(site.fs, site.path, site.root)
    const images = new Map(
      referred.map((image) => [site.path.join(ImageFile.directory, ImageFile.nameOf(image.reference)), image])
    )
    const found = yield* Effect.forEach(
      images,
      ([subject, image]) => examineOne(site, handles, subject, image),
      {
        concurrency: DoctorSite.filesAtOnce
      }
    )
    const unused = yield* examineUnused(
      site,
      site.names.filter((name) => ImageFile.isName(name) && !images.has(name))
    )
    if (images.size === 0) return unused
    const bytes = Array.from(images.values()).reduce((sum, { reference }) => sum + reference.size, 0)
    const read = Finding.ImagesRead({ subject: ImageFile.directory, files: images.size, bytes })
    return [read, ...found.flat(), ...unused]
  }).pipe(Effect.scoped)

const examineOne = (
  { fs, path, root }: DoctorSite.Site,
  handles: TranscriptHandles.TranscriptHandles,
  subject: string,
  { from, reference }: Referred
): Effect.Effect<ReadonlyArray<Finding>> => {
  const file = path.join(root, subject)
  // After a look at what it is: a pipe would be waited for.
  const read = Effect.flatMap(fs.stat(file), ({ type }) =>
    type === "File"
      ? Effect.scoped(
          Effect.flatMap(handles.read(file), (open) =>
            readFully(open.file, 0, Math.min(open.size, reference.size + 1))
          )
        )
      : Effect.succeed(Buffer.of())
  )
  return read.pipe(
    optional,
    failAs("read", subject),
    Effect.match({
      onFailure: (error) => [DoctorSite.unusable(error)],
      onSuccess: Option.match({
        onNone: () => [Finding.ImageMissing({ subject, from })],
        onSome: (bytes) =>
          Either.isRight(ImageFile.join(reference, bytes)) ? [] : [Finding.ImageDamaged({ subject, from })]
      })
    })
  )
}

/** So long a gateway may take from the file to the record of its message. */
const accepting = Duration.minutes(1)

const examineUnused = (site: DoctorSite.Site, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const infos = yield* Effect.forEach(names, (name) => Effect.option(DoctorSite.statOf(site, name)), {
      concurrency: DoctorSite.filesAtOnce
    })
    const sizes = infos.flatMap((info) => {
      const file = Option.getOrUndefined(Option.flatten(info))
      if (file === undefined) return []
      const { bytes, modifiedAt } = DoctorSite.sizeOf(file)
      const isNew = now - (modifiedAt ?? now) < Duration.toMillis(accepting)
      return site.isRunning && isNew ? [] : [bytes]
    })
    if (sizes.length === 0) return []
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    return [Finding.ImagesUnused({ subject: ImageFile.directory, files: sizes.length, bytes })]
  })
