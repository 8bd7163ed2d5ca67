import { hasBit } from "@guestprobe/block";
import { type DeviceNumber, FILE_TYPE_OF_MODE, type FileType, nanoseconds, type Stat } from "@guestprobe/vfs";
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
import type { ItemBytes } from "./node.js";
import { corrupt, decodeAt } from "./place.js";

/** An inode item that was checked: what `stat` says, most of it decoded when it is asked for. */
export class InodeItem implements Stat {
  readonly type: FileType;
  readonly size: number;
  readonly ino: number;
  readonly #view: DataView;
  readonly #base: number;

  /** What `decodeInodeItem` has checked: an item at byte `base` of `view`. */
  constructor(ino: number, type: FileType, size: number, view: DataView, base: number) {
    this.type = type;
    this.size = size;
    this.ino = ino;
    this.#view = view;
    this.#base = base;
  }

  get mode(): number {
    return item.mode(this.#view, this.#base) & 0o7777;
  }

  get uid(): number {
    return item.uid(this.#view, this.#base);
  }

  get gid(): number {
    return item.gid(this.#view, this.#base);
  }

  get nlink(): number {
    return item.nlink(this.#view, this.#base);
  }

  get rdev(): DeviceNumber | undefined {
    if (this.type !== "char" && this.type !== "block") return undefined;
    return deviceNumber(item.rdev(this.#view, this.#base));
  }

  get atimeNs(): bigint {
    return timeNs(this.#view, this.#base + item.$fields.atime.offset);
  }

  get mtimeNs(): bigint {
    return timeNs(this.#view, this.#base + item.$fields.mtime.offset);
  }

  get ctimeNs(): bigint {
    return timeNs(this.#view, this.#base + item.$fields.ctime.offset);
  }

  get crtimeNs(): bigint {
    return timeNs(this.#view, this.#base + item.$fields.otime.offset);
  }

  /** As lsattr and chattr name them. */
  get flagNames(): readonly string[] {
    const flags = item.flags(this.#view, this.#base);
    const isVerity = hasBit(item.ro_flags(this.#view, this.#base), INODE_RO_VERITY);
    return [...FLAGS.filter(([bit]) => hasBit(flags, bit)).map(([, name]) => name), ...(isVerity ? ["verity"] : [])];
  }

  /** Whether the file's data has no checksums. */
  get noDataSum(): boolean {
    return hasBit(item.flags(this.#view, this.#base), INODE_NODATASUM);
  }
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
 * @throws ImageError `corrupt`.
 */
export function decodeInodeItem({ view, start, size, offset }: ItemBytes, ino: number): InodeItem {
  const structure = item.$name;
  if (size < item.$size) {
    throw corrupt(`inode ${ino}: an item of ${size} bytes, expected ${item.$size}`, { structure, offset });
  }
  const mode = item.mode(view, start);
  const type = FILE_TYPE_OF_MODE[mode >>> 12];
  if (type === undefined) {
    throw corrupt(`inode ${ino}: mode 0${mode.toString(8)} has no type`, {
      structure,
      field: "mode",
      offset: offset === undefined ? undefined : offset + item.$fields.mode.offset,
    });
  }
  return new InodeItem(ino, type, sizeOf(view, start, offset), view, start);
}

/** Its own function: only damage needs the place, and a closure for each inode takes longer than the field. */
function sizeOf(view: DataView, start: number, offset: number | undefined): number {
  try {
    return item.size(view, start);
  } catch (error) {
    return decodeAt(offset, () => {
      throw error;
    });
  }
}

/** The kernel's own dev_t: 12 bits of major number above 20 bits of minor. */
function deviceNumber(rdev: bigint): DeviceNumber {
  return { major: Number((rdev >> 20n) & 0xfffn), minor: Number(rdev & 0xfffffn) };
}
