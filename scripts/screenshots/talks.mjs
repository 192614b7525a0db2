/** What is said in the screenshots: by session, in their order. */
export const talks = {
  "recipes:sourdough": [
    {
      question: "How much starter do I need for a loaf of 800 g?",
      answer: "About **160 g**, fed and bubbling: 20 % of the flour, at 500 g of flour and 350 g of water."
    }
  ],
  "travel:lisbon": [
    {
      question: "Three days in Lisbon with two children. What should we not miss?",
      answer:
        "The aquarium, tram 28 early in the morning, and a day at the beach in Cascais: the train takes 40 minutes."
    }
  ],
  "work:release-notes": [
    {
      question: "Summarise the changes since 2.3 for people who don't read code.",
      answer:
        "Uploads no longer stall on slow connections, search finds words with accents, and the export keeps its order."
    }
  ],
  "work:rate-limits": [
    {
      question: "Our import hits the API's rate limit. What is a good way to retry?",
      tools: [
        {
          name: "Read src/import.ts",
          args: { path: "src/import.ts" },
          result: "export const importAll = Effect.forEach(rows, upload, { concurrency: 32 })"
        }
      ],
      answer: `Retry what may succeed later, wait a little longer each time, and let chance spread the load:

\`\`\`ts
const upload = (row: Row) =>
  Effect.retry(post("/rows", row), {
    // 200 ms, 400 ms, 800 ms … and a random part of each
    schedule: Schedule.exponential("200 millis").pipe(Schedule.jittered),
    times: 6,
    while: (error) => error.status === 429 || error.status >= 500
  })
\`\`\`

| status | retry? | why |
| --- | --- | --- |
| 429 | yes, after \`Retry-After\` | too many requests |
| 500, 502, 503 | yes | may pass |
| 400, 401, 404 | no | the same answer again |

Two more things:

1. **Fewer at once.** 32 uploads side by side are above the limit of 20; \`concurrency: 8\` leaves room for others.
2. **An idempotency key** for each row, so that a row whose reply was lost is not stored twice.`
    },
    {
      question: "And how would you test that without waiting?",
      answer:
        "With `TestClock`: fork the upload, let the fake server answer 429 twice, and move the clock by 600 ms. The test takes",
      isOpen: true
    }
  ]
}
