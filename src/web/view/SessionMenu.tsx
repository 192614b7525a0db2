/** SessionMenu: what can be done with a session. */
import { useRef, useState } from "preact/hooks"
import { useDesk } from "./Context.js"
import { Confirm, Dialog } from "./Dialog.js"
import { MoreIcon, PenIcon, RetryIcon, TrashIcon } from "./Icons.js"
import { Menu, type MenuItem } from "./Menu.js"

export interface SessionMenuProps {
  readonly conversationKey: string
  readonly title: string
}

export const SessionMenu = ({ conversationKey: key, title }: SessionMenuProps) => {
  const desk = useDesk()
  const [asked, setAsked] = useState<"rename" | "reset" | "delete">()
  const close = (): void => setAsked(undefined)
  if (!desk.may("operator.write") || desk.sessions.row(key) === undefined) return null
  const items: ReadonlyArray<MenuItem> = [
    ...(desk.has("sessions.patch")
      ? [{ label: "Rename…", icon: <PenIcon />, onChoose: () => setAsked("rename") }]
      : []),
    ...(desk.has("sessions.reset")
      ? [{ label: "Begin anew…", icon: <RetryIcon />, onChoose: () => setAsked("reset") }]
      : []),
    ...(desk.has("sessions.delete") && !desk.isMain(key)
      ? [{ label: "Delete…", icon: <TrashIcon />, isDanger: true, onChoose: () => setAsked("delete") }]
      : [])
  ]
  if (items.length === 0) return null
  return (
    <>
      <Menu label="Session" icon={<MoreIcon />} items={items} />
      {asked === "rename" && (
        <Rename title={title} onClose={close} onName={(name) => desk.attempt(desk.rename(key, name))} />
      )}
      {asked === "reset" && (
        <Confirm
          title="Begin anew?"
          text={`What was said in “${title}” is put away, and the agent forgets it. What runs in it is stopped.`}
          action="Begin anew"
          onClose={close}
          onConfirm={() => desk.attempt(desk.reset(key))}
        />
      )}
      {asked === "delete" && (
        <Confirm
          title="Delete the session?"
          text={`“${title}” is taken off the list for everybody. What runs in it is stopped.`}
          action="Delete"
          onClose={close}
          onConfirm={() => desk.attempt(desk.remove(key))}
        />
      )}
    </>
  )
}

interface RenameProps {
  readonly title: string
  readonly onName: (name: string) => void
  readonly onClose: () => void
}

const Rename = ({ onClose, onName, title }: RenameProps) => {
  const field = useRef<HTMLInputElement>(null)
  return (
    <Dialog label="Rename the session" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onName(field.current?.value.trim() ?? "")
          onClose()
        }}
      >
        <h2>Rename the session</h2>
        <label>
          <span>Name</span>
          <input ref={field} defaultValue={title} maxLength={200} autoFocus placeholder="As it begins" />
        </label>
        <div class="buttons">
          <button type="button" class="plain" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="strong">
            Rename
          </button>
        </div>
      </form>
    </Dialog>
  )
}
