import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";
import { LE, struct, u8, u16, u32, viewOf } from "@guestprobe/block/struct";
import { findVisible } from "./fold.js";
import type { Gate, GateVerdict } from "./types.js";

/**
 * The fields that GRUB's driver decides by. fs/fat.c, struct grub_fat_bpb; little-endian. Neither the signature at byte 510
 * nor the name of the type is looked at.
 */
const grub_fat_bpb = struct("grub_fat_bpb", 512, LE, {
  bytes_per_sector: u16(11),
  sectors_per_cluster: u8(13),
  num_reserved_sectors: u16(14),
  num_fats: u8(16),
  num_root_entries: u16(17),
  num_total_sectors_16: u16(19),
  media: u8(21),
  sectors_per_fat_16: u16(22),
  num_total_sectors_32: u32(32),
  sectors_per_fat_32: u32(36),
  extended_flags: u16(40),
  fs_version: u16(42),
  root_cluster: u32(44),
});
/** Where the serial number lies on FAT12 and FAT16, and on FAT32. */
const SERIAL = { 12: 39, 16: 39, 32: 67 } as const;

/** What GRUB computes from them: in sectors of 512 bytes, with 32 bits. */
interface GrubFat {
  readonly bits: 12 | 16 | 32;
  readonly fatSector: number;
  /** Where the root directory begins, and how much of it lies there in one piece: bytes. */
  readonly rootStart: number;
  readonly rootLength: number;
  /** FAT32: the first cluster of the root directory. */
  readonly rootCluster: number;
  readonly clusterSector: number;
  readonly clusterBits: number;
  readonly clusters: number;
}

/** -1 for what is no power of two. */
const log2 = (value: number): number => (value > 0 && (value & (value - 1)) === 0 ? 31 - Math.clz32(value) : -1);

/** Up to this count, the two reserved numbers included, clusters are FAT12's. Linux draws the line one lower. */
const MAX_FAT12 = 4085 + 2;

/** Why the driver does not take the volume, or what it makes of it. GRUB 2.06, fs/fat.c, grub_fat_mount. */
function mount(view: DataView): GrubFat | string {
  const bpb = grub_fat_bpb;
  const sectorLog = log2(bpb.bytes_per_sector(view, 0)) - 9;
  if (sectorLog < 0 || sectorLog + 9 >= 16) return `sectors of ${bpb.bytes_per_sector(view, 0)} bytes`;
  const clusterLog = log2(bpb.sectors_per_cluster(view, 0));
  if (clusterLog < 0) return `clusters of ${bpb.sectors_per_cluster(view, 0)} sectors`;
  const sectors = (count: number): number => (count << sectorLog) >>> 0;
  let fatSector = sectors(bpb.num_reserved_sectors(view, 0));
  if (fatSector === 0) return "no reserved sectors";
  const isFat32 = bpb.sectors_per_fat_16(view, 0) === 0;
  const perFat = sectors(bpb.sectors_per_fat_16(view, 0) || bpb.sectors_per_fat_32(view, 0));
  if (perFat === 0) return "a table of no sectors";
  const total = sectors(bpb.num_total_sectors_16(view, 0) || bpb.num_total_sectors_32(view, 0));
  if (total === 0) return "a volume of no sectors";
  const fats = bpb.num_fats(view, 0);
  if (fats === 0) return "no table";
  const rootSector = (fatSector + Math.imul(fats, perFat)) >>> 0;
  const rootBytes = bpb.num_root_entries(view, 0) * 32;
  const rootSectors = sectors(Math.ceil(rootBytes / bpb.bytes_per_sector(view, 0)));
  const clusterSector = (rootSector + rootSectors) >>> 0;
  const clusterBits = clusterLog + sectorLog;
  const clusters = (((total - clusterSector) >>> 0) >>> clusterBits) + 2;
  if (clusters <= 2) return "no clusters";
  const shared = { clusterSector, clusterBits, clusters };
  if (isFat32) {
    const flags = bpb.extended_flags(view, 0);
    if ((flags & 0x80) !== 0) {
      if ((flags & 0xf) > fats) return `table ${flags & 0xf} is active, there are ${fats}`;
      fatSector += (flags & 0xf) * perFat;
    }
    if (rootBytes !== 0 || bpb.fs_version(view, 0) !== 0)
      return "FAT32 with a root directory outside the clusters, or of a later version";
  }
  if (total <= fatSector) return "the table lies past the volume";
  const rootCluster = bpb.root_cluster(view, 0);
  if (!isFat32) {
    const bits = clusters <= MAX_FAT12 ? 12 : 16;
    return { ...shared, bits, fatSector, rootStart: rootSector * 512, rootLength: rootSectors * 512, rootCluster: 0 };
  }
  const rootStart = clusterStart(shared, rootCluster);
  return { ...shared, bits: 32, fatSector, rootStart, rootLength: 512 << clusterBits, rootCluster };
}

const clusterStart = ({ clusterSector, clusterBits }: Pick<GrubFat, "clusterSector" | "clusterBits">, n: number) =>
  (clusterSector + (n - 2) * 2 ** clusterBits) * 512;

/** The first entry of the table must end in the media byte; bit 3 of it does not count. */
function firstEntryFits({ bits }: GrubFat, first: number, media: number): boolean {
  const [mask, magic] = { 12: [0xfff, 0xf00], 16: [0xffff, 0xff00], 32: [0x0fff_ffff, 0x0fff_ff00] }[bits] as [
    number,
    number,
  ];
  return ((first & mask) | 8) === (magic | media | 8);
}

async function judge(device: BlockDevice, signal: AbortSignal | undefined): Promise<GateVerdict> {
  const data = await readUpTo(device, 0, grub_fat_bpb.$size, signal);
  if (data.length < grub_fat_bpb.$size) return { verdict: "not-mine" };
  const view = viewOf(data);
  // There is no magic: what is no power of two is no damaged FAT volume but none.
  if (log2(grub_fat_bpb.bytes_per_sector(view, 0)) < 9 || log2(grub_fat_bpb.sectors_per_cluster(view, 0)) < 0) {
    return { verdict: "not-mine" };
  }
  const refuse = (reason: string): GateVerdict => ({ verdict: "refuse", error: "bad-fs", reason });
  const fat = mount(view);
  if (typeof fat === "string") return refuse(fat);
  const first = await readUpTo(device, fat.fatSector * 512, 4, signal);
  if (first.length < 4) return refuse("the table lies past the device");
  if (!firstEntryFits(fat, viewOf(first).getUint32(0, true), grub_fat_bpb.media(view, 0))) {
    return refuse("the table does not begin with the media byte");
  }
  const label = await labelOf(device, fat, signal);
  if (label === undefined) return refuse("the root directory cannot be read");
  const serial = view.getUint32(SERIAL[fat.bits], true).toString(16).toUpperCase().padStart(8, "0");
  return { verdict: "accept", label: label ?? undefined, uuid: `${serial.slice(0, 4)}-${serial.slice(4)}` };
}

/** Clusters of a root directory that are looked through for a label; mkfs writes it first of all. */
const MAX_ROOT_CLUSTERS = 64;

/**
 * The label in the root directory, null where there is none: fs/fat.c, grub_fat_label. Undefined when the directory
 * cannot be listed, which is how a probe ends.
 */
async function labelOf(
  device: BlockDevice,
  fat: GrubFat,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | null | undefined> {
  let start = fat.rootStart;
  let cluster = fat.rootCluster;
  for (let n = 0; n < MAX_ROOT_CLUSTERS; n += 1) {
    // Nothing is read from a root directory of no entries, and yet its place is looked at.
    const isOutside = start + Math.min(fat.rootLength, 32) > device.size;
    const data = isOutside ? undefined : await readUpTo(device, start, fat.rootLength, signal).catch(unlessAborted);
    if (data === undefined) return n === 0 ? undefined : null;
    const found = labelIn(data);
    if (found !== undefined || fat.bits !== 32) return found ?? null;
    const entry = await readUpTo(device, fat.fatSector * 512 + cluster * 4, 4, signal).catch(unlessAborted);
    if (entry === undefined || entry.length < 4) return null;
    cluster = viewOf(entry).getUint32(0, true);
    if (cluster < 2 || cluster >= fat.clusters) return null;
    start = clusterStart(fat, cluster);
  }
  return null;
}

function unlessAborted(error: unknown): undefined {
  if (!isImageError(error) || error.code === "aborted") throw error;
  return undefined;
}

/** The label among these entries; null at the end mark. */
function labelIn(data: Uint8Array): Uint8Array | null | undefined {
  for (let at = 0; at + 32 <= data.length; at += 32) {
    if (data[at] === 0) return null;
    const attributes = data[at + 11]!;
    if (data[at] === 0xe5 || (attributes & ~0x20) !== 0x08) continue;
    const name = data.slice(at, at + 11);
    if (name[0] === 0x05) name[0] = 0xe5;
    let end = name.includes(0) ? name.indexOf(0) : name.length;
    while (end > 0 && name[end - 1] === 0x20) end -= 1;
    return name.slice(0, end);
  }
  return undefined;
}

/**
 * GRUB's driver for FAT. Names are found in any case. Of the two names of a file it knows the long one alone, and it stops
 * at the end mark of a directory.
 */
export const fatGate: Gate = {
  driver: "fat",
  kinds: ["vfat"],
  probe: (device, _version, signal) => judge(device, signal),
  async lookup(directory, name, signal) {
    // Linux finds all that GRUB does and more: what it misses need not be looked for in a listing.
    const inode = await directory.lookup(name, signal);
    return inode && findVisible(directory, name, "insensitive", signal);
  },
};
