/** Context: the desk, for all that is shown on it. */
import { createContext } from "preact"
import { useContext } from "preact/hooks"
import type { Desk } from "../state/Desk.js"

export const DeskContext = createContext<Desk | undefined>(undefined)

/** The desk of the page; a view that asks for it stands on one. */
export const useDesk = (): Desk => {
  const desk = useContext(DeskContext)
  if (desk === undefined) throw new Error("a view without a desk")
  return desk
}
