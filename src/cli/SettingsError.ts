/** What is wrong with the settings. */
import { Schema } from "effect"

export interface SettingProblem {
  /** Where it was set: a flag, a variable, or a key and its file. */
  readonly where: string
  readonly message: string
}

/** All problems at once, in words for whoever started the program. The value of a secret is never in them. */
export class SettingsError extends Schema.TaggedError<SettingsError>()("SettingsError", {
  problems: Schema.Array(Schema.Struct({ where: Schema.String, message: Schema.String }))
}) {
  override get message(): string {
    const lines = this.problems.map(({ message, where }) => `  ${where}: ${message}`)
    return [
      this.problems.length === 1 ? "a setting is wrong:" : `${this.problems.length} settings are wrong:`,
      ...lines
    ].join("\n")
  }
}
