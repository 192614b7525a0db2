/** MessageList: the rows of a conversation. Only those in view are in the page, so ten thousand scroll like ten. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { Virtualizer, type VirtualizerHandle } from "virtua"
import type { Conversation } from "../state/Conversation.js"
import type { Row } from "../state/Timeline.js"
import { DownIcon } from "./Icons.js"
import { RowView } from "./Rows.js"

/** Pixels from the end within which the list follows it. */
const nearEnd = 48
/** Pixels from the beginning within which older messages are asked for. */
const nearBegin = 1200

/** Were rows put before the others, and nowhere else? */
const isPrepended = (before: ReadonlyArray<Row>, now: ReadonlyArray<Row>): boolean =>
  before.length > 0 && now.length > before.length && before.at(-1)?.key === now.at(-1)?.key

export const MessageList = ({ conversation }: { readonly conversation: Conversation }) => {
  const rows = conversation.rows.value
  const scroller = useRef<HTMLDivElement>(null)
  const list = useRef<VirtualizerHandle>(null)
  const follows = useRef(true)
  const lastOffset = useRef(0)
  const [isAway, setAway] = useState(false)
  const before = useRef(rows)
  const shift = isPrepended(before.current, rows)

  const toEnd = (): void => {
    const element = scroller.current
    if (element !== null) element.scrollTop = element.scrollHeight
  }
  const follow = (): void => {
    if (follows.current) toEnd()
  }
  useLayoutEffect(() => {
    const mine = rows.at(-1)
    // Who sends something wants to see it, wherever they are.
    if (!shift && mine?.kind === "sent" && before.current.at(-1)?.key !== mine.key) follows.current = true
    before.current = rows
    follow()
  }, [rows])
  useEffect(() => {
    const element = scroller.current
    if (element === null) return
    const observer = new ResizeObserver(follow)
    observer.observe(element)
    if (element.firstElementChild !== null) observer.observe(element.firstElementChild)
    return () => observer.disconnect()
  }, [])

  const onScroll = (offset: number): void => {
    const element = scroller.current
    if (element === null) return
    const left = element.scrollHeight - element.clientHeight - offset
    // What grows beneath moves the end away, not the reader: only scrolling up leaves it.
    if (left < nearEnd) follows.current = true
    else if (offset < lastOffset.current - 1) follows.current = false
    lastOffset.current = offset
    setAway(!follows.current && left > 240)
    if (offset < nearBegin && conversation.hasMore.value) void conversation.older()
  }

  return (
    <div class="messages">
      <div class="scroller" ref={scroller} role="log" aria-live="off" aria-label="Conversation" tabIndex={0}>
        <Virtualizer
          ref={list}
          data={rows}
          shift={shift}
          scrollRef={scroller}
          onScroll={onScroll}
          bufferSize={600}
        >
          {(row: Row) => <RowView key={row.key} row={row} conversation={conversation} />}
        </Virtualizer>
      </div>
      {conversation.loading.value === "older" && (
        <div class="older" role="status">
          <span class="spinner" /> Older messages…
        </div>
      )}
      {isAway && (
        <button
          type="button"
          class="newest"
          onClick={() => {
            follows.current = true
            toEnd()
          }}
        >
          <DownIcon />
          Newest
        </button>
      )}
    </div>
  )
}
