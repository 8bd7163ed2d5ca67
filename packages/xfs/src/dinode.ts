import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type DeviceNumber, FILE_TYPE_OF_MODE, type FileType, nanoseconds, type Stat } from "@guestprobe/vfs";
import {
  XFS_BIGTIME_EPOCH_OFFSET,
  XFS_DIFLAG2_BIGTIME,
  XFS_DIFLAG2_NREXT64,
  XFS_DINODE_FMT_BTREE,
  XFS_DINODE_FMT_DEV,
  XFS_DINODE_FMT_EXTENTS,
  XFS_DINODE_FMT_LOCAL,
  XFS_DINODE_MAGIC,
  XFS_DINODE_SIZE_V2,
  XFS_DINODE_SIZE_V3,
  xfs_dinode,
  xfs_legacy_timestamp,
} from "./layout/inode.js";
import type { Superblock } from "./superblock.js";

/** Where the content of a file, or its attributes, are described: inside the inode. */
export interface Fork {
  readonly kind: "data" | "attr";
  readonly ino: number;
  /** XFS_DINODE_FMT_*. */
  readonly format: number;
  readonly bytes: Uint8Array;
  /** Where `bytes` lie: bytes from the start of the device. */
  readonly at: number;
  /** Extents that the inode counts. */
  readonly extents: number;
}

/**
 * An inode whose core was checked: what `stat` says, and what its content is found by. All is decoded when it is asked for:
 * a walk makes one for each file, and asks for little.
 */
export class Dinode implements Stat {
  readonly ino: number;
  /** Bytes from the start of the device. */
  readonly at: number;
  readonly type: FileType;
  readonly #sb: Superblock;
  readonly #view: DataView;
  readonly #base: number;

  /** What `decodeDinode` has checked: an inode at byte `base` of `view`, which lies at byte `at` of the device. */
  constructor(sb: Superblock, ino: number, at: number, type: FileType, view: DataView, base: number) {
    this.ino = ino;
    this.at = at;
    this.type = type;
    this.#sb = sb;
    this.#view = view;
    this.#base = base;
  }

  get mode(): number {
    return xfs_dinode.di_mode(this.#view, this.#base) & 0o7777;
  }

  get uid(): number {
    return xfs_dinode.di_uid(this.#view, this.#base);
  }

  get gid(): number {
    return xfs_dinode.di_gid(this.#view, this.#base);
  }

  get nlink(): number {
    return this.#version === 1
      ? xfs_dinode.di_onlink(this.#view, this.#base)
      : xfs_dinode.di_nlink(this.#view, this.#base);
  }

  get size(): number {
    return sizeHigh(this.#view, this.#base) * 2 ** 32 + sizeLow(this.#view, this.#base);
  }

  /** XFS_DIFLAG_*. */
  get flags(): number {
    return xfs_dinode.di_flags(this.#view, this.#base);
  }

  /** XFS_DIFLAG2_*. */
  get flags2(): number {
    return this.#version === 3 ? flags2Of(this.#view, this.#base) : 0;
  }

  get atimeNs(): bigint {
    return this.#time("di_atime");
  }

  get mtimeNs(): bigint {
    return this.#time("di_mtime");
  }

  get ctimeNs(): bigint {
    return this.#time("di_ctime");
  }

  get crtimeNs(): bigint | undefined {
    return this.#version === 3 ? this.#time("di_crtime") : undefined;
  }

  /** The number of a device node: 14 bits of major, 18 of minor, at the start of the data fork. */
  get rdev(): DeviceNumber | undefined {
    if (this.type !== "char" && this.type !== "block") return undefined;
    const { bytes } = this.data;
    const word = bytes.length < 4 ? 0 : viewOf(bytes).getUint32(0);
    return { major: (word >>> 18) & 0x3fff, minor: word & 0x3_ffff };
  }

  get data(): Fork {
    const core = coreSize(this.#version);
    const format = xfs_dinode.di_format(this.#view, this.#base);
    const bytes = this.#part(core, this.#dataEnd);
    const extents = this.#isLarge
      ? xfs_dinode.di_big_nextents(this.#view, this.#base)
      : xfs_dinode.di_nextents(this.#view, this.#base);
    return { kind: "data", ino: this.ino, format, bytes, at: this.at + core, extents };
  }

  get attr(): Fork | undefined {
    const start = this.#dataEnd;
    const { inodeSize } = this.#sb;
    if (start === inodeSize) return undefined;
    const format = xfs_dinode.di_aformat(this.#view, this.#base);
    const bytes = this.#part(start, inodeSize);
    const extents = this.#isLarge
      ? xfs_dinode.di_nextents(this.#view, this.#base)
      : xfs_dinode.di_anextents(this.#view, this.#base);
    return { kind: "attr", ino: this.ino, format, bytes, at: this.at + start, extents };
  }

  get #version(): number {
    return xfs_dinode.di_version(this.#view, this.#base);
  }

  get #isLarge(): boolean {
    return (this.flags2 & XFS_DIFLAG2_NREXT64) !== 0;
  }

  /** Where the data fork ends; the attribute fork, if there is one, follows it to the end. */
  get #dataEnd(): number {
    const forkoff = xfs_dinode.di_forkoff(this.#view, this.#base) * 8;
    return forkoff === 0 ? this.#sb.inodeSize : coreSize(this.#version) + forkoff;
  }

  /** Bytes `from` to `to` of the inode. */
  #part(from: number, to: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#base + from, to - from);
  }

  #time(field: "di_atime" | "di_mtime" | "di_ctime" | "di_crtime"): bigint {
    const at = this.#base + xfs_dinode.$fields[field].offset;
    return decodeTime(this.#view, at, (this.flags2 & XFS_DIFLAG2_BIGTIME) !== 0);
  }
}

const coreSize = (version: number): number => (version === 3 ? XFS_DINODE_SIZE_V3 : XFS_DINODE_SIZE_V2);
const sizeHigh = (view: DataView, base: number): number => view.getUint32(base + xfs_dinode.$fields.di_size.offset);
const sizeLow = (view: DataView, base: number): number => view.getUint32(base + xfs_dinode.$fields.di_size.offset + 4);
/** The lower half; none of the bits of the upper one is known. */
const flags2Of = (view: DataView, base: number): number =>
  view.getUint32(base + xfs_dinode.$fields.di_flags2.offset + 4);

/** Whether an inode is in use. */
export const isInodeUsed = (view: DataView, base: number): boolean => xfs_dinode.di_mode(view, base) !== 0;

/**
 * Decodes and checks an inode.
 *
 * @param view Holds its sb_inodesize bytes from `base` on.
 * @param at Where it lies: bytes from the start of the device.
 * @throws ImageError `not-found` for an inode that is not in use; `corrupt`; `unsupported` for a file of 2^53 bytes
 * or more.
 */
export function decodeDinode(sb: Superblock, view: DataView, base: number, at: number, ino: number): Dinode {
  const magic = xfs_dinode.di_magic(view, base);
  if (magic !== XFS_DINODE_MAGIC) throw bad(ino, at, "di_magic", `magic is 0x${magic.toString(16)}, expected 0x494e`);
  const version = xfs_dinode.di_version(view, base);
  if (sb.version === 5 ? version !== 3 : version !== 1 && version !== 2) {
    throw bad(ino, at, "di_version", `version ${version} on a volume of version ${sb.version}`);
  }
  const mode = xfs_dinode.di_mode(view, base);
  if (mode === 0) {
    throw new ImageError("not-found", `inode ${ino} is not in use`, {
      format: "xfs",
      structure: "xfs_dinode",
      field: "di_mode",
      offset: at + 2,
    });
  }
  const type = FILE_TYPE_OF_MODE[mode >>> 12];
  if (type === undefined) throw bad(ino, at, "di_mode", `mode 0o${mode.toString(8)} has no known type`);

  const high = sizeHigh(view, base);
  if (high >= 0x8000_0000) throw bad(ino, at, "di_size", "a size of 2^63 or more");
  if (high >= 0x20_0000) throw bad(ino, at, "di_size", "a file of 2^53 bytes or more", "unsupported");

  const attrAt = coreSize(version) + xfs_dinode.di_forkoff(view, base) * 8;
  if (attrAt >= sb.inodeSize) throw bad(ino, at, "di_forkoff", `attribute fork at byte ${attrAt} of the inode`);
  const format = xfs_dinode.di_format(view, base);
  if (!mayHave(type, format)) throw bad(ino, at, "di_format", `format ${format} of a ${type}`);
  if (version === 3 && (flags2Of(view, base) & XFS_DIFLAG2_NREXT64) !== 0) checkBigCount(view, base, at, ino);
  return new Dinode(sb, ino, at, type, view, base);
}

function bad(
  ino: number,
  at: number,
  field: keyof typeof xfs_dinode.$fields,
  reason: string,
  code: "corrupt" | "unsupported" = "corrupt",
): ImageError {
  return new ImageError(code, `inode ${ino}: ${reason}`, {
    format: "xfs",
    structure: "xfs_dinode",
    field,
    offset: at + xfs_dinode.$fields[field].offset,
  });
}

function checkBigCount(view: DataView, base: number, at: number, ino: number): void {
  try {
    xfs_dinode.di_big_nextents(view, base);
  } catch {
    throw bad(ino, at, "di_big_nextents", "2^53 extents or more");
  }
}

/** Each type has the formats that its data fork may take. */
function mayHave(type: FileType, format: number): boolean {
  if (type === "file") return format === XFS_DINODE_FMT_EXTENTS || format === XFS_DINODE_FMT_BTREE;
  if (type === "dir" || type === "symlink") return format >= XFS_DINODE_FMT_LOCAL && format <= XFS_DINODE_FMT_BTREE;
  return format === XFS_DINODE_FMT_DEV;
}

const BIGTIME_EPOCH_NS = BigInt(XFS_BIGTIME_EPOCH_OFFSET) * 1_000_000_000n;

/** Nanoseconds since 1970 of the timestamp at byte `at`. "Timestamps", XFS Algorithms & Data Structures, 3rd ed. */
export function decodeTime(view: DataView, at: number, bigtime: boolean): bigint {
  if (bigtime) return view.getBigUint64(at) - BIGTIME_EPOCH_NS;
  return nanoseconds(xfs_legacy_timestamp.t_sec(view, at), xfs_legacy_timestamp.t_nsec(view, at));
}
