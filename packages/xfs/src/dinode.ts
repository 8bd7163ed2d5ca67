import { ImageError, joinU64 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { FILE_TYPE_OF_MODE, type FileType, nanoseconds } from "@guestprobe/vfs";
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

/** An inode whose core was checked. */
export interface Dinode {
  readonly ino: number;
  /** Bytes from the start of the device. */
  readonly at: number;
  readonly type: FileType;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly crtimeNs: bigint | undefined;
  /** XFS_DIFLAG_*. */
  readonly flags: number;
  /** XFS_DIFLAG2_*. */
  readonly flags2: number;
  readonly data: Fork;
  readonly attr: Fork | undefined;
}

/**
 * Decodes and checks an inode.
 *
 * @param data All of it: sb_inodesize bytes.
 * @param at Where it lies: bytes from the start of the device.
 * @throws ImageError `not-found` for an inode that is not in use; `corrupt`; `unsupported` for a file of 2^53 bytes
 * or more.
 */
export function decodeDinode(sb: Superblock, data: Uint8Array, at: number, ino: number): Dinode {
  const view = viewOf(data);
  const fail = (field: keyof typeof xfs_dinode.$fields, reason: string, code: "corrupt" | "unsupported" = "corrupt") =>
    new ImageError(code, `inode ${ino}: ${reason}`, {
      format: "xfs",
      structure: "xfs_dinode",
      field,
      offset: at + xfs_dinode.$fields[field].offset,
    });

  const magic = xfs_dinode.di_magic(view, 0);
  if (magic !== XFS_DINODE_MAGIC) throw fail("di_magic", `magic is 0x${magic.toString(16)}, expected 0x494e`);
  const version = xfs_dinode.di_version(view, 0);
  if (sb.version === 5 ? version !== 3 : version !== 1 && version !== 2) {
    throw fail("di_version", `version ${version} on a volume of version ${sb.version}`);
  }
  const mode = xfs_dinode.di_mode(view, 0);
  if (mode === 0) {
    throw new ImageError("not-found", `inode ${ino} is not in use`, {
      format: "xfs",
      structure: "xfs_dinode",
      field: "di_mode",
      offset: at + 2,
    });
  }
  const type = FILE_TYPE_OF_MODE[mode >>> 12];
  if (type === undefined) throw fail("di_mode", `mode 0o${mode.toString(8)} has no known type`);

  const core = version === 3 ? XFS_DINODE_SIZE_V3 : XFS_DINODE_SIZE_V2;
  const { $fields } = xfs_dinode;
  const flags2 = version === 3 ? view.getUint32($fields.di_flags2.offset + 4) : 0;
  const sizeHigh = view.getUint32($fields.di_size.offset);
  if (sizeHigh >= 0x8000_0000) throw fail("di_size", "a size of 2^63 or more");
  if (sizeHigh >= 0x20_0000) throw fail("di_size", "a file of 2^53 bytes or more", "unsupported");

  const forkoff = xfs_dinode.di_forkoff(view, 0) * 8;
  if (core + forkoff >= data.length) throw fail("di_forkoff", `attribute fork at byte ${core + forkoff} of the inode`);
  const counts = readCounts(view, (flags2 & XFS_DIFLAG2_NREXT64) !== 0, fail);
  const dataEnd = forkoff === 0 ? data.length : core + forkoff;
  const time = (field: "di_atime" | "di_mtime" | "di_ctime" | "di_crtime"): bigint =>
    decodeTime(view, $fields[field].offset, (flags2 & XFS_DIFLAG2_BIGTIME) !== 0);
  return {
    ino,
    at,
    type,
    mode: mode & 0o7777,
    uid: xfs_dinode.di_uid(view, 0),
    gid: xfs_dinode.di_gid(view, 0),
    nlink: version === 1 ? xfs_dinode.di_onlink(view, 0) : xfs_dinode.di_nlink(view, 0),
    size: joinU64(sizeHigh, view.getUint32($fields.di_size.offset + 4)),
    atimeNs: time("di_atime"),
    mtimeNs: time("di_mtime"),
    ctimeNs: time("di_ctime"),
    crtimeNs: version === 3 ? time("di_crtime") : undefined,
    flags: xfs_dinode.di_flags(view, 0),
    flags2,
    data: {
      kind: "data",
      ino,
      format: checkFormat(xfs_dinode.di_format(view, 0), type, (reason) => fail("di_format", reason)),
      bytes: data.subarray(core, dataEnd),
      at: at + core,
      extents: counts.data,
    },
    attr:
      forkoff === 0
        ? undefined
        : {
            kind: "attr",
            ino,
            format: xfs_dinode.di_aformat(view, 0),
            bytes: data.subarray(dataEnd),
            at: at + dataEnd,
            extents: counts.attr,
          },
  };
}

type Fail = (field: "di_big_nextents", reason: string) => ImageError;

function readCounts(view: DataView, nrext64: boolean, fail: Fail): { data: number; attr: number } {
  if (!nrext64) return { data: xfs_dinode.di_nextents(view, 0), attr: xfs_dinode.di_anextents(view, 0) };
  try {
    return { data: xfs_dinode.di_big_nextents(view, 0), attr: xfs_dinode.di_nextents(view, 0) };
  } catch {
    throw fail("di_big_nextents", "2^53 extents or more");
  }
}

/** Each type has the formats that its data fork may take. */
function checkFormat(format: number, type: FileType, fail: (reason: string) => ImageError): number {
  const allowed =
    type === "file"
      ? format === XFS_DINODE_FMT_EXTENTS || format === XFS_DINODE_FMT_BTREE
      : type === "dir" || type === "symlink"
        ? format >= XFS_DINODE_FMT_LOCAL && format <= XFS_DINODE_FMT_BTREE
        : format === XFS_DINODE_FMT_DEV;
  if (!allowed) throw fail(`format ${format} of a ${type}`);
  return format;
}

const BIGTIME_EPOCH_NS = BigInt(XFS_BIGTIME_EPOCH_OFFSET) * 1_000_000_000n;

/** Nanoseconds since 1970 of the timestamp at byte `at`. "Timestamps", XFS Algorithms & Data Structures, 3rd ed. */
export function decodeTime(view: DataView, at: number, bigtime: boolean): bigint {
  if (bigtime) return view.getBigUint64(at) - BIGTIME_EPOCH_NS;
  return nanoseconds(xfs_legacy_timestamp.t_sec(view, at), xfs_legacy_timestamp.t_nsec(view, at));
}
