import { finding, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type BootSector, decodeBootSector, isBootSector } from "./boot-sector.js";
import {
  ACTIVE_COPY,
  BOOT_SECTORS_DIFFER,
  DIRTY,
  FEW_FAT_SECTORS,
  LABELS_DIFFER,
  MEDIUM_ERRORS,
  ODD_FIRST_ENTRY,
  ODD_FSINFO,
  TRUNCATED,
} from "./findings.js";
import {
  FSI_LEAD_SIG,
  FSI_STRUC_SIG,
  FSI_TRAIL_SIG,
  fat_boot_sector,
  fat_fsinfo,
  fat32_boot_sector,
} from "./layout.js";
import { FORMAT, hex, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** Bits of the boot sector's state byte: Linux, include/uapi/linux/msdos_fs.h, FAT_STATE_DIRTY; Windows for the other. */
const STATE_DIRTY = 0x01;
const STATE_ERRORS = 0x02;
/** Bits of the second FAT entry, set while all is well. "FAT Data Structure", ClnShutBitMask and HrdErrBitMask. */
const CLEAN_BITS = { 12: undefined, 16: [0x8000, 0x4000], 32: [0x0800_0000, 0x0400_0000] } as const;

/** The root directory's label without the blanks that fill it; empty where there is none, as for blkid. */
export async function labelOf(volume: Volume, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const { bs } = volume;
  const root = await (bs.bits === 32 ? volume.directory(bs.rootCluster, signal) : volume.fixedRoot(signal));
  return trimmed(root.label);
}

function trimmed(label: Uint8Array | undefined): Uint8Array {
  if (label === undefined) return new Uint8Array(0);
  let end = label.length;
  while (end > 0 && label[end - 1] === 0x20) end -= 1;
  const name = label.slice(0, end);
  // As in names, where 0xE5 would say that the entry is deleted.
  if (name[0] === 0x05) name[0] = 0xe5;
  return name;
}

/** Tells what is odd about the volume as a whole; none of it keeps it from being read. */
export async function checkVolume(volume: Volume, signal: AbortSignal | undefined): Promise<void> {
  const { device, bs, report } = volume;
  if (report === undefined) return;
  const part = bs.bits === 32 ? fat32_boot_sector : fat_boot_sector;
  if (bs.size > device.size) {
    const message = `the volume has ${bs.size} bytes, the device ${device.size}`;
    report(finding(TRUNCATED, message, placeOf(fat_boot_sector, "BPB_TotSec32", bs.offset)));
  }
  if (bs.clusters < bs.roomFor) {
    const message = `entries for ${bs.clusters} clusters, room for ${bs.roomFor}`;
    report(finding(FEW_FAT_SECTORS, message, placeOf(fat_boot_sector, "BPB_FATSz16", bs.offset)));
  }
  if (bs.activeFat !== undefined && bs.activeFat !== 0) {
    const message = `table ${bs.activeFat + 1} of ${bs.fatCount} is in use`;
    report(finding(ACTIVE_COPY, message, placeOf(fat32_boot_sector, "BPB_ExtFlags", bs.offset)));
  }
  if ((bs.state & STATE_DIRTY) !== 0) {
    report(finding(DIRTY, "the boot sector says so", placeOf(part, "BS_Reserved1", bs.offset)));
  }
  if ((bs.state & STATE_ERRORS) !== 0) {
    report(finding(MEDIUM_ERRORS, "the boot sector says so", placeOf(part, "BS_Reserved1", bs.offset)));
  }
  await quietly(() => checkHead(volume, signal));
  await quietly(() => checkFsInfo(volume, signal));
  await quietly(() => checkBackup(volume, signal));
  await quietly(async () => {
    const label = await labelOf(volume, signal);
    const other = trimmed(bs.label);
    const [one, two] = [label, other].map((name) => String.fromCharCode(...name));
    if (one === "" || two === "" || one === two) return;
    report(finding(LABELS_DIFFER, `"${one}", and "${two}" in the boot sector`, placeOf(part, "BS_VolLab", bs.offset)));
  });
}

/** What cannot be read here is told where it is needed, if it is. */
async function quietly(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
  }
}

async function checkHead({ bs, table, report }: Volume, signal: AbortSignal | undefined): Promise<void> {
  const [media, flags] = await table.head(signal);
  const place = { format: FORMAT, structure: "FAT" };
  if ((media & 0xff) !== bs.media) {
    const message = `the first entry is ${hex(media)}, BPB_Media ${hex(bs.media)}`;
    report?.(finding(ODD_FIRST_ENTRY, message, { ...place, offset: bs.fatStart }));
  }
  const [clean, sound] = CLEAN_BITS[bs.bits] ?? [];
  const offset = table.entryOffset(1);
  if (clean !== undefined && (flags & clean) === 0 && (bs.state & STATE_DIRTY) === 0) {
    report?.(finding(DIRTY, "the second entry of the table says so", { ...place, offset }));
  }
  if (sound !== undefined && (flags & sound) === 0) {
    report?.(finding(MEDIUM_ERRORS, "the second entry of the table says so", { ...place, offset }));
  }
}

async function checkFsInfo({ device, bs, report }: Volume, signal: AbortSignal | undefined): Promise<void> {
  if (bs.fsInfo === undefined) return;
  const view = viewOf(await device.read(bs.fsInfo, fat_fsinfo.$size, signal));
  const odd = (field: keyof typeof fat_fsinfo.$fields, value: number): void =>
    report?.(finding(ODD_FSINFO, `${field} is ${hex(value)}`, placeOf(fat_fsinfo, field, bs.fsInfo ?? 0)));
  const lead = fat_fsinfo.FSI_LeadSig(view, 0);
  const structure = fat_fsinfo.FSI_StrucSig(view, 0);
  const trail = fat_fsinfo.FSI_TrailSig(view, 0);
  const free = fat_fsinfo.FSI_Free_Count(view, 0);
  if (lead !== FSI_LEAD_SIG) odd("FSI_LeadSig", lead);
  else if (structure !== FSI_STRUC_SIG) odd("FSI_StrucSig", structure);
  else if (trail !== FSI_TRAIL_SIG) odd("FSI_TrailSig", trail);
  else if (free !== 0xffff_ffff && free > bs.clusters) odd("FSI_Free_Count", free);
}

/** Fields of the boot sector that must be the same in its copy. */
const COMPARED: readonly (keyof BootSector)[] = [
  "bits",
  "sectorSize",
  "clusterSize",
  "fatStart",
  "fatSize",
  "fatCount",
  "rootCluster",
  "size",
  "serial",
];

async function checkBackup({ device, bs, report }: Volume, signal: AbortSignal | undefined): Promise<void> {
  if (bs.backup === undefined || bs.backup === bs.offset) return;
  const data = await readUpTo(device, bs.backup, fat_boot_sector.$size, signal);
  const tell = (message: string): void =>
    report?.(finding(BOOT_SECTORS_DIFFER, message, { format: FORMAT, offset: bs.backup }));
  if (!isBootSector(data)) return tell("the copy is no boot sector");
  const copy = decodeBootSector(data, bs.backup);
  const differing = COMPARED.filter((key) => copy[key] !== bs[key]);
  if (differing.length > 0) tell(`they disagree on ${differing.join(", ")}`);
}
