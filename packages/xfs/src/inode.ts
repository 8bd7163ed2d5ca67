import { crc32cOfRecords, ImageError, isImageError, type RecordBlock, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  clampRead,
  type Dirent,
  type Extent,
  type Inode,
  isContentRange,
  readThroughExtents,
  readThroughExtentsNow,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import { readAttrs } from "./attr/read.js";
import { contentBlocks, contentDevice, contentExtents, contentExtentsNow, coveringExtents } from "./content.js";
import { checkPart, readBytes, type SelfDescription, whatIsForeign, type XfsContext } from "./context.js";
import { type Dinode, decodeDinode } from "./dinode.js";
import { listDirectory } from "./dir/directory.js";
import { lookupName } from "./dir/lookup.js";
import { inodeToByte } from "./geometry.js";
import {
  XFS_DIFLAG_APPEND,
  XFS_DIFLAG_IMMUTABLE,
  XFS_DIFLAG_NOATIME,
  XFS_DIFLAG_NODUMP,
  XFS_DIFLAG_PROJINHERIT,
  XFS_DIFLAG_REALTIME,
  XFS_DIFLAG_SYNC,
  XFS_DIFLAG2_DAX,
  XFS_DIFLAG2_METADATA,
  XFS_DIFLAG2_REFLINK,
} from "./layout/inode.js";
import type { Superblock } from "./superblock.js";
import { readSymlink } from "./symlink.js";

/** Most bytes of one read: past it the caller reads in pieces. */
const MAX_READ = 2 ** 30;

/**
 * Reads and checks an inode.
 *
 * @throws ImageError `not-found` for a number that the volume cannot have or that is not in use; `corrupt`, ...
 */
export async function loadInode(ctx: XfsContext, ino: number, signal: AbortSignal | undefined): Promise<Inode> {
  const at = inodeToByte(ctx.sb, ino);
  if (at === undefined) {
    throw new ImageError("not-found", `the volume has no inode ${ino}`, { format: "xfs", structure: "xfs_dinode" });
  }
  return openInode(ctx, ino, at, viewOf(await readBytes(ctx, at, ctx.sb.inodeSize, signal)), 0);
}

const DINODE: SelfDescription = { structure: "xfs_dinode", crc: 100, uuid: 160, owner: 152 };

const GAPS = [{ at: DINODE.crc, size: 4 }];

/**
 * Finds the CRC-32C of each inode in a block of them, not yet inverted, and whether all are sound: their sums match, and
 * each says that it is the one that lies there.
 *
 * @param first The number of the first inode, where the block is a run of inodes of one group.
 */
function checkInodes(sb: Superblock, block: RecordBlock, first: number): void {
  const { inodeSize } = sb;
  const { view } = block;
  const sums = new Int32Array(view.byteLength / inodeSize);
  const stored = new Int32Array(sums.length);
  for (let n = 0; n < sums.length; n += 1) {
    sums[n] = -1;
    stored[n] = ~view.getInt32(n * inodeSize + DINODE.crc, true);
  }
  const data = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const areSummed = crc32cOfRecords(data, inodeSize, GAPS, sums, stored);
  block.sums = sums;
  block.isSound = areSummed && areOurs(sb, block, first, sums.length);
}

/** Whether the inodes of a block have the numbers from `first` on, and the volume's UUID. */
function areOurs(sb: Superblock, { at, view }: RecordBlock, first: number, count: number): boolean {
  const isRun = inodeToByte(sb, first) === at && inodeToByte(sb, first + count - 1) === at + (count - 1) * sb.inodeSize;
  if (!isRun) return false;
  for (let n = 0; n < count; n += 1) {
    const place = at + n * sb.inodeSize;
    if (whatIsForeign(sb, view, n * sb.inodeSize, place, DINODE, first + n) !== undefined) return false;
  }
  return true;
}

/** The inode at byte `base` of `view`, which lies at byte `at` of the device; `block` once `checkInodes` was asked about it. */
function openInode(ctx: XfsContext, ino: number, at: number, view: DataView, base: number, block?: RecordBlock): Inode {
  const { inodeSize } = ctx.sb;
  const core = decodeDinode(ctx.sb, view, base, at, ino);
  if (block?.isSound !== true) checkPart(ctx, view, base, inodeSize, at, DINODE, ino, block?.sums?.[base / inodeSize]);
  return new XfsInode(ctx, core);
}

const FLAG_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [XFS_DIFLAG_REALTIME, "realtime"],
  [XFS_DIFLAG_IMMUTABLE, "immutable"],
  [XFS_DIFLAG_APPEND, "append-only"],
  [XFS_DIFLAG_SYNC, "sync"],
  [XFS_DIFLAG_NOATIME, "noatime"],
  [XFS_DIFLAG_NODUMP, "nodump"],
  [XFS_DIFLAG_PROJINHERIT, "project-inherit"],
];
const FLAG2_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [XFS_DIFLAG2_DAX, "dax"],
  [XFS_DIFLAG2_REFLINK, "reflink"],
  [XFS_DIFLAG2_METADATA, "metadata"],
];

class XfsInode implements Inode {
  readonly #ctx: XfsContext;
  readonly #core: Dinode;

  constructor(ctx: XfsContext, core: Dinode) {
    this.#ctx = ctx;
    this.#core = core;
  }

  get stat(): Stat {
    return this.#core;
  }

  get offset(): number {
    return this.#core.at;
  }

  get flags(): readonly string[] {
    const { flags, flags2 } = this.#core;
    return [
      ...FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0),
      ...FLAG2_NAMES.filter(([bit]) => (flags2 & bit) !== 0),
    ].map(([, name]) => name);
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[], void, undefined> {
    this.#checkDirectory(signal);
    for await (const entries of listDirectory(this.#ctx, this.#core, signal)) {
      if (entries.length > 0) yield entries;
    }
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<Inode | undefined> {
    this.#checkDirectory(signal);
    const entry = await lookupName(this.#ctx, this.#core, name, signal);
    return entry === undefined ? undefined : this.#childInode(entry.ino, signal);
  }

  child(entry: Dirent, signal?: AbortSignal): Promise<Inode> {
    return this.#childInode(entry.ino, signal);
  }

  childNow({ ino }: Dirent): Inode | undefined {
    const at = inodeToByte(this.#ctx.sb, ino);
    if (at === undefined) return undefined;
    const { inodeSize, version } = this.#ctx.sb;
    const block = this.#ctx.inodes.peek(at);
    if (block === undefined) return undefined;
    const base = at - block.at;
    if (version === 5 && this.#ctx.checksums !== "ignore" && block.sums === undefined) {
      checkInodes(this.#ctx.sb, block, ino - base / inodeSize);
    }
    try {
      return openInode(this.#ctx, ino, at, block.view, base, block);
    } catch (error) {
      throw this.#throughName(ino, error);
    }
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (this.stat.type !== "symlink") throw this.#refuse("not-a-symlink", "is not a symbolic link");
    return readSymlink(this.#ctx, this.#core, signal);
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (this.stat.type === "dir") throw this.#refuse("is-a-directory", "is a directory");
    if (this.stat.type !== "file") throw this.#refuse("invalid-argument", `is a ${this.stat.type}: it has no content`);
    const count = clampRead(this.stat.size, offset, length);
    if (count === 0) return new Uint8Array(0);
    if (count > MAX_READ) throw this.#refuse("limit", `${count} bytes in one read, ${MAX_READ} are allowed`);
    const device = contentDevice(this.#ctx, this.#core);
    const extents: Extent[] = [];
    for await (const batch of contentExtents(this.#ctx, this.#core, offset, offset + count, signal)) {
      extents.push(...batch);
    }
    return readThroughExtents(device, extents, offset, count, signal, into);
  }

  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    if (!isContentRange(this.stat, offset, length)) return undefined;
    const extents = contentExtentsNow(this.#ctx, this.#core, offset, offset + length);
    return extents && readThroughExtentsNow(this.#ctx.device, extents, offset, length, into);
  }

  get isCopied(): boolean {
    return contentBlocks(this.#ctx, this.#core);
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[], void, undefined> {
    throwIfAborted(signal);
    if (this.stat.type === "dir") throw this.#refuse("is-a-directory", "is a directory");
    if (this.stat.type !== "file") throw this.#refuse("invalid-argument", `is a ${this.stat.type}: it has no content`);
    yield* coveringExtents(this.#ctx, this.#core, signal);
  }

  async xattrs(signal?: AbortSignal): Promise<readonly Xattr[]> {
    throwIfAborted(signal);
    return readAttrs(this.#ctx, this.#core.attr, signal);
  }

  async #childInode(ino: number, signal: AbortSignal | undefined): Promise<Inode> {
    try {
      return await loadInode(this.#ctx, ino, signal);
    } catch (error) {
      throw this.#throughName(ino, error);
    }
  }

  /** By number a free inode is an answer; by name it is damage. */
  #throughName(ino: number, error: unknown): unknown {
    if (!isImageError(error, "not-found")) return error;
    return new ImageError("corrupt", `directory ${this.stat.ino} leads to inode ${ino}: ${error.reason}`, {
      format: "xfs",
      structure: "xfs_dir2_data_entry",
      field: "inumber",
      offset: error.offset ?? this.offset,
      cause: error,
    });
  }

  #checkDirectory(signal: AbortSignal | undefined): void {
    throwIfAborted(signal);
    if (this.stat.type !== "dir") throw this.#refuse("not-a-directory", "is not a directory");
  }

  #refuse(
    code: "not-a-directory" | "is-a-directory" | "not-a-symlink" | "invalid-argument" | "limit",
    reason: string,
  ): ImageError {
    return new ImageError(code, `inode ${this.stat.ino} ${reason}`, { format: "xfs", offset: this.offset });
  }
}
