/**
 * What a boot verdict costs beside the search alone, from the start of the process, on a real Debian guest. Run after a
 * build, as root: `node bench/boot.mjs [IMAGE]`. Without an image a guest is installed first, which takes minutes and needs
 * debootstrap. Figures are seconds of processor time, the best of several runs, so that a busy machine changes little.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianGuest } from "../test/lib/debian-guest.mjs";
import { main } from "./lib/command.mjs";

const RUNS = 7;
/** The caches of this benchmark alone. */
const home = mkdtempSync(join(tmpdir(), "guestprobe-bench-"));
process.env.XDG_CACHE_HOME = home;
const image = process.argv[2] ?? debianGuest();

/** Processor time of a run, seconds, and what it says about its reads. */
function run(args) {
  const child = spawnSync("/usr/bin/env", ["bash", "-c", 'TIMEFORMAT="@%U %S"; time "$@"', "bash", main, ...args]);
  if (child.status !== 0) throw new Error(child.stderr.toString());
  const text = child.stderr.toString();
  const [, user, system] = /@([0-9.]+) ([0-9.]+)/.exec(text);
  return { seconds: Number(user) + Number(system), reads: /: ([0-9]+ reads, .*)/.exec(text)?.[1] ?? "" };
}

function best(args, before = () => {}) {
  const runs = Array.from({ length: RUNS }, () => {
    before();
    return run(args);
  });
  return runs.reduce((least, each) => (each.seconds < least.seconds ? each : least));
}

function forgetKernels() {
  for (const name of readdirSync(home, { recursive: true })) {
    if (name.endsWith(".kernel")) rmSync(join(home, name));
  }
}

const search = best(["search", "-v", image]);
const rows = [
  ["search", search],
  ["boot, a kernel never seen", best(["boot", "-v", image], forgetKernels)],
  ["boot, a kernel seen before", best(["boot", "-v", image])],
];
for (const [name, { seconds, reads }] of rows) {
  const ratio = (seconds / search.seconds).toFixed(2);
  console.log(`${name.padEnd(28)}${seconds.toFixed(2)} s  ${ratio.padStart(5)} x   ${reads}`);
}
rmSync(home, { recursive: true });
