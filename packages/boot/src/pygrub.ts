import type { GuestView, GuestVolume } from "./guest.js";
import { PYGRUB_CONFIG_BYTES, parsePygrubGrub2, parsePygrubLegacy } from "./pygrub-config.js";
import { parsePygrubExtlinux } from "./pygrub-extlinux.js";
import type { Attempt } from "./verdict-types.js";

/** What pygrub takes out of a guest. */
export interface PygrubPlan {
  readonly device: string;
  readonly config: string;
  readonly title: string;
  readonly index: number;
  readonly line: number;
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly args: string;
}

export interface PygrubOutcome {
  readonly plan: PygrubPlan | undefined;
  readonly attempts: readonly Attempt[];
}

/** Where pygrub looks, in order: the first that is there is read, and no other. Xen 4.17, tools/pygrub/src/pygrub. */
const CONFIGS: readonly (readonly [kind: "grub2" | "extlinux" | "legacy", path: string])[] = [
  ["grub2", "/boot/grub/grub.cfg"],
  ["grub2", "/grub/grub.cfg"],
  ["grub2", "/boot/grub2/grub.cfg"],
  ["grub2", "/grub2/grub.cfg"],
  ["extlinux", "/boot/isolinux/isolinux.cfg"],
  ["extlinux", "/boot/extlinux/extlinux.conf"],
  ["extlinux", "/boot/extlinux.conf"],
  ["extlinux", "/extlinux/extlinux.conf"],
  ["extlinux", "/extlinux.conf"],
  ["legacy", "/boot/grub/menu.lst"],
  ["legacy", "/boot/grub/grub.conf"],
  ["legacy", "/grub/menu.lst"],
  ["legacy", "/grub/grub.conf"],
];

/** Why libfsimage does not open a volume; undefined when it does. Xen 4.17, tools/libfsimage. */
function refusal({ fs, features }: GuestVolume): string | undefined {
  if (fs === undefined) return "no file system that pygrub knows";
  if (/^ext[234]$/.test(fs)) return undefined;
  if (fs === "vfat" || fs === "iso9660") return undefined;
  if (fs === "xfs") return features.includes("V5") ? "XFS version 5: pygrub reads version 4 alone" : undefined;
  return `pygrub does not read ${fs}`;
}

/** The volumes that pygrub tries, in its order: primary partitions by slot, all of a GPT, or the whole disk. */
function candidates(volumes: readonly GuestVolume[], disk: string): GuestVolume[] {
  const parts = volumes
    .map((volume) => ({ volume, slot: new RegExp(`^${escapeRegExp(disk)},(msdos|gpt)([0-9]+)$`).exec(volume.device) }))
    .filter(({ slot }) => slot !== null && (slot[1] === "gpt" || Number(slot[2]) <= 4))
    .toSorted((a, b) => Number(a.slot![2]) - Number(b.slot![2]))
    .map(({ volume }) => volume);
  return parts.length > 0 ? parts : volumes.filter(({ device }) => device === disk);
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** What pygrub would do with the first disk of a guest. */
export async function runPygrub(view: GuestView, entry: string | undefined): Promise<PygrubOutcome> {
  const attempts: Attempt[] = [];
  const [disk] = view.disks;
  const note = (device: string, path: string, ok: boolean, reason?: string, line = 0): void => {
    attempts.push({ kind: "config", rule: "pygrub", file: "pygrub", line, device, path, ok, reason });
  };
  for (const volume of disk === undefined ? [] : candidates(await view.volumes(), disk)) {
    const why = refusal(volume);
    if (why !== undefined) {
      note(volume.device, "", false, why);
      continue;
    }
    const found = await firstConfig(volume);
    if (found === undefined) {
      note(volume.device, "", false, "no configuration");
      continue;
    }
    const plan = planOf(volume, found, entry);
    if ("fault" in plan) {
      note(volume.device, found.path, false, plan.fault, plan.line);
      continue;
    }
    note(volume.device, found.path, true);
    return { plan, attempts };
  }
  return { plan: undefined, attempts };
}

interface Found {
  readonly kind: (typeof CONFIGS)[number][0];
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function firstConfig(volume: GuestVolume): Promise<Found | undefined> {
  for (const [kind, path] of CONFIGS) {
    const bytes = await volume.read(path);
    if (bytes !== undefined) return { kind, path, bytes: bytes.subarray(0, PYGRUB_CONFIG_BYTES) };
  }
  return undefined;
}

const PARSERS = {
  grub2: parsePygrubGrub2,
  legacy: parsePygrubLegacy,
  extlinux: parsePygrubExtlinux,
} as const;

function planOf(
  volume: GuestVolume,
  { kind, path, bytes }: Found,
  entry: string | undefined,
): PygrubPlan | { readonly fault: string; readonly line: number } {
  const config = PARSERS[kind](bytes);
  if ("fault" in config) return config;
  const index = pick(config.entries, entry, config.default);
  const found = config.entries[index];
  if (found?.kernel === undefined) return { fault: "no entry with a kernel", line: 0 };
  const { title, line, kernel, initrd, args } = found;
  return { device: volume.device, config: path, title, index, line, kernel, initrd, args };
}

/** An entry by number or exact title, as `--entry` takes it. */
function pick(entries: readonly { readonly title: string }[], entry: string | undefined, otherwise: number): number {
  if (entry === undefined) return otherwise;
  const number = /^[0-9]+$/.test(entry) ? Number(entry) : entries.findIndex(({ title }) => title === entry);
  return number >= 0 && number < entries.length ? number : otherwise;
}
