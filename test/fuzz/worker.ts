/** Runs the cases of the long run, in a thread that can be ended; see main.ts. */
import { parentPort, workerData } from "node:worker_threads";
import type { Case } from "./lib/cases.js";
import { type Job, MAX_BYTES, type Message, SLOT } from "./lib/job.js";
import { type Crash, Session } from "./lib/session.js";
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

/** What went wrong in a case, if anything did. */
async function failureOf(
  session: Session,
  one: Case,
): Promise<{ readonly why: string; readonly crash?: Crash } | undefined> {
  const peak = process.resourceUsage().maxRSS;
  begin(one);
  const crash = await session.run(one);
  Atomics.add(state, 0, 1);
  if (crash !== undefined) return { why: String((crash.error as Error).stack ?? crash.error), crash };
  const grown = (process.resourceUsage().maxRSS - peak) * 1024;
  return grown > MAX_BYTES ? { why: `memory grew by ${grown} bytes` } : undefined;
}

const sessions: Session[] = [];
for (const target of TARGETS.filter(({ name }) => targets.includes(name))) {
  sessions.push(await Session.open(target, seed));
}
const reported = new Set<string>();
while (Date.now() < until) {
  for (const session of sessions) {
    const turn = Math.min(until, Date.now() + TURN);
    while (Date.now() < turn) {
      const one = session.next();
      const failure = await failureOf(session, one);
      if (failure === undefined) continue;
      // One bug is met a thousand times: once is told.
      const key = `${session.target.name}: ${failure.why.split("\n").slice(0, 3).join(" ")}`;
      if (reported.has(key)) continue;
      reported.add(key);
      const small = failure.crash === undefined ? one : await session.minimise(failure.crash);
      tell({ kind: "crash", case: small, error: failure.why });
    }
    const { executions, outcomes } = session;
    tell({ kind: "turn", target: session.target.name, executions, outcomes });
  }
}
