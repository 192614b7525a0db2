/** HistoryImage: an image of a conversation. Its bytes are asked for when it comes into view, and its room is kept until then. */
import { useEffect, useState } from "preact/hooks"
import type { ImagePart } from "../../client/Transcript.js"
import { useDesk } from "./Context.js"
import { Dialog } from "./Dialog.js"

/** An image that opens when it is pressed. */
export const Picture = ({ name, url }: { readonly url: string; readonly name: string }) => {
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <button type="button" class="picture" aria-label={`Open ${name}`} onClick={() => setOpen(true)}>
        <img src={url} alt={name} />
      </button>
      {isOpen && (
        <Dialog label={name} kind="lightbox" onClose={() => setOpen(false)}>
          <img src={url} alt={name} />
        </Dialog>
      )}
    </>
  )
}

export interface HistoryImageProps {
  readonly sessionKey: string
  readonly image: ImagePart
}

export const HistoryImage = ({ image, sessionKey }: HistoryImageProps) => {
  const { gateway } = useDesk()
  const [url, setUrl] = useState(image.url)
  const [isLost, setLost] = useState(false)
  const { sha256 } = image
  useEffect(() => {
    if (url !== undefined || sha256 === undefined) return
    let isWanted = true
    gateway.call("chat.image", { sessionKey, sha256 }).then(
      ({ data, mimeType }) => {
        if (isWanted) setUrl(`data:${mimeType};base64,${data}`)
      },
      () => {
        if (isWanted) setLost(true)
      }
    )
    return () => {
      isWanted = false
    }
  }, [sessionKey, sha256])
  const name = image.fileName ?? "Image"
  if (url !== undefined) return <Picture url={url} name={name} />
  return (
    <span class="picture">
      {isLost ? `${name} is not there any more` : <span class="spinner" role="img" aria-label="Loading" />}
    </span>
  )
}
