/** ImageFiles: files from the picker, the clipboard or a drop, as images to send. */
import * as Images from "../state/Images.js"

/** The files of a paste or a drop. */
export const takenFrom = (transfer: DataTransfer | null): ReadonlyArray<File> => [...(transfer?.files ?? [])]

const dataUrl = (file: File): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.addEventListener("load", () => resolve(String(reader.result)))
    reader.addEventListener("error", () => reject(new Error(`${file.name} can't be read.`)))
    reader.readAsDataURL(file)
  })

/** Those that are taken, behind those that were chosen before; and why the others are not. */
export const readAll = async (
  files: ReadonlyArray<File>,
  before: ReadonlyArray<Images.Chosen>,
  limits: Images.Limits
): Promise<{ readonly chosen: ReadonlyArray<Images.Chosen>; readonly refused: ReadonlyArray<string> }> => {
  const refused: Array<string> = []
  let chosen = before
  for (const file of files) {
    const reason = Images.refuse(file, chosen, limits)
    if (reason !== undefined) {
      refused.push(reason)
      continue
    }
    const url = await dataUrl(file).catch(() => undefined)
    if (url === undefined) refused.push(`${file.name} can't be read.`)
    else {
      const id = (chosen.at(-1)?.id ?? 0) + 1
      chosen = [...chosen, { id, name: file.name === "" ? "Image" : file.name, url, size: file.size }]
    }
  }
  return { chosen, refused }
}
