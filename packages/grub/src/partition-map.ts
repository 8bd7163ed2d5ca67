import { type BlockDevice, equalBytes, isZero } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { decodeMbr, isExtendedType } from "@guestprobe/partition";
import { GPT_SIGNATURE, gpt_entry, gpt_header, MBR_TYPE_EMPTY, MBR_TYPE_GPT } from "@guestprobe/partition/layout";
import { type MapPartition, type MapResult, SECTOR, tryRead } from "./map-types.js";

/** Boot records of one extended chain, and entries of one GPT: GRUB has no bound, no real table comes near. */
const MAX_RECORDS = 4096;
const MAX_ENTRIES = 32_768;
const MAX_ENTRY_BYTES = 4 << 20;
const TWO_64 = 1n << 64n;
/** MINIX: the one MBR type that GRUB looks for an MBR inside of. */
const MSDOS_TYPE_MINIX = 0x81;

/**
 * GRUB's msdos module. GRUB 2.06, partmap/msdos.c, grub_partition_msdos_iterate: any status byte but 0 and 0x80, or an entry of
 * type 0xEE, ends it; the type alone tells whether an entry is used; all entries of each boot record count; only the
 * first extended entry is followed.
 *
 * @param sectorSize Bytes in a sector of the disk.
 * @param parent The MBR partition that this one lies in, if it does.
 */
export async function readMsdosMap(
  device: BlockDevice,
  sectorSize: number,
  parent: MapPartition | undefined,
  signal?: AbortSignal,
): Promise<MapResult> {
  const partitions: MapPartition[] = [];
  const ends = (error: string): MapResult => ({ partitions, error });
  if (parent?.map === "msdos" && parent.msdosType !== MSDOS_TYPE_MINIX) return ends("no embedding supported");
  // A MINIX label counts sectors from the start of the disk.
  const delta = parent?.map === "msdos" ? parent.start : 0;
  let record = 0;
  let firstExtended = 0;
  /** Index of the last partition found; stays below 4 for unused primary entries alone. */
  let index = -1;
  let remembered = 1;
  for (let count = 0; count < MAX_RECORDS; ) {
    const sector = decodeMbr(await tryRead(device, record, SECTOR, signal), record);
    if (record === 0 && sector?.entries.some((entry) => entry.type === MBR_TYPE_GPT)) return ends("dummy mbr");
    // The place is remembered at each power of two, so that a loop is noticed, some rounds late.
    if (count > 0 && remembered === record) return ends("loop detected");
    count += 1;
    if (Number.isInteger(Math.log2(count))) remembered = record;
    if (sector === undefined) return ends("no signature");
    if (sector.entries.some((entry) => entry.status !== 0 && entry.status !== 0x80)) return ends("bad boot flag");
    for (const entry of sector.entries) {
      const isUsed = entry.type !== MBR_TYPE_EMPTY && !isExtendedType(entry.type);
      if (isUsed || index < 3) index += 1;
      if (!isUsed) continue;
      partitions.push({
        map: "msdos",
        number: index + 1,
        start: record + entry.firstLba * sectorSize - delta,
        length: entry.sectors * sectorSize,
        msdosType: entry.type,
      });
    }
    const link = sector.entries.find((entry) => isExtendedType(entry.type));
    if (link === undefined) return { partitions, error: undefined };
    record = firstExtended + link.firstLba * sectorSize;
    if (firstExtended === 0) firstExtended = record;
  }
  return ends(`more than ${MAX_RECORDS} boot records`);
}

/**
 * GRUB's gpt module. GRUB 2.06, partmap/gpt.c, grub_gpt_partition_map_iterate: it wants an MBR with an entry of type 0xEE, takes the
 * first header that it meets, checks no checksum, knows no backup, and takes each entry with a type.
 */
export async function readGptMap(device: BlockDevice, signal?: AbortSignal): Promise<MapResult> {
  const ends = (error: string): MapResult => ({ partitions: [], error });
  const sector = decodeMbr(await tryRead(device, 0, SECTOR, signal), 0);
  if (sector === undefined) return ends("no signature");
  if (!sector.entries.some((entry) => entry.type === MBR_TYPE_GPT)) return ends("no GPT partition map found");
  for (let size = SECTOR; size <= SECTOR << 6; size *= 2) {
    const header = await tryRead(device, size, gpt_header.$size, signal);
    if (header.length < gpt_header.$size) return ends("attempt to read outside of disk");
    if (equalBytes(header.subarray(0, 8), GPT_SIGNATURE)) return readEntries(device, viewOf(header), size, signal);
  }
  return ends("no valid GPT header");
}

async function readEntries(
  device: BlockDevice,
  header: DataView,
  sectorSize: number,
  signal: AbortSignal | undefined,
): Promise<MapResult> {
  const scale = BigInt(sectorSize);
  const count = Math.min(gpt_header.NumberOfPartitionEntries(header, 0), MAX_ENTRIES);
  const entrySize = gpt_header.SizeOfPartitionEntry(header, 0);
  const start = wrap(header.getBigUint64(gpt_header.$fields.PartitionEntryLBA.offset, true) * scale);
  const length = count === 0 ? 0 : Math.min((count - 1) * entrySize, MAX_ENTRY_BYTES) + gpt_entry.$size;
  const data = start < BigInt(device.size) ? await tryRead(device, Number(start), length, signal) : new Uint8Array(0);
  const view = viewOf(data);
  const partitions: MapPartition[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = index * entrySize;
    if (at + gpt_entry.$size > data.length) return { partitions, error: "attempt to read outside of disk" };
    if (isZero(gpt_entry.PartitionTypeGUID(view, at))) continue;
    const first = view.getBigUint64(at + gpt_entry.$fields.StartingLBA.offset, true);
    const last = view.getBigUint64(at + gpt_entry.$fields.EndingLBA.offset, true);
    partitions.push({
      map: "gpt",
      number: index + 1,
      start: asNumber(wrap(first * scale)),
      // An end before the start makes a length near 2^64: such a partition reaches to the end of the disk.
      length: asNumber(wrap((last - first + 1n) * scale)),
      msdosType: undefined,
    });
  }
  return { partitions, error: undefined };
}

const wrap = (value: bigint): bigint => ((value % TWO_64) + TWO_64) % TWO_64;
/** Past 2^53 the exact number means nothing more: no disk goes there. */
const asNumber = (value: bigint): number => Math.min(Number(value), Number.MAX_SAFE_INTEGER);
