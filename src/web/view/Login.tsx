/** Login: asks for the token. */
import { useRef } from "preact/hooks"
import { WarnIcon } from "./Icons.js"
import { Logo } from "./Logo.js"

export interface LoginProps {
  /** Why the last one did not do. */
  readonly problem: string | undefined
  readonly onToken: (token: string) => void
}

export const Login = ({ onToken, problem }: LoginProps) => {
  const field = useRef<HTMLInputElement>(null)
  return (
    <main class="lonely">
      <form
        class="login"
        onSubmit={(event) => {
          event.preventDefault()
          const token = field.current?.value.trim() ?? ""
          if (token !== "") onToken(token)
        }}
      >
        <Logo />
        <h1>Colloquy</h1>
        <p>Enter the gateway's access token, or open the link that it has printed.</p>
        {problem !== undefined && (
          <p class="problem" role="alert">
            <WarnIcon />
            <span>{problem}</span>
          </p>
        )}
        <label>
          <span>Token</span>
          <input
            ref={field}
            type="password"
            autoComplete="current-password"
            required
            autoFocus
            spellcheck={false}
          />
        </label>
        <button type="submit" class="strong">
          Log in
        </button>
        <p class="hint">It is kept in this tab only, until you close it.</p>
      </form>
    </main>
  )
}
