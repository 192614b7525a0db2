/** Icons, drawn with lines of the text's colour. They say nothing to screen readers: what they stand on has a label. */
import type { ComponentChildren } from "preact"

const Icon = ({ children }: { readonly children: ComponentChildren }) => (
  <svg
    class="icon"
    viewBox="0 0 24 24"
    width="20"
    height="20"
    fill="none"
    stroke="currentColor"
    stroke-width="1.8"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    {children}
  </svg>
)
const line = (d: string) => () => (
  <Icon>
    <path d={d} />
  </Icon>
)

export const SendIcon = line("M12 19V5M5.500 11.500 12 5l6.500 6.500")
export const PlusIcon = line("M12 5v14M5 12h14")
export const MenuIcon = line("M4 7h16M4 12h16M4 17h16")
export const CloseIcon = line("M6 6l12 12M18 6 6 18")
export const CheckIcon = line("M5 12.500l4.500 4.500L19 7.500")
export const DownIcon = line("M12 5v14M5.500 12.500 12 19l6.500-6.500")
export const ChevronIcon = line("M9 6l6 6-6 6")
export const RetryIcon = line("M4 12a8 8 0 1 0 2.500-5.800M4 4v4.500h4.500")
export const TrashIcon = line("M5 7h14M10 7V4.500h4V7M7 7l.8 12.500h8.400L17 7M10.300 11v5M13.700 11v5")
export const PenIcon = line("M4 20l1-4.500L16.500 4 20 7.500 8.500 19z")
export const LeaveIcon = line("M14 4h5v16h-5M4 12h11M11 8l4 4-4 4")
export const PulseIcon = line("M3 12h4l3-7 4 14 3-7h4")
export const ImageIcon = line("M4 5h16v14H4zM4 16l4.500-4.500 4 4 3-3L20 17M9 9.200v.1")
export const CopyIcon = line("M9 9h10v10H9zM5 15V5h10")
export const ToolIcon = line(
  "M14.500 6.500a4 4 0 0 1 5-1.200l-2.700 2.700 1.700 1.700 2.700-2.700a4 4 0 0 1-5.400 5L8.500 19.300a1.900 1.900 0 0 1-2.800-2.800l7.300-7.300a4 4 0 0 1 1.500-2.700z"
)

export const SearchIcon = () => (
  <Icon>
    <circle cx="11" cy="11" r="6.500" />
    <path d="M16 16l4 4" />
  </Icon>
)
export const StopIcon = () => (
  <Icon>
    <rect x="7" y="7" width="10" height="10" rx="2" fill="currentColor" />
  </Icon>
)
export const MoreIcon = () => (
  <Icon>
    <circle cx="5.500" cy="12" r=".8" fill="currentColor" />
    <circle cx="12" cy="12" r=".8" fill="currentColor" />
    <circle cx="18.500" cy="12" r=".8" fill="currentColor" />
  </Icon>
)
export const ThemeIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8" />
    <path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" />
  </Icon>
)
export const WarnIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.500" />
    <path d="M12 7.500v5.500M12 16.300v.1" />
  </Icon>
)
