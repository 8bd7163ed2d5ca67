/** Running programs in turn, and what came of it. */
import { fork, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Median, least and most of some numbers. */
export function summary(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { median, least: sorted[0], most: sorted[sorted.length - 1], runs: sorted.length };
}

/** Milliseconds that a command takes from start to end; its output goes to nobody. Rejects when it fails. */
export function timeCommand([command, ...args]) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { stdio: "ignore" });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(performance.now() - start);
      else reject(new Error(`${[command, ...args].join(" ")} ended with ${signal ?? code}`));
    });
  });
}

/** Milliseconds that `work` takes. */
export async function timeWork(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const WARM_PROCESS = fileURLToPath(new URL("warm-process.mjs", import.meta.url));

/**
 * A contender that is a function of warm-process.mjs, in a process that is warm: V8 runs code in its interpreter first, and
 * what a program gains by its better code shows after `warmups` calls, none of which counts. The same for ours and for
 * peers. `stop` ends the process.
 */
export function inProcess(warmups, name, ...words) {
  let child;
  const run = async () => {
    child ??= fork(WARM_PROCESS);
    const { ms, error } = await new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
      child.send({ name, words });
    });
    child.removeAllListeners("exit");
    if (error !== undefined) throw new Error(error);
    return ms;
  };
  return Object.assign(run, { warmups, stop: () => child?.kill() });
}

/** A contender that takes longer than this, in milliseconds, or that says of itself that it is slow, is run once. */
const SLOW = 15_000;

/** A number from 0 up to `below`, the same for the same two on each machine. */
function drawn(round, below) {
  let mixed = Math.imul(round, 0x9e37_79b1) ^ Math.imul(below, 0x85eb_ca6b);
  for (let n = 0; n < 2; n += 1) mixed = Math.imul(mixed ^ (mixed >>> 16), 0x045d_9f3b);
  return Math.floor((((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32) * below);
}

/** The same in another order, which is that of `round`. */
function shuffled(items, round) {
  const mixed = [...items];
  for (let left = mixed.length; left > 1; left -= 1) {
    const other = drawn(round, left);
    [mixed[left - 1], mixed[other]] = [mixed[other], mixed[left - 1]];
  }
  return mixed;
}

/**
 * Times every contender in turn, `runs` times over, so that what else the machine does meets all alike, each round in
 * another order: who comes after a process finds the processor's caches full of something else. The first round, from the last to
 * the first, warms caches and does not count, but for one that is slow; contenders of `inProcess` have more of them, and what the
 * first one of those took is told too. A contender that fails is left out, with its reason.
 *
 * @param contenders Name to a function that answers milliseconds.
 */
export async function inTurn(contenders, runs) {
  const times = new Map();
  const failed = new Map();
  const slow = new Set();
  const first = new Map();
  for (let round = -1; round < runs; round += 1) {
    // What is slow and runs once comes before the first is warmed, who would sleep for minutes meanwhile and be cold again.
    const order = Object.entries(contenders);
    for (const [name, run] of round < 0 ? order.reverse() : shuffled(order, round + 2)) {
      if (failed.has(name) || slow.has(name)) continue;
      try {
        const ms = await run();
        if (round < 0 && (ms > SLOW || run.isSlow)) slow.add(name);
        if (round < 0 && run.warmups !== undefined) first.set(name, { warmups: run.warmups, first: ms });
        for (let n = 1; round < 0 && n < (run.warmups ?? 0) && !slow.has(name); n += 1) await run();
        if (round >= 0 || slow.has(name)) times.set(name, [...(times.get(name) ?? []), ms]);
      } catch (error) {
        failed.set(name, String(error.message ?? error).split("\n")[0]);
      }
    }
  }
  for (const { stop } of Object.values(contenders)) stop?.();
  return Object.keys(contenders).map((name) =>
    failed.has(name) ? { name, cannot: failed.get(name) } : { name, ...summary(times.get(name)), ...first.get(name) },
  );
}
