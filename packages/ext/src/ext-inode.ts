import { finding, ImageError, throwIfAborted } from "@guestprobe/block";
import {
  clampRead,
  type Dirent,
  type Extent,
  type Inode,
  readThroughExtents,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import { type DirContext, exactly, linearBlocks, linearLookup } from "./dir-walk.js";
import { isDotName, isUsableName } from "./directory.js";
import { type FileMap, fileMap } from "./file-map.js";
import { BAD_NAME } from "./findings.js";
import { type DecodedInode, inodeFlagNames } from "./inode.js";
import { EXT4_ENCRYPT_FL, EXT4_INLINE_DATA_FL, ext4_dir_entry_2, ext4_inode } from "./layout.js";
import { corrupt, FORMAT, failure, placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** Most bytes of one `read`: beyond that an array would not be had anyway. */
const MAX_READ = 2 ** 31 - 1;

/** An inode of an open volume. */
export class ExtInode implements Inode {
  readonly stat: Stat;
  readonly offset: number;
  readonly flags: readonly string[];
  readonly #volume: Volume;
  readonly #inode: DecodedInode;
  #map: FileMap | undefined;

  constructor(volume: Volume, inode: DecodedInode) {
    this.#volume = volume;
    this.#inode = inode;
    this.stat = inode.stat;
    this.offset = inode.offset;
    this.flags = inodeFlagNames(inode.flags);
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    const { report } = this.#volume;
    let damage: ImageError | undefined;
    for await (const { entries, error } of this.#blocks(signal)) {
      damage ??= error;
      const batch: Dirent[] = [];
      for (const entry of entries) {
        if (isDotName(entry.name)) continue;
        if (!isUsableName(entry.name)) {
          report?.(
            finding(BAD_NAME, `directory ${this.stat.ino}`, placeOf(ext4_dir_entry_2, "name_len", entry.offset)),
          );
          continue;
        }
        batch.push({ name: entry.name, ino: entry.ino, type: entry.type, ref: entry.offset });
      }
      if (batch.length > 0) yield batch;
    }
    if (damage !== undefined) throw damage;
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<ExtInode | undefined> {
    throwIfAborted(signal);
    const found = await linearLookup(this.#blocks(signal), exactly(name));
    return found === undefined ? undefined : this.#open(found.ino, found.offset, signal);
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<ExtInode> {
    throwIfAborted(signal);
    return this.#open(entry.ino, typeof entry.ref === "number" ? entry.ref : undefined, signal);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { stat } = this;
    if (stat.type !== "symlink") throw failure("not-a-symlink", `inode ${stat.ino} is a ${stat.type}`, this.offset);
    this.#refuseEncrypted();
    if (stat.size === 0) throw this.#badSize("a link without a target");
    if (this.#inode.isFastSymlink) {
      if (stat.size >= this.#inode.block.length) throw this.#badSize("longer than the inode can hold");
      return untilNulCopy(this.#inode.block.subarray(0, stat.size));
    }
    if (stat.size >= Math.max(this.#volume.sb.blockSize, 4096)) throw this.#badSize("longer than a block");
    return untilNulCopy(await this.#content(0, stat.size, signal));
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { stat } = this;
    if (stat.type === "dir") throw failure("is-a-directory", `inode ${stat.ino} is a directory`, this.offset);
    if (stat.type !== "file" && stat.type !== "symlink") {
      throw failure("invalid-argument", `inode ${stat.ino} is a ${stat.type} and has no content`, this.offset);
    }
    if (stat.type === "symlink") return (await this.readLink(signal)).subarray(offset, offset + length);
    const count = clampRead(stat.size, offset, length);
    if (count === 0) return new Uint8Array(0);
    this.#refuseEncrypted();
    if (count > MAX_READ) throw failure("limit", `a read of ${count} bytes at once`, this.offset);
    return this.#content(offset, count, signal);
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    throwIfAborted(signal);
    const { stat } = this;
    if (stat.type === "dir" || stat.type === "file" || (stat.type === "symlink" && !this.#inode.isFastSymlink)) {
      for (let at = 0; at < stat.size; ) {
        const batch = await this.#extentsFrom(at, stat.size, signal);
        const last = batch[batch.length - 1]!;
        at = last.logical + last.length;
        yield batch;
      }
    }
  }

  async xattrs(signal?: AbortSignal): Promise<readonly Xattr[]> {
    throwIfAborted(signal);
    return [];
  }

  #fileMap(): FileMap {
    if ((this.#inode.flags & EXT4_INLINE_DATA_FL) !== 0) throw failure("unsupported", "inline data", this.offset);
    this.#map ??= fileMap(this.#volume, this.#inode);
    return this.#map;
  }

  #blocks(signal: AbortSignal | undefined) {
    if (this.stat.type !== "dir") {
      throw failure("not-a-directory", `inode ${this.stat.ino} is a ${this.stat.type}`, this.offset);
    }
    const dir: DirContext = { volume: this.#volume, inode: this.#inode, map: this.#fileMap() };
    return linearBlocks(dir, signal);
  }

  /** Extents from byte `at`, which begins a block or the range, to before `end`: as far as one node of the map tells. */
  async #extentsFrom(at: number, end: number, signal: AbortSignal | undefined): Promise<Extent[]> {
    const { blockSize } = this.#volume.sb;
    const first = Math.floor(at / blockSize);
    const runs = await this.#fileMap().runs(first, Math.ceil(end / blockSize), signal);
    return runs.map((run) => {
      const logical = Math.max(at, run.first * blockSize);
      const skipped = logical - run.first * blockSize;
      const kind = run.physical === undefined ? "hole" : run.unwritten ? "unwritten" : "data";
      return {
        kind,
        logical,
        length: Math.min(end, (run.first + run.count) * blockSize) - logical,
        physical: run.physical === undefined ? undefined : run.physical * blockSize + skipped,
      };
    });
  }

  async #content(offset: number, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const end = offset + length;
    const extents: Extent[] = [];
    for (let at = offset; at < end; ) {
      for (const extent of await this.#extentsFrom(at, end, signal)) {
        extents.push(extent);
        at = extent.logical + extent.length;
      }
    }
    return readThroughExtents(this.#volume.device, extents, offset, length, signal);
  }

  async #open(ino: number, direntOffset: number | undefined, signal: AbortSignal | undefined): Promise<ExtInode> {
    const { sb } = this.#volume;
    const at = direntOffset ?? this.offset;
    if (ino < 1 || ino > sb.inodesCount) {
      throw corrupt(ext4_dir_entry_2, "inode", at, `entry names inode ${ino}, there are ${sb.inodesCount}`);
    }
    const decoded = await this.#volume.inode(ino, signal);
    if (decoded === undefined) {
      throw corrupt(ext4_dir_entry_2, "inode", at, `entry names inode ${ino}, which is not in use`);
    }
    return new ExtInode(this.#volume, decoded);
  }

  #refuseEncrypted(): void {
    if ((this.#inode.flags & EXT4_ENCRYPT_FL) === 0) return;
    throw new ImageError("encrypted", `inode ${this.stat.ino} is encrypted, and there is no key`, {
      format: FORMAT,
      structure: ext4_inode.$name,
      offset: this.offset,
    });
  }

  #badSize(reason: string): ImageError {
    return corrupt(ext4_inode, "i_size_lo", this.offset, `inode ${this.stat.ino}: ${this.stat.size} bytes, ${reason}`);
  }
}

function untilNulCopy(data: Uint8Array): Uint8Array {
  const end = data.indexOf(0);
  return data.slice(0, end < 0 ? data.length : end);
}
