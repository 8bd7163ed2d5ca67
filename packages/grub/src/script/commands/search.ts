import { GRUB_ERRNO } from "../../errno.js";
import { PLATFORM_HINTS } from "../dialect.js";
import { isBlockList, openVolume } from "../files.js";
import type { Machine } from "../machine.js";
import type { Call, CommandSpec } from "../machine-types.js";
import type { OptionTable } from "../options.js";

const HINT_KINDS = ["hint-ieee1275", "hint-bios", "hint-baremetal", "hint-efi", "hint-arc"];

const SEARCH_OPTIONS: OptionTable = {
  acceptDash: true,
  options: [
    { long: "file", short: "f" },
    { long: "label", short: "l" },
    { long: "fs-uuid", short: "u" },
    { long: "set", short: "s", value: "string", optional: true },
    { long: "no-floppy", short: "n" },
    { long: "hint", short: "h", value: "string", repeatable: true },
    ...HINT_KINDS.map((long) => ({ long, value: "string" as const, repeatable: true })),
  ],
};

type SearchKind = "file" | "label" | "fs-uuid";

interface SearchRequest {
  readonly kind: SearchKind;
  readonly name: string;
  /** Undefined: every hit is printed. */
  readonly variable: string | undefined;
  readonly hints: readonly string[];
  readonly noFloppy: boolean;
}

/** Whether a device is a hit; errors on it count as a miss and are forgotten. */
async function isHit(machine: Machine, device: string, { kind, name }: SearchRequest): Promise<boolean> {
  const saved = machine.takeError();
  try {
    const volume = await openVolume(machine, device);
    if (volume === undefined) return false;
    machine.budget.spend("steps");
    if (kind === "file") {
      // A name without a leading slash is a list of blocks, which the first real disk has.
      if (!name.startsWith("/")) return isBlockList(name) && (await volume.probe()).driver !== "loopback";
      return (await volume.exists(name)) !== undefined;
    }
    const facts = await volume.probe();
    if (kind === "label") return facts.label !== undefined && facts.label === name;
    return facts.fsUuid?.toLowerCase() === name.toLowerCase();
  } finally {
    machine.restoreError(saved);
  }
}

/** `search` of GRUB 2.06 (commands/search.c): what was found before, then the hints, then everything in order. */
async function search(machine: Machine, request: SearchRequest): Promise<number> {
  const { variable, name } = request;
  const devices = await machine.devices();
  const key = `${request.kind}\n${name}`;
  let hits = 0;
  /** True when the search is over. */
  const visit = async (device: string): Promise<boolean> => {
    if (request.noFloppy && /^fd[0-9]$/.test(device)) return false;
    if (!(await isHit(machine, device, request))) return false;
    if (!machine.searchCache.has(key)) machine.searchCache = new Map(machine.searchCache).set(key, device);
    hits += 1;
    if (variable === undefined) {
      machine.print(` ${device}`);
      return false;
    }
    machine.set(variable, device);
    return true;
  };
  const run = async (): Promise<void> => {
    const cached = machine.searchCache.get(key);
    if (cached !== undefined) {
      const before = hits;
      if (await visit(cached)) return;
      if (hits === before) {
        const kept = new Map(machine.searchCache);
        kept.delete(key);
        machine.searchCache = kept;
      }
    }
    for (const hint of request.hints) {
      if (!hint.endsWith(",")) {
        if (await visit(hint)) return;
        continue;
      }
      const disk = hint.slice(0, -1);
      if (await visit(disk)) return;
      // Partitions of a hinted disk are visited in the order they were found, which a full search reverses.
      for (const device of [...devices].reverse()) if (device.startsWith(hint) && (await visit(device))) return;
    }
    for (const device of devices) if (await visit(device)) return;
  };
  await run();
  if (hits > 0) return GRUB_ERRNO.none;
  return machine.fail(GRUB_ERRNO["file-not-found"], `no such device: ${name}`);
}

async function searchCommand(machine: Machine, { options }: Call): Promise<number> {
  const { given } = options;
  const value = (long: string) => (given.get(long) ?? []).filter((word) => word !== undefined);
  const hints = ["hint", ...PLATFORM_HINTS[machine.platform]].flatMap(value);
  const words = options.args.slice(leadingHints(options.args));
  let variable = given.has("set") ? (given.get("set")![0] ?? "root") : undefined;
  let name = words[0];
  if (name === undefined) {
    name = given.get("set")?.[0];
    if (name === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
    variable = "root";
  }
  const kind = (["label", "fs-uuid", "file"] as const).find((long) => given.has(long));
  if (kind === undefined) return machine.fail(GRUB_ERRNO["invalid-command"], "unspecified search type");
  return search(machine, { kind, name, variable, hints, noFloppy: given.has("no-floppy") });
}

/** Hints for platforms that this GRUB has not heard of come through as words, and are passed over. */
function leadingHints(words: readonly string[]): number {
  const index = words.findIndex((word) => !word.startsWith("--hint-"));
  return index < 0 ? words.length : index;
}

/** `search.file NAME [VARIABLE] [HINT...]` and its like. */
const positional =
  (kind: SearchKind) =>
  async (machine: Machine, { args }: Call) => {
    const [name, variable, ...hints] = args;
    if (name === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "one argument expected");
    return search(machine, { kind, name, variable, hints, noFloppy: false });
  };

const PROBE_OPTIONS: OptionTable = {
  options: [
    { long: "set", short: "s", value: "string" },
    { long: "driver", short: "d" },
    { long: "partmap", short: "p" },
    { long: "fs", short: "f" },
    { long: "fs-uuid", short: "u" },
    { long: "label", short: "l" },
    { long: "part-uuid" },
  ],
};

/** `probe`: prints or stores one fact about a device (commands/probe.c). */
async function probe(machine: Machine, { options }: Call): Promise<number> {
  const { given, args } = options;
  if (args[0] === undefined) return machine.fail(GRUB_ERRNO["bad-argument"], "device name required");
  const device = args[0].startsWith("(") && args[0].endsWith(")") ? args[0].slice(1, -1) : args[0];
  const volume = await openVolume(machine, device);
  if (volume === undefined) return machine.errno;
  const answer = async (text: string): Promise<number> => {
    const variable = given.get("set")?.[0];
    if (variable === undefined) machine.print(text);
    else machine.set(variable, text);
    return GRUB_ERRNO.none;
  };
  const facts = await volume.probe();
  if (given.has("driver")) return answer(facts.driver ?? "none");
  if (given.has("partmap")) return answer(facts.partmap ?? "none");
  if (given.has("part-uuid")) return answer(facts.partUuid ?? "none");
  if (facts.fs === undefined) return machine.fail(GRUB_ERRNO["unknown-fs"], "unknown filesystem");
  if (given.has("fs")) return answer(facts.fs);
  if (given.has("fs-uuid")) return answer(facts.fsUuid ?? "");
  if (given.has("label")) return answer(facts.label ?? "");
  return machine.fail(GRUB_ERRNO["bad-argument"], "unrecognised target");
}

export const SEARCH_COMMANDS: Readonly<Record<string, CommandSpec>> = {
  search: { run: searchCommand, options: SEARCH_OPTIONS },
  "search.file": { run: positional("file") },
  "search.fs_label": { run: positional("label") },
  "search.fs_uuid": { run: positional("fs-uuid") },
  probe: { run: probe, options: PROBE_OPTIONS },
};
