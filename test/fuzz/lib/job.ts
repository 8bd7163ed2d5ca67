import type { Case } from "./cases.js";

/** Processor time of one case, milliseconds, and bytes by which it may raise the peak of resident memory. */
export const MAX_MS = 5000;
export const MAX_BYTES = 256 << 20;
/** Room for the case that is running, as JSON. Bytes. */
export const SLOT = 1 << 20;

/** What the worker is to do. */
export interface Job {
  readonly targets: readonly string[];
  readonly seed: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** A word that is odd while a case runs, the length of its JSON, and the JSON. */
  readonly slot: SharedArrayBuffer;
}

export type Message =
  | { readonly kind: "turn"; readonly target: string; readonly executions: number; readonly outcomes: number }
  /** Told before it is made smaller, which may end the worker. */
  | { readonly kind: "crash"; readonly case: Case; readonly error: string }
  /** A case that takes the place of one that was told. */
  | { readonly kind: "smaller"; readonly case: Case; readonly before: Case };

/** Processor time of this process, milliseconds: what a case costs, whatever else the machine does. */
export const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
