/**
 * Any bytes in: a value or an ImageError out, in bounded time and memory. A seeded number of cases of every target, and
 * every case that ever failed. `npm run fuzz -- --minutes N [TARGET]` goes on for as long as one likes.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Case } from "./lib/cases.js";
import { cpu, MAX_BYTES, MAX_MS } from "./lib/job.js";
import { Session } from "./lib/session.js";
import { TARGETS } from "./targets/index.js";

const SEED = 20_261_129;
/** Processor time for one target's cases, milliseconds: what the cases are worth, whatever else the machine does. */
const SHARE = 200;
const FEWEST = 12;

const crashes = new URL("./crashes/", import.meta.url);
const known = (existsSync(crashes) ? readdirSync(crashes) : [])
  .filter((name) => name.endsWith(".json"))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, crashes), "utf8")) as Case] as const);

async function check(session: Session, one: Case): Promise<void> {
  const started = cpu();
  const before = process.resourceUsage().maxRSS;
  const crash = await session.run(one);
  if (crash !== undefined) throw new Error(JSON.stringify(one).slice(0, 2000), { cause: crash.error });
  expect(cpu() - started, JSON.stringify(one).slice(0, 2000)).toBeLessThan(MAX_MS);
  expect((process.resourceUsage().maxRSS - before) * 1024).toBeLessThan(MAX_BYTES);
}

describe.each(TARGETS.map((target) => [target.name, target] as const))("%s", (name, target) => {
  test("its sound seeds, a seeded series of cases, and what failed before", { timeout: 120_000 }, async () => {
    const session = await Session.open(target, SEED);
    expect(await session.runSeeds()).toBeUndefined();
    for (const [, one] of known.filter(([, { target: of }]) => of === name)) await check(session, one);
    const started = cpu();
    for (let n = 0; n < FEWEST || (n < 200 && cpu() - started < SHARE); n += 1) await check(session, session.next());
    expect(session.outcomes).toBeGreaterThan(1);
  });
});

test("every saved case belongs to a target", () => {
  const names = TARGETS.map((target) => target.name);
  for (const [file, { target }] of known) expect(names, file).toContain(target);
});
