import { decodeText, isPowerOfTwo, isZero } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { bitLockerMetadata } from "./encrypted.js";
import {
  exfat_boot_sector,
  fat_boot_sector,
  fat_dir_entry,
  ntfs_attr_record,
  ntfs_boot_sector,
  ntfs_mft_record,
} from "./layout/interchange.js";
import { type Found, labelOf, labelOfUtf16, type ReadMore, type SignatureRow, serialOf } from "./row.js";
import type { Window } from "./window.js";

/** Clusters of a root directory that are looked through for the label: it is among the first entries always. */
const MAX_CLUSTERS = 8;
const MAX_CLUSTER_BYTES = 1 << 16;
const BOOT_SIGNATURE = 0xaa55;

/** Most clusters of FAT12 and FAT16; FAT Specification, section 3.5, as Windows and Linux apply it. */
const MAX_FAT12 = 0xff4;
const MAX_FAT16 = 0xfff4;
const MAX_FAT32 = 0x0fff_fff6;
const NO_NAME = "NO NAME    ";

interface Fat {
  readonly version: "FAT12" | "FAT16" | "FAT32";
  readonly sectorSize: number;
  readonly clusterSize: number;
  readonly reserved: number;
  /** Sectors of all FATs. */
  readonly fatSectors: number;
  readonly rootEntries: number;
  readonly rootCluster: number;
  readonly clusters: number;
}

/** The boot sector's numbers, if they can be those of a FAT volume. */
function fatGeometry(view: DataView): Fat | undefined {
  const sectorSize = fat_boot_sector.BPB_BytsPerSec(view, 0);
  const perCluster = fat_boot_sector.BPB_SecPerClus(view, 0);
  const reserved = fat_boot_sector.BPB_RsvdSecCnt(view, 0);
  const fats = fat_boot_sector.BPB_NumFATs(view, 0);
  const media = fat_boot_sector.BPB_Media(view, 0);
  if (!isPowerOfTwo(sectorSize) || sectorSize < 512 || sectorSize > 4096 || !isPowerOfTwo(perCluster)) return undefined;
  if (fats === 0 || reserved === 0 || (media !== 0xf0 && media < 0xf8)) return undefined;
  const rootEntries = fat_boot_sector.BPB_RootEntCnt(view, 0);
  const size16 = fat_boot_sector.BPB_FATSz16(view, 0);
  const size32 = size16 === 0 ? fat_boot_sector.BPB_FATSz32(view, 0) : 0;
  const sectors = fat_boot_sector.BPB_TotSec16(view, 0) || fat_boot_sector.BPB_TotSec32(view, 0);
  const fatSectors = (size16 || size32) * fats;
  const rootSectors = Math.ceil((rootEntries * fat_dir_entry.$size) / sectorSize);
  const clusters = Math.floor((sectors - reserved - fatSectors - rootSectors) / perCluster);
  if (fatSectors === 0 || clusters < 0) return undefined;
  const most = size32 !== 0 ? MAX_FAT32 : clusters > MAX_FAT12 ? MAX_FAT16 : MAX_FAT12;
  if (clusters > most) return undefined;
  return {
    version: size32 !== 0 ? "FAT32" : clusters < MAX_FAT12 ? "FAT12" : "FAT16",
    sectorSize,
    clusterSize: perCluster * sectorSize,
    reserved,
    fatSectors,
    rootEntries,
    rootCluster: fat_boot_sector.BPB_RootClus(view, 0),
    clusters,
  };
}

const FAT_NAMES = ["MSWIN", "FAT32   ", "MSDOS", "FAT16   ", "FAT12   ", "FAT     "];

function decodeFat(window: Window): Found | undefined {
  const view = window.view(0, fat_boot_sector.$size);
  if (view === undefined) return undefined;
  const names = [fat_boot_sector.BS_FilSysType(view, 0), fat_boot_sector.BS_FilSysType32(view, 0)].map(decodeText);
  if (!names.some((name) => FAT_NAMES.some((known) => name.startsWith(known)))) {
    // Without its name in it, the sector must at least be a boot sector, and not one of OS/2's for something else.
    if (fat_boot_sector.Signature_word(view, 0) !== BOOT_SIGNATURE) return undefined;
    if (names[0] === "JFS     " || names[0] === "HPFS    ") return undefined;
  }
  const fat = fatGeometry(view);
  if (fat === undefined) return undefined;
  const is32 = fat.version === "FAT32";
  const signature = is32 ? fat_boot_sector.BS_BootSig32(view, 0) : fat_boot_sector.BS_BootSig(view, 0);
  const serial = is32 ? fat_boot_sector.BS_VolID32(view, 0) : fat_boot_sector.BS_VolID(view, 0);
  return {
    offset: 0,
    version: fat.version,
    uuid: signature === 0x29 || signature === 0x28 || is32 ? serialOf(serial) : undefined,
  };
}

const ATTR_VOLUME_ID = 0x08;
const ATTR_DIRECTORY = 0x10;
const ATTR_LONG_NAME = 0x0f;
const ENTRY_FREE = 0xe5;

/** The label in a piece of the root directory; null when the directory ends in it without one. */
function labelInDirectory(data: Uint8Array): Uint8Array | null | undefined {
  const view = viewOf(data);
  for (let at = 0; at + fat_dir_entry.$size <= data.length; at += fat_dir_entry.$size) {
    const name = fat_dir_entry.DIR_Name(view, at);
    const attributes = fat_dir_entry.DIR_Attr(view, at) & 0x3f;
    if (name[0] === 0) return null;
    if (name[0] === ENTRY_FREE || attributes === ATTR_LONG_NAME) continue;
    if (fat_dir_entry.DIR_FstClusHI(view, at) !== 0 || fat_dir_entry.DIR_FstClusLO(view, at) !== 0) continue;
    if ((attributes & (ATTR_VOLUME_ID | ATTR_DIRECTORY)) === ATTR_VOLUME_ID) return name;
  }
  return undefined;
}

/** The label is an entry of the root directory: that in the boot sector is a copy, which goes stale. */
async function findFatLabel(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const fat = fatGeometry(window.view(0, fat_boot_sector.$size)!);
  if (fat === undefined) return found;
  const rootAt = (fat.reserved + fat.fatSectors) * fat.sectorSize;
  let name: Uint8Array | null | undefined;
  if (fat.version === "FAT32") {
    name = await labelInChain(fat, rootAt, read);
  } else {
    const data = await read(rootAt, Math.min(fat.rootEntries * fat_dir_entry.$size, MAX_CLUSTER_BYTES));
    name = data && labelInDirectory(data);
  }
  return name && decodeText(name) !== NO_NAME ? { ...found, label: labelOf(name) } : found;
}

async function labelInChain(fat: Fat, dataAt: number, read: ReadMore): Promise<Uint8Array | null | undefined> {
  let cluster = fat.rootCluster;
  for (let count = 0; count < MAX_CLUSTERS && cluster >= 2 && cluster < fat.clusters + 2; count += 1) {
    const data = await read(dataAt + (cluster - 2) * fat.clusterSize, Math.min(fat.clusterSize, MAX_CLUSTER_BYTES));
    const name = data && labelInDirectory(data);
    if (name !== undefined) return name;
    const next = await read(fat.reserved * fat.sectorSize + cluster * 4, 4);
    if (next === undefined) return undefined;
    cluster = viewOf(next).getUint32(0, true) & 0x0fff_ffff;
  }
  return undefined;
}

function decodeExfat(window: Window): Found | undefined {
  const view = window.view(0, exfat_boot_sector.$size);
  if (view === undefined) return undefined;
  const shift = exfat_boot_sector.BytesPerSectorShift(view, 0);
  if (shift < 9 || shift > 12 || exfat_boot_sector.SectorsPerClusterShift(view, 0) > 25 - shift) return undefined;
  const revision = exfat_boot_sector.FileSystemRevision(view, 0);
  return {
    offset: 3,
    uuid: serialOf(exfat_boot_sector.VolumeSerialNumber(view, 0)),
    version: `${revision >> 8}.${revision & 0xff}`,
    ...(exfatProblem(view) ?? exfatChecksum(window, 2 ** shift)),
  };
}

/** What keeps drivers from the volume, although it says that it is exFAT. exFAT Specification, sections 3.1.3 and 3.1.17. */
function exfatProblem(view: DataView): Pick<Found, "problem"> | undefined {
  if (exfat_boot_sector.BootSignature(view, 0) !== BOOT_SIGNATURE)
    return { problem: "the boot sector has no signature" };
  const isBlank = isZero(exfat_boot_sector.MustBeZero(view, 0));
  return isBlank ? undefined : { problem: "the boot sector has parameters where exFAT has zeros" };
}

/** Eleven sectors, but for the fields that change in use, against the twelfth. exFAT Specification, section 3.4. */
function exfatChecksum(window: Window, sectorSize: number): Pick<Found, "problem"> {
  const data = window.bytes(0, 11 * sectorSize);
  const stored = window.view(11 * sectorSize, 4)?.getUint32(0, true);
  if (data === undefined || stored === undefined) return {};
  let sum = 0;
  for (let at = 0; at < data.length; at += 1) {
    if (at === 106 || at === 107 || at === 112) continue;
    sum = (((sum & 1) << 31) | (sum >>> 1)) + data[at]!;
  }
  return sum >>> 0 === stored ? {} : { problem: "the checksum of the boot region does not match" };
}

const EXFAT_LABEL = 0x83;

async function findExfatLabel(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const view = window.view(0, exfat_boot_sector.$size)!;
  const sectorSize = 2 ** exfat_boot_sector.BytesPerSectorShift(view, 0);
  const clusterSize = sectorSize * 2 ** exfat_boot_sector.SectorsPerClusterShift(view, 0);
  const heapAt = exfat_boot_sector.ClusterHeapOffset(view, 0) * sectorSize;
  const fatAt = exfat_boot_sector.FatOffset(view, 0) * sectorSize;
  const clusters = exfat_boot_sector.ClusterCount(view, 0);
  let cluster = exfat_boot_sector.FirstClusterOfRootDirectory(view, 0);
  for (let count = 0; count < MAX_CLUSTERS && cluster >= 2 && cluster < clusters + 2; count += 1) {
    const data = await read(heapAt + (cluster - 2) * clusterSize, Math.min(clusterSize, MAX_CLUSTER_BYTES));
    if (data === undefined) return found;
    for (let at = 0; at + 32 <= data.length; at += 32) {
      if (data[at] === 0) return found;
      if (data[at] !== EXFAT_LABEL) continue;
      const length = Math.min(data[at + 1]! * 2, 22);
      return { ...found, label: labelOfUtf16(data.subarray(at + 2, at + 2 + length), "utf-16le") };
    }
    const next = await read(fatAt + cluster * 4, 4);
    if (next === undefined) return found;
    cluster = viewOf(next).getUint32(0, true);
  }
  return found;
}

/** Clusters that one record of the master file table takes; when negative, the record has two to that power of bytes. */
function ntfsGeometry(view: DataView): { mftAt: number; recordSize: number } | undefined {
  const sectorSize = ntfs_boot_sector.bytes_per_sector(view, 0);
  const raw = ntfs_boot_sector.sectors_per_cluster(view, 0);
  // Above 128 the byte counts as for records: clusters of more than 64 KiB.
  const perCluster = raw > 0x80 ? 2 ** (256 - raw) : raw;
  if (!isPowerOfTwo(sectorSize) || sectorSize < 256 || sectorSize > 4096 || !isPowerOfTwo(perCluster)) return undefined;
  const clusterSize = sectorSize * perCluster;
  const perRecord = ntfs_boot_sector.clusters_per_mft_record(view, 0);
  const recordSize = perRecord > 0x80 ? 2 ** (256 - perRecord) : perRecord * clusterSize;
  if (clusterSize > 2 << 20 || recordSize < 512 || recordSize > MAX_CLUSTER_BYTES) return undefined;
  const clusters = ntfs_boot_sector.number_of_sectors(view, 0) / BigInt(perCluster);
  const mft = ntfs_boot_sector.mft_lcn(view, 0);
  if (mft > clusters || ntfs_boot_sector.mftmirr_lcn(view, 0) > clusters) return undefined;
  const mftAt = mft * BigInt(clusterSize);
  return mftAt > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : { mftAt: Number(mftAt), recordSize };
}

function decodeNtfs(window: Window): Found | undefined {
  const view = window.view(0, ntfs_boot_sector.$size);
  // Of the parameter block of FAT only the first two fields and the medium count: the others are zero.
  const isForeign =
    view === undefined ||
    fat_boot_sector.BPB_RsvdSecCnt(view, 0) !== 0 ||
    fat_boot_sector.BPB_NumFATs(view, 0) !== 0 ||
    fat_boot_sector.BPB_RootEntCnt(view, 0) !== 0 ||
    fat_boot_sector.BPB_TotSec16(view, 0) !== 0 ||
    fat_boot_sector.BPB_FATSz16(view, 0) !== 0 ||
    fat_boot_sector.BPB_TotSec32(view, 0) !== 0;
  if (isForeign || ntfsGeometry(view) === undefined) return undefined;
  const serial = ntfs_boot_sector.volume_serial_number(view, 0);
  return { offset: 3, uuid: serial === 0n ? undefined : serial.toString(16).toUpperCase().padStart(16, "0") };
}

const FILE_VOLUME = 3;
const AT_VOLUME_NAME = 0x60;
const AT_END = 0xffff_ffff;

async function findNtfsLabel(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const geometry = ntfsGeometry(window.view(0, ntfs_boot_sector.$size)!);
  if (geometry === undefined) return found;
  const { mftAt, recordSize } = geometry;
  const data = await read(mftAt, (FILE_VOLUME + 1) * recordSize);
  if (data === undefined) return { ...found, problem: `the master file table at byte ${mftAt} cannot be read` };
  const record = data.subarray(FILE_VOLUME * recordSize);
  if (decodeText(data.subarray(0, 4)) !== "FILE" || decodeText(record.subarray(0, 4)) !== "FILE") {
    return { ...found, problem: `no master file table at byte ${mftAt}` };
  }
  const view = viewOf(record);
  const end = Math.min(ntfs_mft_record.bytes_in_use(view, 0), recordSize);
  for (let at = ntfs_mft_record.attrs_offset(view, 0); at + ntfs_attr_record.$size <= end; ) {
    const type = ntfs_attr_record.type(view, at);
    const length = ntfs_attr_record.length(view, at);
    if (type === AT_END || length < ntfs_attr_record.$size) break;
    if (type === AT_VOLUME_NAME && ntfs_attr_record.non_resident(view, at) === 0) {
      const from = at + ntfs_attr_record.value_offset(view, at);
      const to = from + ntfs_attr_record.value_length(view, at);
      return to > recordSize ? found : { ...found, label: labelOfUtf16(record.subarray(from, to), "utf-16le") };
    }
    at += length;
  }
  return found;
}

export const FAT_ROW: SignatureRow = {
  kind: "vfat",
  title: "FAT file system",
  usage: "filesystem",
  source: "Microsoft FAT Specification, section 3",
  decode: (window) => (bitLockerMetadata(window) === 0n ? decodeFat(window) : undefined),
  more: findFatLabel,
};

export const NTFS_ROWS: readonly SignatureRow[] = [
  {
    kind: "ntfs",
    title: "NTFS file system",
    usage: "filesystem",
    source: "Linux, fs/ntfs3/ntfs.h",
    magics: [{ at: 3, is: "NTFS    " }],
    decode: decodeNtfs,
    more: findNtfsLabel,
  },
  {
    kind: "ReFS",
    title: "ReFS file system",
    usage: "filesystem",
    source: "libfsrefs, Resilient File System",
    magics: [{ at: 0, is: "\0\0\0ReFS\0" }],
  },
];

export const EXFAT_ROW: SignatureRow = {
  kind: "exfat",
  title: "exFAT file system",
  usage: "filesystem",
  source: "Microsoft exFAT Specification, section 3",
  magics: [{ at: 3, is: "EXFAT   " }],
  decode: decodeExfat,
  more: findExfatLabel,
};
