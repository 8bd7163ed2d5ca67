import { encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  ACORN_BOOT_AT,
  ACORN_NATIVE,
  ACORN_SWAP,
  AMIGA_END,
  AMIGA_PART,
  AMIGA_RDSK,
  APPLE_DDM_SIGNATURE,
  APPLE_PM_SIGNATURE,
  acorn_boot,
  acorn_entry,
  amiga_partition,
  amiga_rdb,
  apple_ddm,
  apple_partition,
  BSD_LABEL_AT,
  BSD_MAGIC,
  bsd_disklabel,
  bsd_partition,
  DISKLABEL64_MAGIC,
  DVH_MAGIC,
  DVH_PARTITIONS,
  DVH_SLOTS,
  disklabel64,
  disklabel64_partition,
  dvh_header,
  dvh_partition,
  SUN_INFOS,
  SUN_MAGIC,
  SUN_SLICES,
  SUN_SLOTS,
  SUNPC_SLICES,
  SUNPC_SLOTS,
  sun_info,
  sun_label,
  sun_slice,
  sunpc_label,
  sunpc_slice,
} from "@guestprobe/partition/layout";
import { type MapName, type MapPartition, type MapResult, type ReadBytes, SECTOR } from "./map-types.js";

/** Partitions of one table, or steps to find them: GRUB has no bound, no real table comes near. */
const MAX_PARTITIONS = 4096;
const OUTSIDE = "attempt to read outside of disk";

/** What a module is given: the first bytes of the device, and how to read more. */
export interface LabelInput {
  /** The first 8 KiB, as far as there are any. */
  readonly start: Uint8Array;
  readonly read: ReadBytes;
  /** The partition that the table lies in, if it does. */
  readonly parent: MapPartition | undefined;
  /** What the module msdos makes of the same device. */
  readonly msdos: MapResult;
}

/** One of GRUB's partition-map modules. */
export type MapModule = (input: LabelInput) => Promise<MapResult>;

const ends = (error: string, partitions: readonly MapPartition[] = []): MapResult => ({ partitions, error });
const all = (partitions: readonly MapPartition[]): MapResult => ({ partitions, error: undefined });
const part = (map: MapName, number: number, startSector: number, sectors: number): MapPartition => ({
  map,
  number,
  start: startSector * SECTOR,
  length: sectors * SECTOR,
  msdosType: undefined,
});

const MSDOS_FREEBSD = 0xa5;
const MSDOS_OPENBSD = 0xa6;
const MSDOS_NETBSD = 0xa9;
const BSD_MAPS: readonly string[] = ["bsd", "netbsd", "openbsd"];
/** Slot "c". */
const BSD_WHOLE = 2;

/** GRUB 2.06, partmap/bsdlabel.c, iterate_real: no checksum, no second magic, as many slots as the label says. */
async function bsdLabel(map: MapName, origin: number, isFreeBsd: boolean, read: ReadBytes): Promise<MapResult> {
  const labelAt = origin + BSD_LABEL_AT;
  const head = await read(labelAt, bsd_disklabel.$size);
  if (head.length < bsd_disklabel.$size) return ends(OUTSIDE);
  if (bsd_disklabel.d_magic(viewOf(head), 0) !== BSD_MAGIC) return ends("no signature");
  const count = Math.min(bsd_disklabel.d_npartitions(viewOf(head), 0), MAX_PARTITIONS);
  const data = await read(labelAt + bsd_disklabel.$size, count * bsd_partition.$size);
  const view = viewOf(data);
  const room = Math.floor(data.length / bsd_partition.$size);
  if (isFreeBsd && count > BSD_WHOLE && room <= BSD_WHOLE) return ends(OUTSIDE);
  const delta = isFreeBsd && count > BSD_WHOLE ? bsd_partition.p_offset(view, BSD_WHOLE * bsd_partition.$size) : 0;
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    if (slot === BSD_WHOLE) continue;
    if (slot >= room) return ends(OUTSIDE, partitions);
    const at = slot * bsd_partition.$size;
    const [start, sectors] = [bsd_partition.p_offset(view, at), bsd_partition.p_size(view, at)];
    if (sectors !== 0 && start >= delta) partitions.push(part(map, slot + 1, start - delta, sectors));
  }
  return all(partitions);
}

const bsd: MapModule = ({ parent, read }) => {
  if (parent?.map === "msdos" && parent.msdosType === MSDOS_FREEBSD) return bsdLabel("bsd", 0, true, read);
  if (parent !== undefined && (parent.map === "msdos" || BSD_MAPS.includes(parent.map))) {
    return Promise.resolve(ends("no embedding supported"));
  }
  return bsdLabel("bsd", 0, false, read);
};

/** The labels of OpenBSD and NetBSD lie in an MBR partition and count from the start of the disk: GRUB lists them there. */
function absoluteBsd(map: "openbsd" | "netbsd", type: number): MapModule {
  return async ({ parent, msdos, read }) => {
    if (parent?.map === "msdos") return ends("no embedding supported");
    for (const outer of msdos.partitions) {
      if (outer.msdosType !== type) continue;
      const result = await bsdLabel(map, outer.start, false, read);
      // The first label that is one ends it; another error than a missing signature is printed, and the next is tried.
      if (result.error === undefined) return result;
      if (result.partitions.length > 0) return result;
    }
    return ends(msdos.error ?? "no bsdlabel found");
  };
}

/** GRUB 2.06, partmap/dfly.c: no checksum; a partition of no length is left out, and its number with it. */
const dfly: MapModule = async ({ read }) => {
  const head = await read(SECTOR, disklabel64.$size);
  if (head.length < disklabel64.$size) return ends(OUTSIDE);
  if (disklabel64.d_magic(viewOf(head), 0) !== DISKLABEL64_MAGIC) return ends("disklabel64 not found");
  const count = Math.min(disklabel64.d_npartitions(viewOf(head), 0), MAX_PARTITIONS);
  const data = await read(SECTOR + disklabel64.$size, count * disklabel64_partition.$size);
  const view = viewOf(data);
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const at = slot * disklabel64_partition.$size;
    if (at + disklabel64_partition.$size > data.length) return ends(OUTSIDE, partitions);
    const { p_boffset, p_bsize } = disklabel64_partition.$fields;
    const start = sectorsOf(view.getBigUint64(at + p_boffset.offset, true));
    const sectors = sectorsOf(view.getBigUint64(at + p_bsize.offset, true));
    if (sectors !== 0) partitions.push(part("dfly", slot + 1, start, sectors));
  }
  return all(partitions);
};

/** Past 2^53 the exact number means nothing more: no disk goes there. */
const sectorsOf = (bytes: bigint): number => Math.min(Number(bytes >> 9n), Number.MAX_SAFE_INTEGER / SECTOR - 1);

/** GRUB 2.06, partmap/apple.c: the map's own entry is a partition too, so that the first volume is mostly the second. */
const apple: MapModule = async ({ start, read }) => {
  const fail = "Apple partition map not found";
  if (start.length < apple_ddm.$size) return ends(OUTSIDE);
  const head = viewOf(start);
  if (apple_ddm.sbSig(head, 0) !== APPLE_DDM_SIGNATURE) return ends(fail);
  const blockSize = apple_ddm.sbBlkSize(head, 0);
  const partitions: MapPartition[] = [];
  let count = 0;
  for (let index = 0; index < MAX_PARTITIONS; index += 1) {
    const data = await read(blockSize * (index + 1), SECTOR);
    if (data.length < SECTOR) return ends(OUTSIDE, partitions);
    const view = viewOf(data);
    if (apple_partition.pmSig(view, 0) !== APPLE_PM_SIGNATURE) break;
    if (count === 0) count = apple_partition.pmMapBlkCnt(view, 0) | 0;
    const scaled = (blocks: number): number => Math.floor((blocks * blockSize) / SECTOR);
    partitions.push(
      part(
        "apple",
        index + 1,
        scaled(apple_partition.pmPyPartStart(view, 0)),
        scaled(apple_partition.pmPartBlkCnt(view, 0)),
      ),
    );
    if (index + 1 >= count) break;
  }
  return partitions.length === 0 ? ends(fail) : all(partitions);
};

/** XOR of the 16-bit words of a sector, whichever their order. */
function xorOf(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < SECTOR; at += 2) sum ^= view.getUint16(at);
  return sum;
}

/** Sum of the 32-bit big-endian words of a sector. */
function sumOf(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < SECTOR; at += 4) sum = (sum + view.getUint32(at)) >>> 0;
  return sum;
}

/** The tag of Sun's slice that is the whole disk. */
const SUN_WHOLE = 5;

/** GRUB 2.06, partmap/sun.c. */
const sun: MapModule = async ({ start }) => {
  if (start.length < SECTOR) return ends(OUTSIDE);
  const view = viewOf(start.subarray(0, SECTOR));
  if (sun_label.magic(view, 0) !== SUN_MAGIC) return ends("not a sun partition table");
  if (xorOf(view) !== 0) return ends("invalid checksum");
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < SUN_SLOTS; slot += 1) {
    const id = sun_info.id(view, SUN_INFOS + slot * sun_info.$size);
    const at = SUN_SLICES + slot * sun_slice.$size;
    const sectors = sun_slice.num_sectors(view, at);
    if (id === 0 || id === SUN_WHOLE || sectors === 0) continue;
    const cylinder = sun_label.ntrks(view, 0) * sun_label.nsect(view, 0);
    partitions.push(part("sun", slot + 1, sun_slice.start_cylinder(view, at) * cylinder, sectors));
  }
  return all(partitions);
};

/** GRUB 2.06, partmap/sunpc.c. */
const sunpc: MapModule = async ({ start }) => {
  if (start.length < 2 * SECTOR) return ends(OUTSIDE);
  const view = viewOf(start.subarray(SECTOR, 2 * SECTOR));
  if (sunpc_label.magic(view, 0) !== SUN_MAGIC) return ends("not a sun_pc partition table");
  if (xorOf(view) !== 0) return ends("invalid checksum");
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < SUNPC_SLOTS; slot += 1) {
    const at = SUNPC_SLICES + slot * sunpc_slice.$size;
    const [id, sectors] = [sunpc_slice.p_tag(view, at), sunpc_slice.p_size(view, at)];
    if (id === 0 || id === SUN_WHOLE || sectors === 0) continue;
    partitions.push(part("sunpc", slot + 1, sunpc_slice.p_start(view, at), sectors));
  }
  return all(partitions);
};

/** Slot of the volume header's whole disk. */
const DVH_WHOLE = 10;

/** GRUB 2.06, partmap/dvh.c. */
const dvh: MapModule = async ({ start }) => {
  if (start.length < SECTOR) return ends(OUTSIDE);
  const view = viewOf(start.subarray(0, SECTOR));
  if (dvh_header.vh_magic(view, 0) !== DVH_MAGIC) return ends("not a dvh partition table");
  if (sumOf(view) !== 0) return ends("invalid checksum");
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < DVH_SLOTS; slot += 1) {
    const at = DVH_PARTITIONS + slot * dvh_partition.$size;
    const sectors = dvh_partition.pt_nblks(view, at);
    if (sectors === 0 || slot === DVH_WHOLE) continue;
    partitions.push(part("dvh", slot + 1, dvh_partition.pt_firstlbn(view, at), sectors));
  }
  return all(partitions);
};

/** Sectors in which the block is looked for; the format allows 16. */
const AMIGA_PLACES = 15;

/** GRUB 2.06, partmap/amiga.c; products of 32 bits, and a list that is followed without end. */
const amiga: MapModule = async ({ start, read }) => {
  let next: number | undefined;
  for (let block = 0; block < AMIGA_PLACES && next === undefined; block += 1) {
    const data = start.subarray(block * SECTOR, (block + 1) * SECTOR);
    if (data.length < SECTOR) return ends(OUTSIDE);
    const view = viewOf(data);
    if (amiga_rdb.rdb_ID(view, 0) === AMIGA_RDSK && sumOf(view) === 0) next = amiga_rdb.rdb_PartitionList(view, 0);
  }
  if (next === undefined) return ends("Amiga partition map not found");
  const partitions: MapPartition[] = [];
  const seen = new Set<number>();
  while (next !== AMIGA_END) {
    // GRUB's own search hangs here: there is no right answer, and this one ends.
    if (seen.has(next) || seen.size >= MAX_PARTITIONS) return ends("GRUB follows the list without end", partitions);
    seen.add(next);
    const data = await read(next * SECTOR, SECTOR);
    if (data.length < SECTOR) return ends(OUTSIDE, partitions);
    const view = viewOf(data);
    if (amiga_partition.pb_ID(view, 0) !== AMIGA_PART || sumOf(view) !== 0) {
      return ends("invalid Amiga partition map", partitions);
    }
    const cylinder = Math.imul(amiga_partition.de_Surfaces(view, 0), amiga_partition.de_BlocksPerTrack(view, 0));
    const low = amiga_partition.de_LowCyl(view, 0);
    const cylinders = amiga_partition.de_HighCyl(view, 0) - low + 1;
    const [first, sectors] = [Math.imul(low, cylinder) >>> 0, Math.imul(cylinders, cylinder) >>> 0];
    partitions.push(part("amiga", partitions.length + 1, first, sectors));
    next = amiga_partition.pb_Next(view, 0);
  }
  return all(partitions);
};

const PLAN_START = encodeText("part ");

/** GRUB 2.06, partmap/plan.c: text from sector 1 on, read byte by byte. */
const plan: MapModule = async ({ start }) => {
  // Nearly every disk ends here, and text of eight kilobytes is not made for it.
  if (!PLAN_START.every((byte, at) => start[SECTOR + at] === byte)) return ends("not a plan partition table");
  const text = String.fromCharCode(...start.subarray(SECTOR));
  const partitions: MapPartition[] = [];
  for (let at = 0; ; ) {
    const match = /^part [0-9A-Za-z]* ([0-9]*) ([0-9]*)\n/.exec(text.slice(at, at + 512));
    if (match === null) break;
    const [first, end] = [Number(match[1]), Number(match[2])];
    // An end before the start makes a length near 2^64.
    const sectors = end >= first ? end - first : Number.MAX_SAFE_INTEGER / SECTOR - first;
    partitions.push(part("plan", partitions.length + 1, first, sectors));
    at += match[0].length;
  }
  // What breaks off in the middle of a line has counted none; a first line that does so leaves no table.
  return partitions.length === 0 ? ends("not a plan partition table") : all(partitions);
};

const ACORN_LINUX = 9;
const ACORN_SLOTS = Math.floor(SECTOR / acorn_entry.$size);

/** GRUB 2.06, partmap/acorn.c. */
const acorn: MapModule = async ({ start, read }) => {
  const fail = "Linux/ADFS partition map not found";
  const boot = start.subarray(ACORN_BOOT_AT, ACORN_BOOT_AT + SECTOR);
  if (boot.length < SECTOR) return ends(OUTSIDE);
  const head = viewOf(boot);
  if ((acorn_boot.flags(head, 0) & 0xf) !== ACORN_LINUX) return ends(fail);
  let checksum = 0;
  for (let at = 0; at < SECTOR - 1; at += 1) checksum = (checksum & 0xff) + (checksum >> 8) + boot[at]!;
  if ((checksum & 0xff) !== acorn_boot.checksum(head, 0)) return ends(fail);
  const heads = acorn_boot.heads(head, 0) + ((acorn_boot.lowsector(head, 0) >> 6) & 1);
  const sector = acorn_boot.start_cylinder(head, 0) * acorn_boot.secspertrack(head, 0) * heads;
  const data = await read(sector * SECTOR, ACORN_SLOTS * acorn_entry.$size);
  if (data.length < ACORN_SLOTS * acorn_entry.$size) return ends(OUTSIDE);
  const view = viewOf(data);
  const partitions: MapPartition[] = [];
  for (let slot = 0; slot < ACORN_SLOTS; slot += 1) {
    const at = slot * acorn_entry.$size;
    const magic = acorn_entry.magic(view, at);
    if (magic !== ACORN_NATIVE && magic !== ACORN_SWAP) break;
    const first = sector + acorn_entry.start_sect(view, at);
    partitions.push(part("acorn", slot + 1, first, acorn_entry.nr_sects(view, at)));
  }
  return all(partitions);
};

/** Those modules besides msdos and gpt, in the order of GRUB's list: the last one registered first. */
export const LABEL_MODULES: readonly (readonly [map: MapName, module: MapModule])[] = [
  ["sunpc", sunpc],
  ["sun", sun],
  ["plan", plan],
  ["dvh", dvh],
  ["dfly", dfly],
  ["openbsd", absoluteBsd("openbsd", MSDOS_OPENBSD)],
  ["netbsd", absoluteBsd("netbsd", MSDOS_NETBSD)],
  ["bsd", bsd],
  ["apple", apple],
  ["amiga", amiga],
  ["acorn", acorn],
];
