/** SessionItem: a session in the list. */
import type { SessionRow } from "../../protocol/Sessions.js"
import { ago, plain, titleOf } from "../state/Wording.js"

export interface SessionItemProps {
  readonly row: SessionRow
  readonly isCurrent: boolean
  readonly isBusy: boolean
  readonly isUnread: boolean
  /** Milliseconds since the Unix epoch. */
  readonly now: number
  readonly onOpen: () => void
}

export const SessionItem = ({ isBusy, isCurrent, isUnread, now, onOpen, row }: SessionItemProps) => (
  <li>
    <button type="button" class="session" aria-current={isCurrent ? "page" : undefined} onClick={onOpen}>
      <span class="title">{titleOf(row)}</span>
      <span class="when">
        {isBusy ? (
          <span class="spinner" role="img" aria-label="The agent works" />
        ) : isUnread ? (
          <span class="unread" role="img" aria-label="Unread" />
        ) : (
          ago(row.updatedAt, now)
        )}
      </span>
      <span class="preview">
        {row.lastMessagePreview === undefined ? "Nothing was said yet" : plain(row.lastMessagePreview)}
      </span>
    </button>
  </li>
)
