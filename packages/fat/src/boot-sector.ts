import { equalBytes, ImageError, isPowerOfTwo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { fat_boot_sector as bs, fat32_boot_sector as bs32, FIRST_CLUSTER, fat_dir_entry } from "./layout.js";
import { corrupt, hex, placeOf } from "./place.js";

/** A boot sector whose fields fit together. Sizes and starts are in bytes from the start of the device. */
export interface BootSector {
  /** Where it lies: 0, or the copy's place. */
  readonly offset: number;
  readonly bits: 12 | 16 | 32;
  readonly sectorSize: number;
  readonly clusterSize: number;
  readonly media: number;
  /** The first FAT, the bytes of one, and how many there are. */
  readonly fatStart: number;
  readonly fatSize: number;
  readonly fatCount: number;
  /** The root directory of FAT12 and FAT16; empty on FAT32. */
  readonly rootStart: number;
  readonly rootSize: number;
  /** First cluster of FAT32's root directory; 0 on the others. */
  readonly rootCluster: number;
  readonly dataStart: number;
  /** Clusters with an entry in the FAT. */
  readonly clusters: number;
  /** Clusters that there is room for: more than `clusters` when the FAT is short. */
  readonly roomFor: number;
  readonly size: number;
  /** The dirty flag and the one for errors of the medium. */
  readonly state: number;
  readonly serial: number | undefined;
  /** The boot sector's own label, eleven bytes; undefined where there is none. The root directory's is what counts. */
  readonly label: Uint8Array | undefined;
  /** FAT32: the number of the one FAT in use, when mirroring is off. */
  readonly activeFat: number | undefined;
  /** FAT32: bytes; undefined where there is none. */
  readonly fsInfo: number | undefined;
  readonly backup: number | undefined;
}

const text = (data: Uint8Array): string => String.fromCharCode(...data);
const EXFAT = "EXFAT   ";
const BOOT_SIGNATURE = 0xaa55;
/** What mkfs and DOS write as type; for people, but all there is to know a damaged boot sector by. */
const TYPE_NAMES = ["FAT12   ", "FAT16   ", "FAT32   ", "FAT     "];

/** Above this count of clusters a volume without FAT32's fields is FAT16. Linux, include/uapi/linux/msdos_fs.h. */
const MAX_FAT12 = 0xff4;
const MAX_FAT16 = 0xfff4;
const MAX_FAT32 = 0x0fff_fff6;

const isSectorSize = (size: number): boolean => isPowerOfTwo(size) && size >= 512 && size <= 4096;
const isMedia = (media: number): boolean => media === 0xf0 || media >= 0xf8;

/**
 * Whether `data`, a sector, is the boot sector of a FAT or exFAT volume. FAT has no magic: either the fields that Linux
 * checks all make sense, or the signature and the name of the type say so.
 */
export function isBootSector(data: Uint8Array): boolean {
  if (data.length < bs.$size) return false;
  const view = viewOf(data);
  if (isExfat(data)) return true;
  const isNamed =
    bs.Signature_word(view, 0) === BOOT_SIGNATURE &&
    (TYPE_NAMES.includes(text(bs.BS_FilSysType(view, 0))) || TYPE_NAMES.includes(text(bs32.BS_FilSysType(view, 0))));
  return isNamed || hasSoundFields(view);
}

function hasSoundFields(view: DataView): boolean {
  return (
    isSectorSize(bs.BPB_BytsPerSec(view, 0)) &&
    isPowerOfTwo(bs.BPB_SecPerClus(view, 0)) &&
    bs.BPB_RsvdSecCnt(view, 0) !== 0 &&
    bs.BPB_NumFATs(view, 0) !== 0 &&
    isMedia(bs.BPB_Media(view, 0)) &&
    (bs.BPB_FATSz16(view, 0) !== 0 || bs32.BPB_FATSz32(view, 0) !== 0) &&
    (bs.BPB_TotSec16(view, 0) !== 0 || bs.BPB_TotSec32(view, 0) !== 0)
  );
}

/** exFAT keeps the bytes of the old parameter block at zero. Microsoft, "exFAT file system specification", 3.1.2. */
const isExfat = (data: Uint8Array): boolean => text(bs.BS_OEMName(viewOf(data), 0)) === EXFAT;

/**
 * Checks and decodes a boot sector. Linux, fs/fat/inode.c, fat_read_bpb and fat_fill_super: what it accepts is accepted.
 *
 * @param data 512 bytes.
 * @param offset Where they lie: bytes from the start of the device.
 * @throws ImageError `not-this-format`; `unsupported` for exFAT; `corrupt`.
 */
export function decodeBootSector(data: Uint8Array, offset: number): BootSector {
  if (!isBootSector(data)) throw new ImageError("not-this-format", "no boot sector", placeOf(bs, "BS_jmpBoot", offset));
  if (isExfat(data)) throw new ImageError("unsupported", "exFAT", placeOf(bs, "BS_OEMName", offset));
  const view = viewOf(data);
  const bad = (field: keyof typeof bs.$fields, reason: string): ImageError =>
    corrupt(bs, field, offset, `${field} is ${reason}`);

  const sectorSize = bs.BPB_BytsPerSec(view, 0);
  if (!isSectorSize(sectorSize)) throw bad("BPB_BytsPerSec", `${sectorSize}, expected 512, 1024, 2048 or 4096`);
  const perCluster = bs.BPB_SecPerClus(view, 0);
  if (!isPowerOfTwo(perCluster)) throw bad("BPB_SecPerClus", `${perCluster}, expected a power of two`);
  const reserved = bs.BPB_RsvdSecCnt(view, 0);
  if (reserved === 0) throw bad("BPB_RsvdSecCnt", "0: the boot sector itself is one");
  const fatCount = bs.BPB_NumFATs(view, 0);
  if (fatCount === 0) throw bad("BPB_NumFATs", "0");
  const media = bs.BPB_Media(view, 0);
  if (!isMedia(media)) throw bad("BPB_Media", `${hex(media)}, expected 0xf0 or 0xf8 to 0xff`);
  const isFat32 = bs.BPB_FATSz16(view, 0) === 0;
  const fatSectors = isFat32 ? bs32.BPB_FATSz32(view, 0) : bs.BPB_FATSz16(view, 0);
  if (fatSectors === 0) throw bad("BPB_FATSz16", "0, and BPB_FATSz32 too");
  const rootEntries = bs.BPB_RootEntCnt(view, 0);
  if (rootEntries % (sectorSize / fat_dir_entry.$size) !== 0) {
    throw bad("BPB_RootEntCnt", `${rootEntries}, which does not fill its sectors of ${sectorSize} bytes`);
  }
  const sectors = bs.BPB_TotSec16(view, 0) || bs.BPB_TotSec32(view, 0);
  const fatStart = reserved * sectorSize;
  const fatSize = fatSectors * sectorSize;
  const rootStart = fatStart + fatCount * fatSize;
  const rootSize = rootEntries * fat_dir_entry.$size;
  const dataStart = rootStart + rootSize;
  const size = sectors * sectorSize;
  if (dataStart >= size) {
    throw bad("BPB_TotSec32", `${sectors} sectors, and the clusters begin at sector ${dataStart / sectorSize}`);
  }
  const clusterSize = perCluster * sectorSize;
  const roomFor = Math.floor((size - dataStart) / clusterSize);
  const bits = isFat32 ? 32 : roomFor > MAX_FAT12 ? 16 : 12;
  const clusters = Math.min(roomFor, Math.floor((fatSize * 8) / bits) - FIRST_CLUSTER);
  const max = { 12: MAX_FAT12, 16: MAX_FAT16, 32: MAX_FAT32 }[bits];
  if (clusters > max)
    throw bad("BPB_TotSec32", `${sectors} sectors, ${clusters} clusters: FAT${bits} has at most ${max}`);
  if (clusters < 1) throw bad("BPB_TotSec32", `${sectors} sectors, which leaves no cluster`);

  const { rootCluster, activeFat, fsInfo, backup } = isFat32
    ? fat32Part(view, offset, clusters, sectorSize, reserved)
    : NO_FAT32_PART;
  const { state, serial, label } = volumeId(view, isFat32);
  // Key by key: objects that others are spread into are of another kind to V8 each time, once there were a few.
  return {
    offset,
    bits,
    sectorSize,
    clusterSize,
    media,
    fatStart,
    fatSize,
    fatCount,
    rootStart,
    rootSize,
    dataStart,
    clusters,
    roomFor,
    size,
    rootCluster,
    activeFat,
    fsInfo,
    backup,
    state,
    serial,
    label,
  };
}

type Fat32Part = Pick<BootSector, "rootCluster" | "activeFat" | "fsInfo" | "backup">;
const NO_FAT32_PART: Fat32Part = { rootCluster: 0, activeFat: undefined, fsInfo: undefined, backup: undefined };

/** BPB_ExtFlags: mirroring is off. */
const ONE_FAT_ACTIVE = 0x80;

function fat32Part(view: DataView, offset: number, clusters: number, sectorSize: number, reserved: number): Fat32Part {
  const rootCluster = bs32.BPB_RootClus(view, 0);
  if (rootCluster < FIRST_CLUSTER || rootCluster >= clusters + FIRST_CLUSTER) {
    const reason = `BPB_RootClus is ${rootCluster}, expected 2 to ${clusters + 1}`;
    throw corrupt(bs32, "BPB_RootClus", offset, reason);
  }
  const flags = bs32.BPB_ExtFlags(view, 0);
  const sector = (n: number): number | undefined => (n === 0 || n >= reserved ? undefined : n * sectorSize);
  return {
    rootCluster,
    activeFat: (flags & ONE_FAT_ACTIVE) === 0 ? undefined : flags & 0xf,
    fsInfo: sector(bs32.BPB_FSInfo(view, 0)),
    backup: sector(bs32.BPB_BkBootSec(view, 0)),
  };
}

const NO_NAME = "NO NAME    ";

function volumeId(view: DataView, isFat32: boolean): Pick<BootSector, "state" | "serial" | "label"> {
  const part = isFat32 ? bs32 : bs;
  const signature = part.BS_BootSig(view, 0);
  const label = part.BS_VolLab(view, 0).slice();
  const hasLabel = signature === 0x29 && text(label) !== NO_NAME && !equalBytes(label, new Uint8Array(11));
  return {
    state: part.BS_Reserved1(view, 0),
    serial: signature === 0x28 || signature === 0x29 ? part.BS_VolID(view, 0) || undefined : undefined,
    label: hasLabel ? label : undefined,
  };
}

/** The serial as blkid and Windows print it: "1A2B-3C4D". */
export function formatSerial(serial: number): string {
  const digits = serial.toString(16).toUpperCase().padStart(8, "0");
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}
