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

/** The fixed part of an inode. Owners are still indices. */
export interface DecodedInode {
  readonly type: FileType;
  readonly isExtended: boolean;
  /** Bytes of the fixed part; what follows it depends on the type. */
  readonly fixedSize: number;
  readonly mode: number;
  readonly uidIndex: number;
  readonly gidIndex: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  readonly ino: number;
  readonly nlink: number;
  /** What the kernel shows as st_size. */
  readonly size: number;
  readonly rdev: DeviceNumber | undefined;
  /** Index into the xattr id table. For an extended symlink it follows the target, and is not known yet. */
  readonly xattr: number | undefined;
  readonly directory: DirectoryPart | undefined;
  readonly file: FilePart | undefined;
}

/** A directory's file_size counts "." and "..", which are not stored, as this many bytes. */
const DOTS = 3;

/**
 * Decodes the fixed part of an inode.
 *
 * @param view At least `inodeSize` bytes from `at`.
 * @param offset The inode's metadata block, for errors: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeInode(view: DataView, at: number, offset: number): DecodedInode {
  const rawType = base.inode_type(view, at);
  const isExtended = rawType > EXTENDED;
  const type = FILE_TYPES.get(isExtended ? rawType - EXTENDED : rawType);
  const fixedSize = inodeSize(rawType);
  if (type === undefined || fixedSize === undefined) {
    throw corrupt(base, "inode_type", offset, `inode type is ${rawType}, expected 1 to 14`);
  }
  const ino = base.inode_number(view, at);
  if (ino === 0) throw corrupt(base, "inode_number", offset, "inode number is 0");
  const rest = decodeRest(type, isExtended, view, at, offset);
  // Field by field: an object that is put together from parts takes ten times as long, and a walk makes one for each file.
  return {
    type,
    isExtended,
    fixedSize,
    mode: base.mode(view, at) & 0o7777,
    uidIndex: base.uid(view, at),
    gidIndex: base.guid(view, at),
    mtime: base.mtime(view, at),
    ino,
    nlink: rest.nlink,
    size: rest.size,
    rdev: rest.rdev,
    xattr: rest.xattr,
    directory: rest.directory,
    file: rest.file,
  };
}

type Rest = Pick<DecodedInode, "nlink" | "size" | "xattr"> & Partial<Pick<DecodedInode, "rdev" | "directory" | "file">>;

function decodeRest(type: FileType, isExtended: boolean, view: DataView, at: number, offset: number): Rest {
  switch (type) {
    case "dir":
      return decodeDirectory(isExtended, view, at, offset);
    case "file":
      return decodeFile(isExtended, view, at, offset);
    case "symlink":
      return {
        nlink: squashfs_symlink_inode.nlink(view, at),
        size: squashfs_symlink_inode.symlink_size(view, at),
        xattr: undefined,
      };
    case "block":
    case "char":
      return {
        nlink: squashfs_dev_inode.nlink(view, at),
        size: 0,
        rdev: deviceNumber(squashfs_dev_inode.rdev(view, at)),
        xattr: isExtended ? orNone(squashfs_ldev_inode.xattr(view, at)) : undefined,
      };
    case "fifo":
    case "socket":
      return {
        nlink: squashfs_ipc_inode.nlink(view, at),
        size: 0,
        xattr: isExtended ? orNone(squashfs_lipc_inode.xattr(view, at)) : undefined,
      };
  }
}

function decodeDirectory(isExtended: boolean, view: DataView, at: number, offset: number): Rest {
  const layout = isExtended ? squashfs_ldir_inode : squashfs_dir_inode;
  const size = layout.file_size(view, at);
  if (size < DOTS) {
    throw corrupt(layout, "file_size", offset, `size of a directory is ${size}, expected at least ${DOTS}`);
  }
  return {
    nlink: layout.nlink(view, at),
    size,
    xattr: isExtended ? orNone(squashfs_ldir_inode.xattr(view, at)) : undefined,
    directory: {
      startBlock: layout.start_block(view, at),
      offset: layout.offset(view, at),
      listingSize: size - DOTS,
      indexCount: isExtended ? squashfs_ldir_inode.i_count(view, at) : 0,
    },
  };
}

function decodeFile(isExtended: boolean, view: DataView, at: number, offset: number): Rest {
  const layout = isExtended ? squashfs_lreg_inode : squashfs_reg_inode;
  let size: number;
  let startBlock: number;
  try {
    size = layout.file_size(view, at);
    startBlock = layout.start_block(view, at);
  } catch {
    throw corrupt(layout, "file_size", offset, "file_size or start_block is 2^53 or more");
  }
  const fragment = layout.fragment(view, at);
  return {
    nlink: isExtended ? squashfs_lreg_inode.nlink(view, at) : 1,
    size,
    xattr: isExtended ? orNone(squashfs_lreg_inode.xattr(view, at)) : undefined,
    file: {
      startBlock,
      fragment: fragment === SQUASHFS_INVALID_FRAG ? undefined : fragment,
      fragmentOffset: layout.offset(view, at),
    },
  };
}

const orNone = (xattr: number): number | undefined => (xattr === SQUASHFS_INVALID_XATTR ? undefined : xattr);

/** Linux's 32-bit encoding: twelve bits of major number between eight and twelve bits of minor number. */
function deviceNumber(rdev: number): DeviceNumber {
  return { major: (rdev >>> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >>> 12) & 0xf_ff00) };
}
