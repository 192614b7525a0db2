// Times in milliseconds, ratios without a unit.
export const now = () => performance.now()

export const quantile = (samples, q) => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

export const median = (samples) => quantile(samples, 0.5)

export const times = async (count, step) => {
  const samples = []
  for (let index = 0; index < count; index++) {
    const before = now()
    await step(index)
    samples.push(now() - before)
  }
  return samples
}

export const ms = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`

export const row = (what, measured, against, ratio, goal) => ({ what, measured, against, ratio, goal })

export const table = (rows) => {
  const columns = ["what", "measured", "against", "ratio", "goal"]
  const widths = columns.map((column) =>
    Math.max(column.length, ...rows.map((entry) => String(entry[column] ?? "").length))
  )
  const line = (cells) =>
    `| ${cells.map((cell, index) => String(cell ?? "").padEnd(widths[index])).join(" | ")} |`
  return [
    line(columns),
    line(widths.map((width) => "-".repeat(width))),
    ...rows.map((entry) => line(columns.map((column) => entry[column])))
  ].join("\n")
}
