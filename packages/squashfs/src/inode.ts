import type { DeviceNumber, FileType } from "@guestprobe/vfs";
import {
  squashfs_base_inode as base,
  SQUASHFS_BLKDEV_TYPE,
  SQUASHFS_CHRDEV_TYPE,
  SQUASHFS_DIR_TYPE,
  SQUASHFS_FIFO_TYPE,
  SQUASHFS_INVALID_FRAG,
  SQUASHFS_INVALID_XATTR,
  SQUASHFS_LDIR_TYPE,
  SQUASHFS_REG_TYPE,
  SQUASHFS_SOCKET_TYPE,
  SQUASHFS_SYMLINK_TYPE,
  squashfs_dev_inode,
  squashfs_dir_inode,
  squashfs_ipc_inode,
  squashfs_ldev_inode,
  squashfs_ldir_inode,
  squashfs_lipc_inode,
  squashfs_lreg_inode,
  squashfs_reg_inode,
  squashfs_symlink_inode,
} from "./layout.js";
import { corrupt } from "./place.js";

/** By the basic inode type, which is also what directory entries record. */
const FILE_TYPES: ReadonlyMap<number, FileType> = new Map([
  [SQUASHFS_DIR_TYPE, "dir"],
  [SQUASHFS_REG_TYPE, "file"],
  [SQUASHFS_SYMLINK_TYPE, "symlink"],
  [SQUASHFS_BLKDEV_TYPE, "block"],
  [SQUASHFS_CHRDEV_TYPE, "char"],
  [SQUASHFS_FIFO_TYPE, "fifo"],
  [SQUASHFS_SOCKET_TYPE, "socket"],
]);
const EXTENDED = SQUASHFS_LDIR_TYPE - SQUASHFS_DIR_TYPE;

export function fileTypeOf(basicType: number): FileType | undefined {
  return FILE_TYPES.get(basicType);
}

/** Bytes of the fixed part of an inode of this type; undefined for no type. */
export function inodeSize(type: number): number | undefined {
  const extended = type > EXTENDED;
  switch (FILE_TYPES.get(extended ? type - EXTENDED : type)) {
    case "dir":
      return extended ? squashfs_ldir_inode.$size : squashfs_dir_inode.$size;
    case "file":
      return extended ? squashfs_lreg_inode.$size : squashfs_reg_inode.$size;
    case "symlink":
      return squashfs_symlink_inode.$size;
    case "block":
    case "char":
      return extended ? squashfs_ldev_inode.$size : squashfs_dev_inode.$size;
    case "fifo":
    case "socket":
      return extended ? squashfs_lipc_inode.$size : squashfs_ipc_inode.$size;
    case undefined:
      return undefined;
  }
}

/** Where a directory's listing is, and its index. */
export interface DirectoryPart {
  /** Metadata block of the listing, in bytes from the start of the directory table. */
  readonly startBlock: number;
  readonly offset: number;
  /** Bytes of the listing itself. */
  readonly listingSize: number;
  readonly indexCount: number;
}

/** Where a file's content is. */
export interface FilePart {
  /** The first block: bytes from the start of the device. */
  readonly startBlock: number;
  /** The fragment that holds the tail; undefined where the last block holds it. */
  readonly fragment: number | undefined;
  /** Bytes into the fragment, decoded. */
  readonly fragmentOffset: number;
}

/** A directory's file_size counts "." and "..", which are not stored, as this many bytes. */
const DOTS = 3;

/**
 * The fixed part of an inode, which lies in a metadata block and is decoded as somebody asks: a walk makes one for each file
 * and looks at little of it. Owners are still indices.
 */
export class DecodedInode {
  readonly type: FileType;
  readonly isExtended: boolean;
  readonly ino: number;
  /** What the kernel shows as st_size. */
  readonly size: number;
  readonly #view: DataView;
  readonly #at: number;

  /** What `decodeInode` has checked: an inode at byte `at` of `view`. */
  constructor(type: FileType, isExtended: boolean, ino: number, size: number, view: DataView, at: number) {
    this.type = type;
    this.isExtended = isExtended;
    this.ino = ino;
    this.size = size;
    this.#view = view;
    this.#at = at;
  }

  get mode(): number {
    return base.mode(this.#view, this.#at) & 0o7777;
  }

  get uidIndex(): number {
    return base.uid(this.#view, this.#at);
  }

  get gidIndex(): number {
    return base.guid(this.#view, this.#at);
  }

  /** Seconds since 1970. */
  get mtime(): number {
    return base.mtime(this.#view, this.#at);
  }

  get nlink(): number {
    const [basic, extended] = LINKS[this.type];
    return (this.isExtended ? extended : basic)(this.#view, this.#at);
  }

  get rdev(): DeviceNumber | undefined {
    if (this.type !== "block" && this.type !== "char") return undefined;
    return deviceNumber(squashfs_dev_inode.rdev(this.#view, this.#at));
  }

  /** Index into the xattr id table. For an extended symlink it follows the target, and is not known yet. */
  get xattr(): number | undefined {
    if (!this.isExtended || this.type === "symlink") return undefined;
    const xattr = EXTENDED_LAYOUTS[this.type].xattr(this.#view, this.#at);
    return xattr === SQUASHFS_INVALID_XATTR ? undefined : xattr;
  }

  get directory(): DirectoryPart | undefined {
    if (this.type !== "dir") return undefined;
    const layout = this.isExtended ? squashfs_ldir_inode : squashfs_dir_inode;
    return {
      startBlock: layout.start_block(this.#view, this.#at),
      offset: layout.offset(this.#view, this.#at),
      listingSize: this.size - DOTS,
      indexCount: this.isExtended ? squashfs_ldir_inode.i_count(this.#view, this.#at) : 0,
    };
  }

  get file(): FilePart | undefined {
    if (this.type !== "file") return undefined;
    const layout = this.isExtended ? squashfs_lreg_inode : squashfs_reg_inode;
    const fragment = layout.fragment(this.#view, this.#at);
    return {
      startBlock: layout.start_block(this.#view, this.#at),
      fragment: fragment === SQUASHFS_INVALID_FRAG ? undefined : fragment,
      fragmentOffset: layout.offset(this.#view, this.#at),
    };
  }
}

type Links = (view: DataView, at: number) => number;

/** How many names an inode of the basic type has, and one of the extended type. */
const LINKS: Readonly<Record<FileType, readonly [basic: Links, extended: Links]>> = {
  dir: [squashfs_dir_inode.nlink, squashfs_ldir_inode.nlink],
  file: [() => 1, squashfs_lreg_inode.nlink],
  symlink: [squashfs_symlink_inode.nlink, squashfs_symlink_inode.nlink],
  block: [squashfs_dev_inode.nlink, squashfs_dev_inode.nlink],
  char: [squashfs_dev_inode.nlink, squashfs_dev_inode.nlink],
  fifo: [squashfs_ipc_inode.nlink, squashfs_ipc_inode.nlink],
  socket: [squashfs_ipc_inode.nlink, squashfs_ipc_inode.nlink],
};

const EXTENDED_LAYOUTS = {
  dir: squashfs_ldir_inode,
  file: squashfs_lreg_inode,
  block: squashfs_ldev_inode,
  char: squashfs_ldev_inode,
  fifo: squashfs_lipc_inode,
  socket: squashfs_lipc_inode,
};

/**
 * Checks and decodes the fixed part of an inode.
 *
 * @param view At least `inodeSize` bytes from `at`, which must not change.
 * @param offset The inode's metadata block, for errors: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeInode(view: DataView, at: number, offset: number): DecodedInode {
  const rawType = base.inode_type(view, at);
  const isExtended = rawType > EXTENDED;
  const type = FILE_TYPES.get(isExtended ? rawType - EXTENDED : rawType);
  if (type === undefined) {
    throw corrupt(base, "inode_type", offset, `inode type is ${rawType}, expected 1 to 14`);
  }
  const ino = base.inode_number(view, at);
  if (ino === 0) throw corrupt(base, "inode_number", offset, "inode number is 0");
  return new DecodedInode(type, isExtended, ino, sizeOf(type, isExtended, view, at, offset), view, at);
}

function sizeOf(type: FileType, isExtended: boolean, view: DataView, at: number, offset: number): number {
  if (type === "file") return fileSize(isExtended ? squashfs_lreg_inode : squashfs_reg_inode, view, at, offset);
  if (type === "symlink") return squashfs_symlink_inode.symlink_size(view, at);
  if (type !== "dir") return 0;
  const layout = isExtended ? squashfs_ldir_inode : squashfs_dir_inode;
  const size = layout.file_size(view, at);
  if (size >= DOTS) return size;
  throw corrupt(layout, "file_size", offset, `size of a directory is ${size}, expected at least ${DOTS}`);
}

function fileSize(
  layout: typeof squashfs_reg_inode | typeof squashfs_lreg_inode,
  view: DataView,
  at: number,
  offset: number,
): number {
  try {
    // Where the content begins is asked for later, and must be a number by then.
    layout.start_block(view, at);
    return layout.file_size(view, at);
  } catch {
    throw corrupt(layout, "file_size", offset, "file_size or start_block is 2^53 or more");
  }
}

/** Linux's 32-bit encoding: twelve bits of major number between eight and twelve bits of minor number. */
function deviceNumber(rdev: number): DeviceNumber {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xf_ff00) };
}
