import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type Compressor, compressorOf } from "./compressor.js";
import {
  SQUASHFS_ALWAYS_FRAG,
  SQUASHFS_CHECK,
  SQUASHFS_COMP_OPT,
  SQUASHFS_DUPLICATE,
  SQUASHFS_EXPORT,
  SQUASHFS_MAGIC,
  SQUASHFS_MAGIC_SWAP,
  SQUASHFS_MAJOR,
  SQUASHFS_NO_FRAG,
  SQUASHFS_NO_XATTR,
  SQUASHFS_NOD,
  SQUASHFS_NOF,
  SQUASHFS_NOI,
  SQUASHFS_NOID,
  SQUASHFS_NOX,
  squashfs_super_block as sb,
} from "./layout.js";
import { corrupt, FORMAT, hex, placeOf } from "./place.js";

/** Where a structure in metadata begins. */
export interface MetadataPosition {
  /** The metadata block: bytes from the start of the device. */
  readonly block: number;
  /** Bytes into what it decodes to. */
  readonly offset: number;
}

/** A superblock whose fields fit together. Sizes and starts are in bytes. */
export interface Superblock {
  readonly inodes: number;
  readonly blockSize: number;
  readonly fragments: number;
  readonly compressor: Compressor;
  readonly flags: number;
  readonly ids: number;
  readonly root: MetadataPosition;
  readonly bytesUsed: number;
  readonly idTable: number;
  readonly xattrIdTable: number | undefined;
  readonly inodeTable: number;
  readonly directoryTable: number;
  readonly fragmentTable: number | undefined;
  readonly lookupTable: number | undefined;
}

const MIN_BLOCK_LOG = 12;
const MAX_BLOCK_LOG = 20;

/** Flags by the words for them; those that say nothing about how the volume was made are left out. */
const FLAG_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [SQUASHFS_NOI, "uncompressed_inodes"],
  [SQUASHFS_NOD, "uncompressed_data"],
  [SQUASHFS_CHECK, "check"],
  [SQUASHFS_NOF, "uncompressed_fragments"],
  [SQUASHFS_NO_FRAG, "no_fragments"],
  [SQUASHFS_ALWAYS_FRAG, "always_fragments"],
  [SQUASHFS_DUPLICATE, "duplicates"],
  [SQUASHFS_EXPORT, "exportable"],
  [SQUASHFS_NOX, "uncompressed_xattrs"],
  [SQUASHFS_NO_XATTR, "no_xattrs"],
  [SQUASHFS_COMP_OPT, "compressor_options"],
  [SQUASHFS_NOID, "uncompressed_ids"],
];

export function flagNames(flags: number): string[] {
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

/** Whether `data`, from byte 0 of a device, begins with the magic of any version and byte order. */
export function hasMagic(data: Uint8Array): boolean {
  if (data.length < 4) return false;
  const magic = viewOf(data).getUint32(0, true);
  return magic === SQUASHFS_MAGIC || magic === SQUASHFS_MAGIC_SWAP;
}

/**
 * Checks and decodes the superblock.
 *
 * @param data 96 bytes from byte 0 of the device.
 * @throws ImageError `not-this-format` without the magic; `unsupported` for another version, byte order or compressor;
 * `corrupt`.
 */
export function decodeSuperblock(data: Uint8Array): Superblock {
  if (!hasMagic(data)) throw new ImageError("not-this-format", "no magic", placeOf(sb, "s_magic", 0));
  const bad = (field: keyof typeof sb.$fields, reason: string): ImageError =>
    corrupt(sb, field, sb.$fields[field].offset, `${field} is ${reason}`);
  if (data.length < sb.$size) throw corrupt(sb, "s_magic", 0, `device ends inside the superblock`);
  const view = viewOf(data);
  checkVersion(view);

  const compression = sb.compression(view, 0);
  const compressor = compressorOf(compression);
  if (compressor === undefined) {
    throw new ImageError("unsupported", `compressor ${compression}`, placeOf(sb, "compression", 20));
  }
  const blockLog = sb.block_log(view, 0);
  const blockSize = sb.block_size(view, 0);
  if (blockLog < MIN_BLOCK_LOG || blockLog > MAX_BLOCK_LOG) throw bad("block_log", `${blockLog}, expected 12 to 20`);
  if (blockSize !== 2 ** blockLog) throw bad("block_size", `${blockSize}, block_log says ${2 ** blockLog}`);
  const ids = sb.no_ids(view, 0);
  if (ids === 0) throw bad("no_ids", "0: every inode has an owner");

  const bytesUsed = exact(view, "bytes_used");
  const inodeTable = exact(view, "inode_table_start");
  const directoryTable = exact(view, "directory_table_start");
  const idTable = exact(view, "id_table_start");
  const fragments = sb.fragments(view, 0);
  // Without fragments the field means nothing.
  const fragmentTable = fragments === 0 ? undefined : exactOrNone(view, "fragment_table_start");
  const lookupTable = exactOrNone(view, "lookup_table_start");
  const xattrIdTable = exactOrNone(view, "xattr_id_table_start");
  if (inodeTable < sb.$size) throw bad("inode_table_start", `${inodeTable}, inside the superblock`);
  if (directoryTable <= inodeTable) {
    throw bad("directory_table_start", `${directoryTable}, not after the inode table at ${inodeTable}`);
  }
  // In this order on the disk, whichever of them there are.
  let previous = directoryTable;
  const later = { fragment_table_start: fragmentTable, lookup_table_start: lookupTable, id_table_start: idTable };
  for (const [field, start] of Object.entries({ ...later, xattr_id_table_start: xattrIdTable })) {
    if (start === undefined) continue;
    const name = field as keyof typeof sb.$fields;
    if (start < previous) throw bad(name, `${start}, before the table at ${previous}`);
    if (start >= bytesUsed) throw bad(name, `${start}, past the ${bytesUsed} bytes in use`);
    previous = start;
  }
  if (fragments > 0 && fragmentTable === undefined) throw bad("fragment_table_start", "missing");

  const root = exact(view, "root_inode");
  return {
    inodes: sb.inodes(view, 0),
    blockSize,
    fragments,
    compressor,
    flags: sb.flags(view, 0),
    ids,
    root: { block: inodeTable + Math.floor(root / 0x1_0000), offset: root % 0x1_0000 },
    bytesUsed,
    idTable,
    xattrIdTable,
    inodeTable,
    directoryTable,
    fragmentTable,
    lookupTable,
  };
}

type Field64 = "bytes_used" | "inode_table_start" | "directory_table_start" | "id_table_start" | "root_inode";

/** A 64-bit field; one of 2^53 and above is an error at its own place. */
function exact(view: DataView, field: Field64): number {
  const { offset } = sb.$fields[field];
  try {
    return sb[field](view, 0);
  } catch (cause) {
    throw new ImageError("corrupt", `${field} is 2^53 or more`, { ...placeOf(sb, field, offset), cause });
  }
}

function exactOrNone(
  view: DataView,
  field: "fragment_table_start" | "lookup_table_start" | "xattr_id_table_start",
): number | undefined {
  const { offset } = sb.$fields[field];
  try {
    return sb[field](view, 0);
  } catch (cause) {
    throw new ImageError("corrupt", `${field} is 2^53 or more`, { ...placeOf(sb, field, offset), cause });
  }
}

/** Major and minor number lie at the same place in every version, in the volume's own byte order. */
function checkVersion(view: DataView): void {
  const swapped = sb.s_magic(view, 0) === SQUASHFS_MAGIC_SWAP;
  const major = view.getUint16(sb.$fields.s_major.offset, !swapped);
  const minor = view.getUint16(sb.$fields.s_minor.offset, !swapped);
  if (!swapped && major === SQUASHFS_MAJOR && minor === 0) return;
  const place = { format: FORMAT, structure: sb.$name, field: "s_major", offset: sb.$fields.s_major.offset };
  if (major === 0 || major > SQUASHFS_MAJOR)
    throw new ImageError("unsupported", `version ${hex(major)}.${minor}`, place);
  const order = swapped ? "big-endian " : "";
  throw new ImageError("unsupported", `${order}squashfs ${major}.${minor}, before the stable format 4.0`, place);
}
