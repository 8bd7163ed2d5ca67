// The real boots: `boot --json` says beforehand what a guest does, then Xen shows it. Writes docs/boots.md.
//
//   node test/boots/run.mjs [--only NAME] [--work FOLDER] [--recorded FILE] [--no-boot]
//
// With --only, that guest's line alone is written anew. With --no-boot nothing is booted: what is said now is held against
// what the lines of docs/boots.md were shown before.
//
// XEN_BOOT names the program that boots guest disks under Xen and prints one JSON line (mode, disks; chain, tried, missed,
// linux_version, cmdline, result). With --recorded, runs that FILE already holds (lines with a "tag") are not made again.
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { CASES } from "./cases.mjs";
import { makeGuests } from "./guests.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const argument = (name) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const work = resolve(argument("--work") ?? join(tmpdir(), "guestprobe-boots"));
const only = argument("--only");
const record = argument("--recorded") ?? join(work, "runs.jsonl");
const program = process.env.XEN_BOOT;
/** Seconds that a guest may take until Linux is proved; more on a machine that is busy with other things. */
const limit = Number(process.env.XEN_BOOT_TIMEOUT ?? 300);
const page = join(root, "docs/boots.md");
const HOSTS = { pv: "debian-pv", pvh: "debian-pvh", pygrub: "pygrub" };

/** The prediction, in the words of a run. */
function predict(mode, disks) {
  const args = [
    "packages/cli/dist/main.js",
    "boot",
    "--json",
    "--host",
    HOSTS[mode],
    "--as",
    disks.map(({ vdev }) => vdev).join(","),
  ];
  const { stdout, stderr } = spawnSync(process.execPath, [...args, ...disks.map(({ path }) => path)], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  if (stdout.length === 0) throw new Error(`guestprobe boot: ${stderr}`);
  const [verdict] = JSON.parse(stdout.toString()).verdicts;
  const steps = verdict.attempts.filter(({ kind, file }) => kind === "search" && file === "(memdisk)/grub.cfg");
  const kindOf = (path) => (path.endsWith(".elf") ? "pvboot" : "grub.cfg");
  const tried = steps.filter(({ ok }) => ok).map(({ device, path }) => `${kindOf(path)} (${device})${path}`);
  const linux = verdict.answer === "yes";
  return {
    result: linux ? "linux" : "no linux",
    chain: mode === "pygrub" ? "pygrub" : (tried.at(-1)?.split(" ")[0] ?? "none"),
    tried: mode === "pygrub" ? [] : tried,
    missed: mode === "pygrub" ? [] : steps.filter(({ ok }) => !ok).map(({ path }) => path),
    linux_version: linux ? verdict.kernel.release : null,
    cmdline: linux ? verdict.cmdline : null,
    refusals:
      mode === "pygrub"
        ? []
        : verdict.attempts
            .filter(({ kind, ok, device }) => kind === "load" && !ok && device)
            .map(({ reason, path }) => (reason === "not found" ? `file \`${path}' not found.` : `${reason}.`)),
  };
}

/** What a run showed, in the same words. */
const shown = (run) => ({
  result: run.result === "linux" ? "linux" : "no linux",
  chain: run.chain,
  tried: run.tried,
  missed: run.missed,
  linux_version: run.linux_version,
  cmdline: run.cmdline,
  // What follows from a refusal is printed too.
  refusals: run.errors.filter((text) => text !== "you need to load the kernel first."),
});

function bootForReal(tag, mode, disks) {
  if (program === undefined) throw new Error("XEN_BOOT names no program that boots guests under Xen");
  const args = [
    "run",
    "--mode",
    mode,
    "--timeout",
    String(limit),
    "--linger",
    "3",
    ...disks.map(({ path, vdev }) => `${path},${vdev}`),
  ];
  const run = JSON.parse(execFileSync(program, args, { timeout: (limit + 600) * 1000, maxBuffer: 1 << 26 }).toString());
  appendFileSync(record, `${JSON.stringify({ tag, ...run })}\n`);
  return run;
}

mkdirSync(work, { recursive: true });
const cases = CASES.filter(({ name }) => only === undefined || name === only);
const guests = makeGuests(work, cases);
const recorded = new Map(
  (existsSync(record) ? readFileSync(record, "utf8").trim().split("\n") : [])
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .map((run) => [run.tag, run]),
);
const steps = ({ tried, missed }) => [...missed.map((path) => `no ${path}`), ...tried].join("<br>") || "-";
/** A line of the table: what was said, and what was shown. */
const row = (name, mode, before, after, same) =>
  `| ${name} | ${mode} | ${before.result} | ${after.result} | ${after.chain} | ${steps(after)} | ${same ? "yes" : "**no**"} |`;
const lines = new Map(
  (existsSync(page) ? readFileSync(page, "utf8").split("\n") : [])
    .filter((line) => /^\| [a-z0-9-]+ \| (pv|pvh|pygrub) \|/.test(line))
    .map((line) => [line.split(" ")[1], line]),
);
let wrong = 0;
for (const { name, mode } of cases) {
  const disks = guests.get(name);
  const before = predict(mode, disks);
  if (process.argv.includes("--no-boot")) {
    // Nothing was shown but what is in the table.
    const known = lines.get(name);
    const same = known === row(name, mode, before, before, true);
    if (!same && known !== undefined) wrong += 1;
    console.log(
      `${same ? "ok   " : known === undefined ? "new  " : "OTHER"} ${name}: ${before.result} by ${before.chain}`,
    );
    continue;
  }
  const run = recorded.get(name) ?? bootForReal(name, mode, disks);
  const after = shown(run);
  const same = JSON.stringify(before) === JSON.stringify(after);
  if (!same) {
    wrong += 1;
    console.error(
      `${name}: said ${JSON.stringify(before, undefined, 1)}\nshown ${JSON.stringify(after, undefined, 1)}`,
    );
  }
  console.log(`${same ? "ok   " : "WRONG"} ${name}: ${after.result} by ${after.chain}`);
  lines.set(name, row(name, mode, before, after, same));
}
if (!process.argv.includes("--no-boot")) {
  const text = [
    "# Boots",
    "",
    "Guests that were really booted under Xen 4.17 with Debian's host images, and what `guestprobe boot` says of their",
    "disks. Written by `npm run test:boots`; the guests are in test/boots/cases.mjs. *Steps* are what the loader looked for",
    "and found. All command lines and versions were compared too.",
    "",
    "| guest | mode | said | shown | by | steps | as said |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...CASES.flatMap(({ name }) => lines.get(name) ?? []),
    "",
  ];
  writeFileSync(page, text.join("\n"));
}
process.exitCode = wrong === 0 ? 0 : 1;
