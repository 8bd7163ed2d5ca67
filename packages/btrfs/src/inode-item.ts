import { hasBit } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type DeviceNumber, FILE_TYPE_OF_MODE, nanoseconds, type Stat } from "@guestprobe/vfs";
import {
  btrfs_timespec,
  INODE_APPEND,
  INODE_COMPRESS,
  INODE_DIRSYNC,
  INODE_IMMUTABLE,
  INODE_NOATIME,
  INODE_NOCOMPRESS,
  INODE_NODATACOW,
  INODE_NODATASUM,
  INODE_NODUMP,
  INODE_RO_VERITY,
  INODE_SYNC,
  btrfs_inode_item as item,
} from "./layout.js";
import { corrupt, decodeAt } from "./place.js";

/** An inode item that was checked. */
export interface InodeItem {
  readonly stat: Stat;
  /** As lsattr and chattr name them; put together when asked for. */
  readonly flags: () => readonly string[];
  /** Whether the file's data has no checksums. */
  readonly noDataSum: boolean;
}

const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [INODE_SYNC, "sync"],
  [INODE_IMMUTABLE, "immutable"],
  [INODE_APPEND, "append"],
  [INODE_NODUMP, "nodump"],
  [INODE_NOATIME, "noatime"],
  [INODE_DIRSYNC, "dirsync"],
  [INODE_COMPRESS, "compress"],
  [INODE_NOCOMPRESS, "nocompress"],
  [INODE_NODATACOW, "nocow"],
];

/** Nanoseconds since 1970 of the btrfs_timespec at byte `at`. */
export function timeNs(view: DataView, at: number): bigint {
  const high = view.getInt32(at + 4, true);
  const nsec = btrfs_timespec.nsec(view, at);
  // Far from any real time bigints count.
  if (high < -4 || high > 3) return BigInt.asIntN(64, btrfs_timespec.sec(view, at)) * 1_000_000_000n + BigInt(nsec);
  return nanoseconds(high * 2 ** 32 + view.getUint32(at, true), nsec);
}

/**
 * Decodes an inode item.
 *
 * @param offset Where it lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeInodeItem(data: Uint8Array, ino: number, offset: number | undefined): InodeItem {
  const structure = item.$name;
  if (data.length < item.$size) {
    throw corrupt(`inode ${ino}: an item of ${data.length} bytes, expected ${item.$size}`, { structure, offset });
  }
  const view = viewOf(data);
  const mode = item.mode(view, 0);
  const type = FILE_TYPE_OF_MODE[mode >>> 12];
  if (type === undefined) {
    throw corrupt(`inode ${ino}: mode 0${mode.toString(8)} has no type`, {
      structure,
      field: "mode",
      offset: offset === undefined ? undefined : offset + item.$fields.mode.offset,
    });
  }
  const flags = item.flags(view, 0);
  const isVerity = hasBit(item.ro_flags(view, 0), INODE_RO_VERITY);
  const stat: Stat = {
    type,
    mode: mode & 0o7777,
    uid: item.uid(view, 0),
    gid: item.gid(view, 0),
    size: decodeAt(offset, () => item.size(view, 0)),
    nlink: item.nlink(view, 0),
    ino,
    rdev: type === "char" || type === "block" ? deviceNumber(item.rdev(view, 0)) : undefined,
    atimeNs: timeNs(view, item.$fields.atime.offset),
    mtimeNs: timeNs(view, item.$fields.mtime.offset),
    ctimeNs: timeNs(view, item.$fields.ctime.offset),
    crtimeNs: timeNs(view, item.$fields.otime.offset),
  };
  const names = (): readonly string[] => [
    ...FLAGS.filter(([bit]) => hasBit(flags, bit)).map(([, name]) => name),
    ...(isVerity ? ["verity"] : []),
  ];
  return { stat, flags: names, noDataSum: hasBit(flags, INODE_NODATASUM) };
}

/** The kernel's own dev_t: 12 bits of major number above 20 bits of minor. */
function deviceNumber(rdev: bigint): DeviceNumber {
  return { major: Number((rdev >> 20n) & 0xfffn), minor: Number(rdev & 0xfffffn) };
}
