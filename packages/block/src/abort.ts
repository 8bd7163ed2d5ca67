import { ImageError } from "./errors.js";

const polls = new WeakMap<AbortSignal, () => void>();

/**
 * A signal that is asked instead of fired: `poll` runs wherever work looks at its signal, also inside decoders that
 * never wait, and what it throws ends the work. For programs whose reads block, so that no timer would ever fire.
 */
export function polledSignal(poll: () => void): AbortSignal {
  const { signal } = new AbortController();
  polls.set(signal, poll);
  return signal;
}

/** Throws `aborted` if the signal has fired; its reason becomes the cause. Asks a signal of `polledSignal`. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (signal.aborted) throw new ImageError("aborted", "the operation was aborted", { cause: signal.reason });
  polls.get(signal)?.();
}

/** Milliseconds for which work that never really waits may keep a thread to itself: less than half of what is promised. */
const TURN_MS = 20;
let turnBegan = 0;

/**
 * Work over bytes in memory waits for promises that are fulfilled already, so that nothing else gets a turn, and nobody
 * could fire its signal. Answers a promise to wait for when it is time to let the others run; undefined otherwise, and
 * always without a signal that somebody could fire.
 */
export function turnFor(signal: AbortSignal | undefined): Promise<void> | undefined {
  if (signal === undefined || polls.has(signal)) return undefined;
  const now = performance.now();
  if (now - turnBegan < TURN_MS) return undefined;
  return new Promise((resolve) => {
    setTimeout(() => {
      turnBegan = performance.now();
      resolve();
    }, 0);
  });
}

/** Who waits for each signal: one listener serves them all, for Node warns of a leak where there are more than ten. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

function waitersOf(signal: AbortSignal): Set<() => void> {
  const known = waiting.get(signal);
  if (known !== undefined) return known;
  const waiters = new Set<() => void>();
  waiting.set(signal, waiters);
  signal.addEventListener("abort", () => {
    for (const stop of waiters) stop();
  });
  return waiters;
}

/** The promise, or `aborted` as soon as the signal fires. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  // A signal that is asked never fires.
  if (signal === undefined || polls.has(signal)) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new ImageError("aborted", "the operation was aborted", { cause: signal.reason }));
    // A signal that fired before says so no more.
    if (signal.aborted) stop();
    const waiters = waitersOf(signal);
    waiters.add(stop);
    promise.then(resolve, reject).finally(() => waiters.delete(stop));
  });
}
