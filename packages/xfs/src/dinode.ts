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

/** An inode whose core was checked: what `stat` says, and what its content is found by. What few ask for is decoded then. */
export class Dinode implements Stat {
  readonly ino: number;
  /** Bytes from the start of the device. */
  readonly at: number;
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  /** XFS_DIFLAG_*. */
  readonly flags: number;
  /** XFS_DIFLAG2_*. */
  readonly flags2: number;
  readonly #view: DataView;
  readonly #base: number;
  readonly #checked: Checked;

  /** What `decodeDinode` has checked: an inode at byte `base` of `view`, which lies at byte `at` of the device. */
  constructor(ino: number, at: number, view: DataView, base: number, checked: Checked) {
    this.ino = ino;
    this.at = at;
    this.type = checked.type;
    this.mode = xfs_dinode.di_mode(view, base) & 0o7777;
    this.uid = xfs_dinode.di_uid(view, base);
    this.gid = xfs_dinode.di_gid(view, base);
    this.nlink = checked.version === 1 ? xfs_dinode.di_onlink(view, base) : xfs_dinode.di_nlink(view, base);
    this.size = checked.size;
    this.flags = xfs_dinode.di_flags(view, base);
    this.flags2 = checked.flags2;
    this.#view = view;
    this.#base = base;
    this.#checked = checked;
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
    return this.#checked.version === 3 ? this.#time("di_crtime") : undefined;
  }

  /** The number of a device node: 14 bits of major, 18 of minor, at the start of the data fork. */
  get rdev(): DeviceNumber | undefined {
    if (this.type !== "char" && this.type !== "block") return undefined;
    const { bytes } = this.data;
    const word = bytes.length < 4 ? 0 : viewOf(bytes).getUint32(0);
    return { major: (word >>> 18) & 0x3fff, minor: word & 0x3_ffff };
  }

  get data(): Fork {
    const { format, core, dataEnd, extents } = this.#checked;
    return { kind: "data", ino: this.ino, format, bytes: this.#part(core, dataEnd), at: this.at + core, extents };
  }

  get attr(): Fork | undefined {
    const { dataEnd, end, attrExtents } = this.#checked;
    if (dataEnd === end) return undefined;
    const format = xfs_dinode.di_aformat(this.#view, this.#base);
    const bytes = this.#part(dataEnd, end);
    return { kind: "attr", ino: this.ino, format, bytes, at: this.at + dataEnd, extents: attrExtents };
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

/** What checking an inode has found out. Places are bytes of the inode. */
interface Checked {
  readonly version: number;
  readonly type: FileType;
  readonly size: number;
  readonly flags2: number;
  /** Of the data fork: XFS_DINODE_FMT_*. */
  readonly format: number;
  /** Where the data fork begins and ends; the attribute fork, if there is one, follows it up to `end`. */
  readonly core: number;
  readonly dataEnd: number;
  readonly end: number;
  readonly extents: number;
  readonly attrExtents: number;
}

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

  const core = version === 3 ? XFS_DINODE_SIZE_V3 : XFS_DINODE_SIZE_V2;
  const { $fields } = xfs_dinode;
  const flags2 = version === 3 ? view.getUint32(base + $fields.di_flags2.offset + 4) : 0;
  const sizeHigh = view.getUint32(base + $fields.di_size.offset);
  if (sizeHigh >= 0x8000_0000) throw bad(ino, at, "di_size", "a size of 2^63 or more");
  if (sizeHigh >= 0x20_0000) throw bad(ino, at, "di_size", "a file of 2^53 bytes or more", "unsupported");

  const end = sb.inodeSize;
  const forkoff = xfs_dinode.di_forkoff(view, base) * 8;
  if (core + forkoff >= end) {
    throw bad(ino, at, "di_forkoff", `attribute fork at byte ${core + forkoff} of the inode`);
  }
  const isLarge = (flags2 & XFS_DIFLAG2_NREXT64) !== 0;
  const format = xfs_dinode.di_format(view, base);
  if (!mayHave(type, format)) throw bad(ino, at, "di_format", `format ${format} of a ${type}`);
  return new Dinode(ino, at, view, base, {
    version,
    type,
    size: sizeHigh * 2 ** 32 + view.getUint32(base + $fields.di_size.offset + 4),
    flags2,
    format,
    core,
    dataEnd: forkoff === 0 ? end : core + forkoff,
    end,
    extents: isLarge ? bigCount(view, base, at, ino) : xfs_dinode.di_nextents(view, base),
    attrExtents: isLarge ? xfs_dinode.di_nextents(view, base) : xfs_dinode.di_anextents(view, base),
  });
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

function bigCount(view: DataView, base: number, at: number, ino: number): number {
  try {
    return xfs_dinode.di_big_nextents(view, base);
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
