import { type BlockDevice, decodeText, hasBit, isImageError, isPowerOfTwo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { MBR_EBR_LIMIT, MBR_EBR_LOOP, MBR_EBR_OUTSIDE, MBR_EBR_UNREADABLE } from "./findings.js";
import { MBR_ENTRIES, MBR_SIGNATURE, MBR_SLOTS, MBR_TYPES_EXTENDED, mbr, mbr_entry } from "./layout.js";
import type { Note } from "./note.js";

/** One entry as it is stored. */
export interface MbrEntry {
  /** 1 to 4. */
  readonly slot: number;
  readonly status: number;
  readonly type: number;
  /** Sectors; from the start of the disk only in the MBR itself. */
  readonly firstLba: number;
  readonly sectors: number;
  /** Bytes from the start of the disk. */
  readonly offset: number;
}

export interface MbrSector {
  readonly diskSignature: number;
  readonly entries: readonly MbrEntry[];
}

/** Extended boot records of one chain; Linux stops at 256 partitions of a disk, and programs make far fewer. */
const MAX_EBRS = 4096;

/** Whether a type byte marks an extended partition. */
export function isExtendedType(type: number): boolean {
  return MBR_TYPES_EXTENDED.includes(type);
}

/**
 * The four entries of an MBR or an extended boot record; undefined without the signature 55 AA.
 *
 * @param data At least 512 bytes.
 * @param origin Where they lie: bytes from the start of the disk.
 */
export function decodeMbr(data: Uint8Array, origin: number): MbrSector | undefined {
  if (data.length < mbr.$size) return undefined;
  const view = viewOf(data);
  if (mbr.boot_signature(view, 0) !== MBR_SIGNATURE) return undefined;
  const entries = Array.from({ length: MBR_SLOTS }, (_, index): MbrEntry => {
    const at = MBR_ENTRIES + index * mbr_entry.$size;
    return {
      slot: index + 1,
      status: mbr_entry.status(view, at),
      type: mbr_entry.type(view, at),
      firstLba: mbr_entry.first_lba(view, at),
      sectors: mbr_entry.sectors(view, at),
      offset: origin + at,
    };
  });
  return { diskSignature: mbr.disk_signature(view, 0), entries };
}

/** Whether all status bytes are 0 or 0x80. */
export function hasValidStatus(sector: MbrSector): boolean {
  return sector.entries.every((entry) => entry.status === 0 || entry.status === 0x80);
}

/**
 * Whether a sector that ends in 55 AA holds a table, and not the boot code of a file system: FAT, NTFS and many boot
 * loaders end their first sector the same way.
 */
export function isPartitionTable(data: Uint8Array, sector: MbrSector, diskSectors: number): boolean {
  const used = sector.entries.filter((entry) => entry.sectors !== 0 || entry.type !== 0);
  if (hasValidStatus(sector)) return used.length > 0 || !isVolumeBootSector(data);
  // Boot code read as entries: it would be a wonder if each of them were a place on this disk.
  return (
    used.length > 0 &&
    used.every((entry) => entry.type !== 0 && entry.firstLba > 0 && entry.firstLba + entry.sectors <= diskSectors)
  );
}

/** Whether a sector is the first of a FAT, NTFS or exFAT volume, by its parameter block. */
function isVolumeBootSector(data: Uint8Array): boolean {
  if (data[0] !== 0xeb && data[0] !== 0xe9) return false;
  const name = decodeText(data.subarray(3, 11));
  if (name === "NTFS    " || name === "EXFAT   ") return true;
  const bytesPerSector = data[11]! + data[12]! * 256;
  const sectorsPerCluster = data[13]!;
  const fats = data[16]!;
  const media = data[21]!;
  return (
    isPowerOfTwo(bytesPerSector) &&
    bytesPerSector >= 512 &&
    bytesPerSector <= 4096 &&
    isPowerOfTwo(sectorsPerCluster) &&
    fats > 0 &&
    (media === 0xf0 || media >= 0xf8)
  );
}

export interface Logical {
  readonly entry: MbrEntry;
  /** Sectors from the start of the disk. */
  readonly startLba: number;
}

export interface ExtendedChain {
  readonly logicals: readonly Logical[];
  /** Where each boot record lies: sectors from the start of the disk. */
  readonly records: readonly number[];
}

/**
 * Follows the chain of boot records of one extended partition, as Linux does (block/partitions/msdos.c): data entries
 * count from their own record, links from the start of the extended partition. Entries 3 and 4 count only when they
 * lie within it, for some programs leave rubbish there.
 */
export async function readExtended(
  device: BlockDevice,
  extended: MbrEntry,
  sectorSize: number,
  note: Note,
  signal?: AbortSignal,
): Promise<ExtendedChain> {
  const first = extended.firstLba;
  const end = first + extended.sectors;
  const logicals: Logical[] = [];
  const records = new Set<number>();
  let linkOffset = extended.offset;
  let size = extended.sectors;
  for (let record = first; ; ) {
    const origin = record * sectorSize;
    if (records.has(record)) {
      note(MBR_EBR_LOOP, `the chain leads back to sector ${record}`, ebr("first_lba", linkOffset));
      break;
    }
    if (records.size >= MAX_EBRS) {
      note(MBR_EBR_LIMIT, `more than ${MAX_EBRS} boot records`, ebr("first_lba", linkOffset));
      break;
    }
    const sector = await readSector(device, origin, note, linkOffset, signal);
    if (sector === undefined) break;
    if (record < first || record >= end) {
      note(MBR_EBR_OUTSIDE, `boot record at sector ${record}, extended partition ${first} to ${end - 1}`, {
        ...ebr("first_lba", linkOffset),
      });
    }
    records.add(record);
    for (const entry of sector.entries) {
      if (entry.sectors === 0 || isExtendedType(entry.type)) continue;
      const startLba = record + entry.firstLba;
      const isWithin = entry.firstLba + entry.sectors <= size && startLba >= first && startLba + entry.sectors <= end;
      if (entry.slot > 2 && !isWithin) continue;
      if (startLba < first || startLba + entry.sectors > end) {
        note(
          MBR_EBR_OUTSIDE,
          `sectors ${startLba} to ${startLba + entry.sectors - 1}, extended partition ends at ${end - 1}`,
          {
            ...ebr("sectors", entry.offset),
          },
        );
      }
      logicals.push({ entry, startLba });
    }
    const link = sector.entries.find((entry) => entry.sectors !== 0 && isExtendedType(entry.type));
    if (link === undefined) break;
    record = first + link.firstLba;
    size = link.sectors;
    linkOffset = link.offset;
  }
  return { logicals, records: [...records] };
}

const ebr = (field: string, offset: number) => ({ format: "mbr", structure: "mbr_entry", field, offset });

async function readSector(
  device: BlockDevice,
  origin: number,
  note: Note,
  linkOffset: number,
  signal: AbortSignal | undefined,
): Promise<MbrSector | undefined> {
  try {
    const sector = decodeMbr(await device.read(origin, mbr.$size, signal), origin);
    if (sector !== undefined) return sector;
    note(MBR_EBR_UNREADABLE, `no signature 55 AA at byte ${origin + 510}`, ebr("first_lba", linkOffset));
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    note(MBR_EBR_UNREADABLE, error.reason, ebr("first_lba", linkOffset));
  }
  return undefined;
}

/** Whether an entry is marked active. */
export function isActive(entry: MbrEntry): boolean {
  return hasBit(entry.status, 0x80);
}
