import { bufferDevice, cachedDevice, FindingLog, isImageError } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import { DEFAULT_GRUB_VERSION, GATES, probeDriver } from "@guestprobe/grub";
import { isIso9660, iso9660 } from "@guestprobe/iso9660";
import { squashfs } from "@guestprobe/squashfs";
import type { FileSystemFormat, OpenOptions } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { drain } from "../../lib/drain.js";
import { fixtures } from "../../lib/fixtures.js";
import { dissectBtrfs } from "../formats/btrfs.js";
import { dissectExt } from "../formats/ext.js";
import { dissectFat } from "../formats/fat.js";
import { dissectIso9660 } from "../formats/iso9660.js";
import { dissectSquashfs } from "../formats/squashfs.js";
import { dissectXfs } from "../formats/xfs.js";
import type { Dissect } from "../lib/spots.js";
import type { Seed, Target } from "../lib/target.js";

/** What a case looks at: enough to meet every structure, so that thousands of cases are run and not hundreds. */
const BOUNDS = { entries: 150, fileBytes: 1 << 16 };
/** Larger images are left to the sweeps: they are the same structures with more room between them. Bytes. */
const MAX_SEED = 64 << 20;

const POLICIES = ["report", "ignore", "require"] as const;

function optionsFor(variant: number): OpenOptions {
  return {
    checksums: POLICIES[variant % 3]!,
    journal: (variant >> 2) % 4 === 0 ? "replay" : "ignore",
    verify: (variant >> 4) % 2 === 0,
    cacheBudget: 4 << 20,
  };
}

function seedsOf(folders: readonly string[]): readonly Seed[] {
  return folders.flatMap((folder) =>
    fixtures(folder)
      .map((fixture) => ({ name: `${folder}/${fixture.name}`, bytes: fixture.image() }))
      .filter(({ bytes }) => bytes.length <= MAX_SEED),
  );
}

function volume(format: FileSystemFormat, dissect: Dissect, folders: readonly string[]): Target {
  return {
    name: format.name,
    dissect,
    seeds: () => seedsOf(folders),
    async exercise(data, variant) {
      const log = new FindingLog();
      const device = cachedDevice(bufferDevice(data), { budget: 4 << 20 });
      const happened: string[] = [];
      try {
        const fs = await format.open(device, { ...optionsFor(variant), report: log.report });
        const { errors, sound } = await drain(fs, BOUNDS);
        happened.push(
          sound > 0 ? "sound" : "nothing sound",
          ...errors.map(({ code, message }) => `${code} ${shape(message)}`),
        );
        if (isIso9660(fs)) happened.push(`${(await fs.bootEntries()).length} entries`);
      } catch (error) {
        if (!isImageError(error)) throw error;
        happened.push(`open: ${error.code} ${shape(error.message)}`);
      }
      // GRUB's own drivers, as far as they are modelled, look at the same bytes.
      const claim = await probeDriver(device, GATES, DEFAULT_GRUB_VERSION);
      happened.push(`${claim.gate?.driver} ${claim.ended}`);
      return [...happened, ...log.findings.map(({ code }) => code)];
    },
  };
}

/** A message without its numbers and names: two that differ in those alone say nothing new. */
const shape = (message: string): string =>
  message
    .replace(/"[^"]*"/g, '""')
    .replace(/0x[0-9a-f]+|\d+/g, "#")
    .slice(0, 120);

export const VOLUME_TARGETS: readonly Target[] = [
  volume(ext, dissectExt, ["ext", "ext-casefold", "ext-encrypted"]),
  volume(xfs, dissectXfs, ["xfs"]),
  volume(btrfs, dissectBtrfs, ["btrfs"]),
  volume(squashfs, dissectSquashfs, ["squashfs"]),
  volume(fat, dissectFat, ["fat"]),
  volume(iso9660, dissectIso9660, ["iso9660"]),
];
