import type { BlockDevice, Report } from "@guestprobe/block";

/** What an inode is; the words of the command line's JSON. */
export type FileType = "file" | "dir" | "symlink" | "char" | "block" | "fifo" | "socket";

/** Major and minor number of a device node, as Linux splits them. */
export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/**
 * What `stat` says. Times are nanoseconds since 1970 UTC and may be negative. Readers may decode a field when it is asked
 * for: `plainStat` makes a copy that can be spread and kept.
 */
export interface Stat {
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes, as the kernel's st_size shows them. */
  readonly size: number;
  readonly nlink: number;
  readonly ino: number;
  /** Device nodes only. */
  readonly rdev: DeviceNumber | undefined;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Time of creation, where the format records it. */
  readonly crtimeNs: bigint | undefined;
}

/** One name in a directory. Readers leave out "." and "..". */
export interface Dirent {
  /** The bytes as they are stored; any encoding, never "/" or NUL. Readers may make the array when it is asked for. */
  readonly name: Uint8Array;
  readonly ino: number;
  /** The type that the directory records, if it does. The inode's own is what counts. */
  readonly type: FileType | undefined;
  /** What else its file system needs to find the inode; opaque to everyone else. */
  readonly ref?: unknown;
  /** Bytes of the name, where asking for it would make it. */
  readonly nameLength?: number;
  /** Copies the name to byte `at` of `target`, which must have room for it, without an array of its own; where it ends. */
  copyName?(target: Uint8Array, at: number): number;
}

/**
 * A run of a file. Runs are in file order, do not overlap, and end at or before the size of the file.
 *
 * - `data`: stored as it is.
 * - `hole`: nothing is stored; reads as zeros.
 * - `unwritten`: allocated, never written; reads as zeros.
 * - `inline`: stored inside metadata.
 * - `encoded`: stored compressed; `physicalLength` and `encoding` say how.
 */
export interface Extent {
  readonly kind: "data" | "hole" | "unwritten" | "inline" | "encoded";
  /** Bytes from the start of the file. */
  readonly logical: number;
  /** Bytes of the file. */
  readonly length: number;
  /** Bytes from the start of the device; undefined for holes, and for what is rebuilt since its device is missing. */
  readonly physical: number | undefined;
  /** Which device of a volume that has several; the first is 0. */
  readonly device?: number;
  /** Bytes on the device, where they differ from `length`. */
  readonly physicalLength?: number;
  /** "zlib", "lzo", "zstd", ... */
  readonly encoding?: string;
}

/** An extended attribute, its name with the namespace in front: "user.comment", "security.selinux". */
export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** An inode that was read and checked. Methods that do not fit its type reject with the error named for each. */
export interface Inode {
  readonly stat: Stat;
  /** Where inode numbers are unique only within a subvolume (btrfs), its id. */
  readonly subvolume?: number | undefined;
  /**
   * Only on a directory that Linux shows empty where the disk names another one (btrfs: a subvolume inside the source of a
   * snapshot): that other one, if it still is there. Placeholders share one inode number.
   */
  standsFor?(signal?: AbortSignal): Promise<Inode | undefined>;
  /** Where its on-disk structure lies: bytes from the start of the device. Undefined where it lies compressed. */
  readonly offset: number | undefined;
  /** What else is set on it, as chattr and lsattr name it: "encrypted", "casefold", "verity", "immutable". */
  readonly flags: readonly string[];

  /**
   * The names of a directory, a block's worth at a time, in the order of the disk.
   *
   * @throws ImageError `not-a-directory`; `corrupt` after the sound entries before the damage were given.
   */
  entries(signal?: AbortSignal): AsyncIterable<readonly Dirent[]>;
  /**
   * The inode of one name, as the kernel would match it; undefined if there is none.
   *
   * @throws ImageError `not-a-directory`.
   */
  lookup(name: Uint8Array, signal?: AbortSignal): Promise<Inode | undefined>;
  /** The inode of an entry that `entries` of this directory gave. */
  child(entry: Dirent, signal?: AbortSignal): Promise<Inode>;
  /**
   * The same if all that it takes is in memory now: a walk over many files waits once for each block, not for each
   * file. Undefined is no answer: ask `child`. Throws what `child` rejects with.
   */
  childNow?(entry: Dirent): Inode | undefined;

  /** @throws ImageError `not-a-symlink`. */
  readLink(signal?: AbortSignal): Promise<Uint8Array>;

  /**
   * `length` bytes from byte `offset`; fewer at the end of the file, none past it.
   *
   * @param into Memory of `length` bytes to spare, as in `BlockDevice.read`.
   * @throws ImageError `is-a-directory`, `encrypted`, `invalid-argument` for what has no content.
   */
  read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array>;
  /**
   * As `read` into this memory, if nothing has to be waited for; undefined is no answer: ask `read`. Throws what `read`
   * rejects with.
   */
  readNow?(offset: number, length: number, into: Uint8Array): Uint8Array | undefined;
  /**
   * Whether the content that was read last was only copied, from a device that blocks: to read ahead then gains nothing, and
   * what the processor still held is lost for it. Undefined where that is not known.
   */
  readonly isCopied?: boolean;
  /** Where the content lies, holes included, so that the runs cover the file from 0 to its size. */
  extents(signal?: AbortSignal): AsyncIterable<readonly Extent[]>;

  xattrs(signal?: AbortSignal): Promise<readonly Xattr[]>;
}

/** An open file system. It owns no resource but memory: the device below is the caller's to close. */
export interface FileSystem {
  /** "ext2", "ext3", "ext4", "xfs", "btrfs", "squashfs", "vfat", "iso9660": as blkid and the kernel name it. */
  readonly kind: string;
  /** The bytes of the label; empty where there is none. */
  readonly label: Uint8Array;
  /** As blkid prints it; undefined where the format or the volume has none. */
  readonly uuid: string | undefined;
  /** Bytes. */
  readonly blockSize: number;
  /** Bytes that the file system says it covers; may be less or, when cut, more than its device has. */
  readonly size: number;
  /** Names of the features that are set, as the format's own tools print them. */
  readonly features: readonly string[];
  root(signal?: AbortSignal): Promise<Inode>;
  /**
   * An inode by its number, whether or not a name leads to it.
   *
   * @throws ImageError `not-found` for a number that the volume cannot have, or that is not in use.
   */
  inode(ino: number, signal?: AbortSignal): Promise<Inode>;
}

/** How much a stored checksum that does not match matters. */
export type ChecksumPolicy = "require" | "report" | "ignore";

/** Options that every reader understands; one reads past those that mean nothing to it. */
export interface OpenOptions {
  /** Default `report`: GRUB verifies almost none, so a volume with a bad one may still boot. */
  readonly checksums?: ChecksumPolicy;
  /** Whether file data is held against its checksums, where the format has any. Default false. */
  readonly verify?: boolean;
  /** Default `ignore`, GRUB's view. `replay` shows the volume as Linux would after recovery, in memory. */
  readonly journal?: "ignore" | "replay";
  /** btrfs: which subvolume is the root: "top" (default), "default", an id, or a path. */
  readonly subvol?: string;
  /** XFS: the realtime device. */
  readonly realtime?: BlockDevice;
  /** Other devices that may be members of the same volume. */
  readonly members?: readonly BlockDevice[];
  /** Bytes of metadata and of decoded data that the reader may keep. */
  readonly cacheBudget?: number;
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** A file-system format: how to recognise it and how to open it. */
export interface FileSystemFormat {
  readonly name: string;
  /** Looks at the magic alone: one small read, never throws but for `aborted`. */
  probe(device: BlockDevice, signal?: AbortSignal): Promise<boolean>;
  /**
   * Looks where a copy of the superblock would be. Asked only when no format knows the device by its first one.
   */
  probeBackup?(device: BlockDevice, signal?: AbortSignal): Promise<boolean>;
  /**
   * @throws ImageError `not-this-format` when the magic does not match; `corrupt`, `bad-checksum`, `unsupported`,
   * `past-end`, `io` when it does and something else is wrong.
   */
  open(device: BlockDevice, options?: OpenOptions): Promise<FileSystem>;
}
