/** Why a model stopped, in the words that clients know. What is not here is passed on as the provider says it. */
const inOurWords: ReadonlyMap<string, string> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"]
])

export const make = (said: string): string => inOurWords.get(said) ?? said
