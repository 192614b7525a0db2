/** Composer: where messages are written. Enter sends, Shift+Enter begins a line, Esc stops the answer. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import type { Conversation } from "../state/Conversation.js"
import * as Images from "../state/Images.js"
import { useDesk } from "./Context.js"
import { CloseIcon, ImageIcon, SendIcon, StopIcon } from "./Icons.js"
import { readAll, takenFrom } from "./ImageFiles.js"

/** Is it a device on which Enter is the only way to a new line? */
const isTouch = (): boolean => matchMedia("(pointer: coarse)").matches

export const Composer = ({ conversation }: { readonly conversation: Conversation }) => {
  const desk = useDesk()
  const area = useRef<HTMLTextAreaElement>(null)
  const picker = useRef<HTMLInputElement>(null)
  const [text, setText] = useState(() => desk.memory.draft(conversation.key))
  const [images, setImages] = useState<ReadonlyArray<Images.Chosen>>([])
  const [isOver, setOver] = useState(false)
  const isBusy = conversation.isBusy.value
  const isEmpty = text.trim() === "" && images.length === 0

  useLayoutEffect(() => {
    const element = area.current
    if (element === null) return
    element.style.height = "auto"
    element.style.height = `${element.scrollHeight}px`
  }, [text])
  useEffect(() => {
    if (!isTouch()) area.current?.focus()
  }, [])

  const write = (next: string): void => {
    setText(next)
    desk.memory.keepDraft(conversation.key, next)
  }
  const take = async (files: ReadonlyArray<File>): Promise<void> => {
    const { chosen, refused } = await readAll(files, images, desk.limits.value)
    setImages(chosen)
    if (refused.length > 0) desk.notice.value = refused.join(" ")
  }
  const send = (): void => {
    if (isEmpty) return
    desk.attempt(conversation.send(text.trim(), Images.attachmentsOf(images)))
    write("")
    setImages([])
  }
  const stop = (): void => desk.attempt(conversation.stop())

  return (
    <form
      class={isOver ? "composer over" : "composer"}
      aria-label="Write a message"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault()
        setOver(false)
        void take(takenFrom(event.dataTransfer))
      }}
    >
      {images.length > 0 && (
        <ul class="chosen" aria-label="Images to send">
          {images.map(({ id, name, url }) => (
            <li key={id}>
              <img src={url} alt={name} />
              <button
                type="button"
                aria-label={`Remove ${name}`}
                onClick={() => setImages(images.filter((one) => one.id !== id))}
              >
                <CloseIcon />
              </button>
            </li>
          ))}
        </ul>
      )}
      <textarea
        ref={area}
        rows={1}
        value={text}
        placeholder="Write a message"
        aria-label="Message"
        enterkeyhint="send"
        onInput={(event) => write(event.currentTarget.value)}
        onPaste={(event) => {
          const files = takenFrom(event.clipboardData)
          if (files.length === 0) return
          event.preventDefault()
          void take(files)
        }}
        onKeyDown={(event) => {
          // While a word is being composed, Enter belongs to it.
          if (event.isComposing) return
          if (event.key === "Enter" && !event.shiftKey && !isTouch()) {
            event.preventDefault()
            send()
          }
        }}
      />
      <div class="tools">
        <input
          ref={picker}
          type="file"
          accept={Images.types.join(",")}
          multiple
          hidden
          onChange={(event) => {
            void take([...(event.currentTarget.files ?? [])])
            event.currentTarget.value = ""
          }}
        />
        <button
          type="button"
          class="quiet"
          aria-label="Add images"
          title="Add images"
          onClick={() => picker.current?.click()}
        >
          <ImageIcon />
        </button>
        <span class="keys" aria-hidden="true">
          {isBusy ? "Esc stops" : "Enter sends · Shift+Enter: new line"}
        </span>
        {isBusy && (
          <button
            type="button"
            class="round stop"
            aria-label="Stop the answer"
            title="Stop (Esc)"
            onClick={stop}
          >
            <StopIcon />
          </button>
        )}
        {(!isBusy || !isEmpty) && (
          <button type="submit" class="round" aria-label="Send" title="Send (Enter)" disabled={isEmpty}>
            <SendIcon />
          </button>
        )}
      </div>
    </form>
  )
}
