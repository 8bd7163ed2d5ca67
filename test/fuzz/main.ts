/**
 * The long run: every target in turn, in one process. This thread watches; a worker runs the cases, so that one that
 * hangs can be ended, and is written down where this thread reads it before it starts.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Case } from "./lib/cases.js";
import { cpu, type Job, MAX_MS, type Message, SLOT } from "./lib/job.js";
import { describeRun, type Row, type RunFacts } from "./lib/report.js";
import { TARGETS } from "./targets/index.js";

const CRASHES = new URL("./crashes/", import.meta.url);

/** @param worker The bundled worker.ts. */
export async function supervise(worker: URL): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: "string", default: "1" }, seed: { type: "string" }, record: { type: "string" } },
  });
  const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
  const minutes = Number(values.minutes);
  if (unknown.length > 0 || !(minutes > 0)) {
    console.error(`usage: npm run fuzz -- [--minutes N] [--seed N] [--record FILE] [TARGET...]`);
    console.error(`targets: ${TARGETS.map(({ name }) => name).join(" ")}`);
    process.exitCode = 2;
    return;
  }
  const started = Date.now();
  const until = started + minutes * 60_000;
  const seed = Number(values.seed ?? started % 1_000_000_007);
  const targets = TARGETS.map(({ name }) => name).filter(
    (name) => positionals.length === 0 || positionals.includes(name),
  );
  const rows = new Map<string, Row>(
    targets.map((name) => [name, { target: name, executions: 0, outcomes: 0, failures: 0 }]),
  );
  console.log(`${targets.length} targets, ${minutes} minutes, seed ${seed}`);
  const facts = (): RunFacts => ({
    minutes: (Date.now() - started) / 60_000,
    seed,
    cpuSeconds: cpu() / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  });
  // A run that somebody ends has its summary too.
  const { record } = values;
  const recorder =
    record === undefined
      ? undefined
      : setInterval(() => recordRun(record, describeRun([...rows.values()], facts())), 15_000);
  for (let round = 0; Date.now() < until; round += 1) {
    // A worker that ends early must not be the end of the same targets each time.
    const first = (round * 7) % targets.length;
    const turned = [...targets.slice(first), ...targets.slice(0, first)];
    await oneWorker(worker, { targets: turned, seed: seed + round, until }, rows);
  }
  const list = [...rows.values()];
  clearInterval(recorder);
  const report = describeRun(list, facts());
  console.log(report);
  if (record !== undefined) recordRun(record, report);
  process.exitCode = list.some(({ failures }) => failures > 0) ? 1 : 0;
}

const HEAD = "<!-- the run -->\n";
const FOOT = "<!-- end of the run -->\n";

/** Puts the summary between the two marks of a page; a file that has none becomes the summary. */
function recordRun(file: string, report: string): void {
  const page = existsSync(file) ? readFileSync(file, "utf8") : "";
  const [from, to] = [page.indexOf(HEAD), page.indexOf(FOOT)];
  const marked = from >= 0 && to > from;
  writeFileSync(file, marked ? `${page.slice(0, from)}${HEAD}${report}${page.slice(to)}` : report);
}

/** Runs a worker until the time is over, or it dies, or a case of it hangs. */
async function oneWorker(program: URL, job: Omit<Job, "slot">, rows: Map<string, Row>): Promise<void> {
  const slot = new SharedArrayBuffer(8 + SLOT);
  const state = new Int32Array(slot, 0, 2);
  const worker = new Worker(program, {
    workerData: { ...job, slot } satisfies Job,
    resourceLimits: { maxOldGenerationSizeMb: 512 },
  });
  const before = new Map([...rows].map(([name, row]) => [name, row.executions]));
  const failed = (one: Case, why: string): void => {
    const row = rows.get(one.target);
    if (row !== undefined) row.failures += 1;
    console.error(`${one.target}: ${why}\n  saved as ${save(one)}`);
  };
  worker.on("message", (message: Message) => {
    if (message.kind === "crash") failed(message.case, message.error);
    else if (message.kind === "smaller") {
      rmSync(fileOf(message.before), { force: true });
      console.error(`${message.case.target}: made smaller, as ${save(message.case)}`);
    } else {
      const row = rows.get(message.target);
      if (row === undefined) return;
      row.executions = (before.get(message.target) ?? 0) + message.executions;
      row.outcomes = Math.max(row.outcomes, message.outcomes);
    }
  });
  let seen = -1;
  let since = cpu();
  const timer = setInterval(() => {
    const now = Atomics.load(state, 0);
    if (now !== seen) {
      seen = now;
      since = cpu();
    } else if (now % 2 === 1 && cpu() - since > MAX_MS) {
      failed(running(slot), `still busy after ${MAX_MS} ms of processor time`);
      void worker.terminate();
    }
  }, 250);
  await new Promise<void>((resolve) => {
    worker.on("error", (error) => {
      if (Atomics.load(state, 0) % 2 === 1) failed(running(slot), `the worker died: ${error.message}`);
      else console.error(error);
    });
    worker.on("exit", () => resolve());
  });
  clearInterval(timer);
}

/** The case that a worker is at: state[0] is odd while one runs, state[1] the length of its JSON. */
function running(slot: SharedArrayBuffer): Case {
  const length = Atomics.load(new Int32Array(slot, 0, 2), 1);
  return JSON.parse(Buffer.from(new Uint8Array(slot, 8, length)).toString()) as Case;
}

const textOf = (one: Case): string => `${JSON.stringify(one)}\n`;

function fileOf(one: Case): URL {
  return new URL(`${one.target}-${createHash("sha256").update(textOf(one)).digest("hex").slice(0, 12)}.json`, CRASHES);
}

function save(one: Case): string {
  mkdirSync(CRASHES, { recursive: true });
  const file = fileOf(one);
  writeFileSync(file, textOf(one));
  return file.pathname.slice(file.pathname.indexOf("test/fuzz/"));
}
