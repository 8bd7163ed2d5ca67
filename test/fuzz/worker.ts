/** Runs the cases of the long run, in a thread that can be ended; see main.ts. */
import { parentPort, workerData } from "node:worker_threads";
import type { Case } from "./lib/cases.js";
import { type Job, MAX_BYTES, type Message, SLOT } from "./lib/job.js";
import { type Crash, describeFailure, Session } from "./lib/session.js";
import { TARGETS } from "./targets/index.js";

/** How long one target has its turn, milliseconds. */
const TURN = 1500;

const { targets, seed, until, slot } = workerData as Job;
const state = new Int32Array(slot, 0, 2);
const room = new Uint8Array(slot, 8);
const tell = (message: Message): void => parentPort?.postMessage(message);

function begin(one: Case): void {
  const text = Buffer.from(JSON.stringify(one)).subarray(0, SLOT);
  room.set(text);
  Atomics.store(state, 1, text.length);
  Atomics.add(state, 0, 1);
}

/** Runs a case where the other thread sees it. */
async function watched(session: Session, one: Case): Promise<Crash | undefined> {
  begin(one);
  const crash = await session.run(one);
  Atomics.add(state, 0, 1);
  return crash;
}

/** What went wrong in a case, if anything did. */
async function failureOf(
  session: Session,
  one: Case,
): Promise<{ readonly key: string; readonly why: string; readonly crash?: Crash } | undefined> {
  const peak = process.resourceUsage().maxRSS;
  const crash = await watched(session, one);
  if (crash !== undefined) {
    const key = describeFailure(crash.error);
    return { key, why: (crash.error as Error | undefined)?.stack ?? key, crash };
  }
  const grown = (process.resourceUsage().maxRSS - peak) * 1024;
  return grown > MAX_BYTES ? { key: "memory", why: `memory grew by ${grown} bytes` } : undefined;
}

const sessions: Session[] = [];
for (const name of targets) {
  const target = TARGETS.find((each) => each.name === name);
  if (target !== undefined) sessions.push(await Session.open(target, seed));
}
const reported = new Set<string>();
while (Date.now() < until) {
  for (const session of sessions) {
    const { name } = session.target;
    const turn = Math.min(until, Date.now() + TURN);
    while (Date.now() < turn) {
      const one = session.next();
      const failure = await failureOf(session, one);
      // One bug is met a thousand times: once is told.
      if (failure === undefined || reported.has(`${name}: ${failure.key}`)) continue;
      reported.add(`${name}: ${failure.key}`);
      tell({ kind: "crash", case: one, error: failure.why });
      if (failure.crash === undefined) continue;
      const small = await session.minimise(failure.crash, (candidate) => watched(session, candidate));
      tell({ kind: "smaller", case: small, before: one });
    }
    const { executions, outcomes } = session;
    tell({ kind: "turn", target: name, executions, outcomes });
  }
}
