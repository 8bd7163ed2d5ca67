import { compareBytes, finding, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  clampRead,
  type DeviceNumber,
  type Dirent,
  type Extent,
  type FileType,
  type Inode,
  isContentRange,
  nanoseconds,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import { decodeIndex, type IndexEntry, ListingDecoder, type SquashDirent, startOfSearch } from "./directory.js";
import { FileContent } from "./file-content.js";
import { BAD_NAME } from "./findings.js";
import type { DecodedInode, DirectoryPart } from "./inode.js";
import {
  SQUASHFS_INVALID_XATTR,
  SQUASHFS_METADATA_SIZE,
  squashfs_dir_entry,
  squashfs_symlink_inode,
} from "./layout.js";
import { corrupt, failure, placeOf } from "./place.js";
import type { MetadataPosition } from "./superblock.js";
import type { Volume } from "./volume.js";
import { readXattrs } from "./xattr.js";

/** Most bytes of one `read`: beyond that an array would not be had anyway. */
const MAX_READ = 2 ** 31 - 1;
/** Linux follows no link that is longer than a page. */
const TARGET_MAX = 65_536;

/** Reads the inode at a place in the inode table; given to inodes so that directories can lead on. */
export interface InodeOpener {
  open(volume: Volume, position: MetadataPosition, signal: AbortSignal | undefined): Promise<SquashInode>;
  /** Undefined where something that it takes is not in memory. */
  openNow(volume: Volume, position: MetadataPosition): SquashInode | undefined;
}

/** What `stat` says. There is one time, which Linux shows as all three. */
export class SquashStat implements Stat {
  readonly uid: number;
  readonly gid: number;
  readonly #inode: DecodedInode;

  constructor(inode: DecodedInode, uid: number, gid: number) {
    this.uid = uid;
    this.gid = gid;
    this.#inode = inode;
  }

  get type(): FileType {
    return this.#inode.type;
  }

  get mode(): number {
    return this.#inode.mode;
  }

  get size(): number {
    return this.#inode.size;
  }

  get nlink(): number {
    return this.#inode.nlink;
  }

  get ino(): number {
    return this.#inode.ino;
  }

  get rdev(): DeviceNumber | undefined {
    return this.#inode.rdev;
  }

  get atimeNs(): bigint {
    return nanoseconds(this.#inode.mtime, 0);
  }

  get mtimeNs(): bigint {
    return nanoseconds(this.#inode.mtime, 0);
  }

  get ctimeNs(): bigint {
    return nanoseconds(this.#inode.mtime, 0);
  }

  get crtimeNs(): undefined {
    return undefined;
  }
}

const NO_FLAGS: readonly string[] = [];

/** Whether a file can have this name. */
const isSound = (entry: SquashDirent): boolean => entry.isPossible && !entry.isDots;

/** An inode of an open volume. */
export class SquashInode implements Inode {
  readonly stat: Stat;
  readonly offset: number | undefined;
  readonly #volume: Volume;
  readonly #opener: InodeOpener;
  readonly #inode: DecodedInode;
  readonly #block: number;
  /** The byte after the fixed part, as a `MetadataPosition` has it: an object for each would be a tenth of what a walk makes. */
  readonly #restBlock: number;
  readonly #restOffset: number;
  #content: FileContent | undefined;
  #index: readonly IndexEntry[] | undefined;

  /**
   * @param block The metadata block that it lies in, and `at` where it lies itself: bytes from the start of the device.
   * @param restBlock The byte after the fixed part: its metadata block, and `restOffset` in that.
   */
  constructor(
    volume: Volume,
    opener: InodeOpener,
    inode: DecodedInode,
    stat: Stat,
    block: number,
    at: number | undefined,
    restBlock: number,
    restOffset: number,
  ) {
    this.#volume = volume;
    this.#opener = opener;
    this.#inode = inode;
    this.#block = block;
    this.#restBlock = restBlock;
    this.#restOffset = restOffset;
    this.stat = stat;
    this.offset = at;
  }

  get flags(): readonly string[] {
    return NO_FLAGS;
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    for await (const batch of this.#listing(0, this.#directory(), signal)) {
      // A copy only where there is something to leave out, which is hardly ever.
      const isWhole = batch.every(isSound);
      const usable = isWhole ? batch : batch.filter((entry) => this.#isUsable(entry));
      if (usable.length > 0) yield usable;
    }
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<SquashInode | undefined> {
    throwIfAborted(signal);
    const directory = this.#directory();
    const index = await this.#readIndex(directory, signal);
    const start = startOfSearch(index, name, directory.listingSize, this.#block);
    for await (const batch of this.#listing(start?.index ?? 0, directory, signal, start)) {
      for (const entry of batch) {
        if (entry.hasName(name))
          return this.#isUsable(entry) ? this.#opener.open(this.#volume, entry.ref, signal) : undefined;
      }
      // Names are in order, by the bytes.
      const last = batch[batch.length - 1];
      if (last !== undefined && compareBytes(last.name, name) > 0) return undefined;
    }
    return undefined;
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<SquashInode> {
    throwIfAborted(signal);
    return this.#opener.open(this.#volume, entry.ref as MetadataPosition, signal);
  }

  childNow(entry: Dirent): SquashInode | undefined {
    return this.#opener.openNow(this.#volume, entry.ref as MetadataPosition);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (this.stat.type !== "symlink") throw this.#wrongType("not-a-symlink");
    this.#checkTarget();
    const { metadata, sb } = this.#volume;
    return (await metadata.read(this.#rest, this.stat.size, sb.directoryTable, signal)).data.slice();
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { type, size } = this.stat;
    if (type === "dir") throw this.#wrongType("is-a-directory");
    if (type === "symlink") return (await this.readLink(signal)).subarray(offset, offset + length);
    if (type !== "file") throw this.#wrongType("invalid-argument");
    const count = clampRead(size, offset, length);
    if (count === 0) return new Uint8Array(0);
    if (count > MAX_READ) throw failure("limit", `a read of ${count} bytes at once`, this.#block);
    return this.#fileContent().read(offset, count, signal, into);
  }

  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    return isContentRange(this.stat, offset, length) ? this.#fileContent().readNow(offset, length, into) : undefined;
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    throwIfAborted(signal);
    if (this.stat.type === "file" && this.stat.size > 0) yield* this.#fileContent().extents(signal);
  }

  async xattrs(signal?: AbortSignal): Promise<readonly Xattr[]> {
    throwIfAborted(signal);
    const index = this.#inode.type === "symlink" ? await this.#symlinkXattr(signal) : this.#inode.xattr;
    return index === undefined ? [] : readXattrs(this.#volume, index, signal);
  }

  get #rest(): MetadataPosition {
    return { block: this.#restBlock, offset: this.#restOffset };
  }

  #fileContent(): FileContent {
    this.#content ??= new FileContent(this.#volume, this.#inode.file!, this.stat.size, this.#rest);
    return this.#content;
  }

  #directory(): DirectoryPart {
    const { directory } = this.#inode;
    if (directory === undefined) throw this.#wrongType("not-a-directory");
    return directory;
  }

  /** The entries from byte `at` of the listing, where a header is: at its start, or where an index entry says. */
  async *#listing(
    at: number,
    directory: DirectoryPart,
    signal: AbortSignal | undefined,
    from?: IndexEntry,
  ): AsyncGenerator<readonly SquashDirent[]> {
    const { metadata, sb, directoryLimit } = this.#volume;
    const decoder = new ListingDecoder(sb.inodeTable);
    let position: MetadataPosition = {
      block: sb.directoryTable + (from?.startBlock ?? directory.startBlock),
      offset: from === undefined ? directory.offset : (directory.offset + at) % SQUASHFS_METADATA_SIZE,
    };
    for (let left = directory.listingSize - at; left > 0; ) {
      const { data, next } = await metadata.readSome(position, left, directoryLimit, signal);
      const batch = decoder.push(data, position.block);
      if (batch.length > 0) yield batch;
      left -= data.length;
      position = next;
    }
    decoder.end(position.block);
  }

  async #readIndex(directory: DirectoryPart, signal: AbortSignal | undefined): Promise<readonly IndexEntry[]> {
    if (this.#index !== undefined) return this.#index;
    const { metadata, sb } = this.#volume;
    const index: IndexEntry[] = [];
    let position = this.#rest;
    let tail: Uint8Array = new Uint8Array(0);
    while (index.length < directory.indexCount) {
      const { data, next } = await metadata.readSome(position, SQUASHFS_METADATA_SIZE, sb.directoryTable, signal);
      const bytes = new Uint8Array(tail.length + data.length);
      bytes.set(tail);
      bytes.set(data, tail.length);
      const { entries, used } = decodeIndex(bytes, directory.indexCount - index.length, position.block);
      index.push(...entries);
      tail = bytes.subarray(used);
      position = next;
    }
    this.#index = index;
    return index;
  }

  #isUsable(entry: SquashDirent): boolean {
    if (isSound(entry)) return true;
    const place = placeOf(squashfs_dir_entry, "size", this.#block);
    this.#volume.report?.(finding(BAD_NAME, `directory ${this.stat.ino}`, place));
    return false;
  }

  #checkTarget(): void {
    const { size, ino } = this.stat;
    if (size > 0 && size <= TARGET_MAX) return;
    const reason = `inode ${ino}: target of ${size} bytes, expected 1 to ${TARGET_MAX}`;
    throw corrupt(squashfs_symlink_inode, "symlink_size", this.#block, reason);
  }

  /** An extended symlink has its attributes after the target. */
  async #symlinkXattr(signal: AbortSignal | undefined): Promise<number | undefined> {
    if (!this.#inode.isExtended) return undefined;
    this.#checkTarget();
    const { metadata, sb } = this.#volume;
    const { data } = await metadata.read(this.#rest, this.stat.size + 4, sb.directoryTable, signal);
    const index = viewOf(data).getUint32(this.stat.size, true);
    return index === SQUASHFS_INVALID_XATTR ? undefined : index;
  }

  #wrongType(code: "is-a-directory" | "not-a-directory" | "not-a-symlink" | "invalid-argument") {
    return failure(code, `inode ${this.stat.ino} is a ${this.stat.type}`, this.#block);
  }
}
