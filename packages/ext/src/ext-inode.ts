import { ImageError, throwIfAborted } from "@guestprobe/block";
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
import { DirReader } from "./dir-reader.js";
import { extentsFrom, extentsNow, toExtents } from "./file-extents.js";
import { allRuns, type FileMap, fileMap } from "./file-map.js";
import { type InlinePart, inlineExtents, inlineParts, readInline } from "./inline-data.js";
import { type DecodedInode, inodeFlagNames } from "./inode.js";
import { EXT4_ENCRYPT_FL, EXT4_INLINE_DATA_FL, ext4_dir_entry_2, ext4_inode } from "./layout.js";
import { corrupt, failure, placeOf } from "./place.js";
import type { Volume } from "./volume.js";
import { readXattrs } from "./xattr-walk.js";

/** Most bytes of one `read`: beyond that an array would not be had anyway. */
const MAX_READ = 2 ** 31 - 1;

/** An inode of an open volume. What it learns about where its content lies it keeps, within bounds. */
export class ExtInode implements Inode {
  readonly #volume: Volume;
  readonly #inode: DecodedInode;
  readonly #inline: readonly InlinePart[] | undefined;
  #map: FileMap | undefined;
  #directory: DirReader | undefined;

  /** @throws ImageError `corrupt` for inline data that cannot be found. */
  constructor(volume: Volume, inode: DecodedInode) {
    this.#volume = volume;
    this.#inode = inode;
    this.#inline = (inode.flags & EXT4_INLINE_DATA_FL) !== 0 ? inlineParts(inode) : undefined;
  }

  get stat(): Stat {
    return this.#inode;
  }

  get offset(): number {
    return this.#inode.offset;
  }

  get flags(): readonly string[] {
    return inodeFlagNames(this.#inode.flags);
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    yield* this.#reader().entries(signal);
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<ExtInode | undefined> {
    throwIfAborted(signal);
    const found = await this.#reader().lookup(name, signal);
    return found === undefined ? undefined : this.#open(found.ino, found.ref, signal);
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<ExtInode> {
    throwIfAborted(signal);
    return this.#open(entry.ino, typeof entry.ref === "number" ? entry.ref : this.offset, signal);
  }

  childNow(entry: Dirent): ExtInode | undefined {
    const decoded = this.#volume.inodeNow(entry.ino);
    return decoded === undefined ? undefined : new ExtInode(this.#volume, decoded);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { stat } = this;
    const { block, isFastSymlink } = this.#inode;
    if (stat.type !== "symlink") throw failure("not-a-symlink", `inode ${stat.ino} is a ${stat.type}`, this.offset);
    this.#refuseEncrypted();
    // The kernel ends a target at its first NUL, and refuses one that does not leave room for it.
    const room = isFastSymlink ? block.length : this.#volume.sb.blockSize;
    if (stat.size === 0 || stat.size >= room) {
      const reason = `inode ${stat.ino}: a target of ${stat.size} bytes, expected 1 to ${room - 1}`;
      throw corrupt(ext4_inode, "i_size_lo", this.offset, reason);
    }
    const data = isFastSymlink ? block.subarray(0, stat.size) : await this.#content(0, stat.size, signal);
    const end = data.indexOf(0);
    return data.slice(0, end < 0 ? data.length : end);
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { stat } = this;
    if (stat.type === "dir") throw failure("is-a-directory", `inode ${stat.ino} is a directory`, this.offset);
    if (stat.type !== "file") {
      throw failure("invalid-argument", `inode ${stat.ino} is a ${stat.type}, which has no content`, this.offset);
    }
    const count = clampRead(stat.size, offset, length);
    if (count === 0) return new Uint8Array(0);
    this.#refuseEncrypted();
    if (count > MAX_READ) throw failure("limit", `a read of ${count} bytes at once`, this.offset);
    return this.#content(offset, count, signal, into);
  }

  readNow(offset: number, length: number, into: Uint8Array): Uint8Array | undefined {
    const isPlain = this.#inline === undefined && (this.#inode.flags & EXT4_ENCRYPT_FL) === 0;
    if (!isPlain || !isContentRange(this.stat, offset, length)) return undefined;
    const { device, sb } = this.#volume;
    const extents = extentsNow(this.#fileMap(), sb.blockSize, offset, length);
    return extents && readThroughExtentsNow(device, extents, offset, length, into);
  }

  get isCopied(): boolean {
    return this.#volume.device.readNow !== undefined;
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    throwIfAborted(signal);
    const { type, size } = this.stat;
    if (type !== "dir" && type !== "file" && type !== "symlink") return;
    if (size === 0) return;
    if (this.#inline !== undefined) {
      yield inlineExtents(this.#inline, size);
    } else if (this.#inode.isFastSymlink) {
      const physical = placeOf(ext4_inode, "i_block", this.offset).offset;
      yield [{ kind: "inline", logical: 0, length: size, physical }];
    } else {
      const { blockSize } = this.#volume.sb;
      const end = Math.ceil(size / blockSize);
      for await (const runs of allRuns(this.#volume, this.#inode, this.#fileMap(), end, signal)) {
        yield toExtents(runs, blockSize, 0, size);
      }
    }
  }

  async xattrs(signal?: AbortSignal): Promise<readonly Xattr[]> {
    throwIfAborted(signal);
    return readXattrs(this.#volume, this.#inode, signal);
  }

  #fileMap(): FileMap {
    this.#map ??= fileMap(this.#volume, this.#inode);
    return this.#map;
  }

  #reader(): DirReader {
    const { type, ino } = this.stat;
    if (type !== "dir") throw failure("not-a-directory", `inode ${ino} is a ${type}`, this.offset);
    this.#directory ??= new DirReader(this.#volume, this.#inode);
    return this.#directory;
  }

  async #content(
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    if (this.#inline !== undefined) return readInline(this.#inline, offset, length);
    const { device, sb } = this.#volume;
    const map = this.#fileMap();
    const extents =
      extentsNow(map, sb.blockSize, offset, length) ?? (await extentsFrom(map, sb.blockSize, offset, length, signal));
    return readThroughExtents(device, extents, offset, length, signal, into);
  }

  async #open(ino: number, entryAt: number, signal: AbortSignal | undefined): Promise<ExtInode> {
    const { sb } = this.#volume;
    if (ino < 1 || ino > sb.inodesCount) {
      throw corrupt(ext4_dir_entry_2, "inode", entryAt, `an entry names inode ${ino}, there are ${sb.inodesCount}`);
    }
    const decoded = await this.#volume.inode(ino, signal);
    if (decoded === undefined) {
      throw corrupt(ext4_dir_entry_2, "inode", entryAt, `an entry names inode ${ino}, which is not in use`);
    }
    return new ExtInode(this.#volume, decoded);
  }

  #refuseEncrypted(): void {
    if ((this.#inode.flags & EXT4_ENCRYPT_FL) === 0) return;
    const place = placeOf(ext4_inode, "i_flags", this.offset);
    throw new ImageError("encrypted", `inode ${this.stat.ino} is encrypted, and there is no key`, place);
  }
}
