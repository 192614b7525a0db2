/**
 * All scenarios, by what they are about. The numbers in their titles are those of issue 2, "What the tests must show", but for
 * agents.
 */
import type { Suite } from "./Harness.js"
import { abortSuite } from "./suites/Abort.js"
import { failureSuite } from "./suites/AgentFailure.js"
import { agentSuite } from "./suites/Agents.js"
import { entrySuite } from "./suites/Entries.js"
import { historySuite } from "./suites/History.js"
import { idempotencySuite } from "./suites/Idempotency.js"
import { imageSuite } from "./suites/Images.js"
import { lateEventSuite } from "./suites/LateEvents.js"
import { leavingSuite } from "./suites/Leaving.js"
import { operatorSuite } from "./suites/Operators.js"
import { orderSuite } from "./suites/Order.js"
import { resumeSuite } from "./suites/Resume.js"
import { sendingSuite } from "./suites/Sending.js"
import { sessionEventSuite } from "./suites/SessionEvents.js"
import { sessionSuite } from "./suites/Sessions.js"
import { streamingSuite } from "./suites/Streaming.js"
import { timeSuite } from "./suites/Time.js"

export const suites: { readonly [title: string]: Suite } = {
  history: historySuite,
  "a session's entry": entrySuite,
  sessions: sessionSuite,
  "changes of sessions": sessionEventSuite,
  operators: operatorSuite,
  agents: agentSuite,
  abort: abortSuite,
  idempotency: idempotencySuite,
  "late events": lateEventSuite,
  order: orderSuite,
  failures: failureSuite,
  leaving: leavingSuite,
  streaming: streamingSuite,
  resume: resumeSuite,
  sending: sendingSuite,
  images: imageSuite,
  time: timeSuite
}
