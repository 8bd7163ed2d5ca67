import { finding, type ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { Dirent } from "@guestprobe/vfs";
import { type NameRules, nameRules } from "./dir-names.js";
import { type DirContext, direntForm, linearBlocks, linearLookup, type Read } from "./dir-walk.js";
import type { DirBlock, RawDirent } from "./directory.js";
import { COMPAT } from "./features.js";
import { type FileMap, fileMap } from "./file-map.js";
import { BAD_NAME } from "./findings.js";
import { indexLookup } from "./htree-lookup.js";
import { inlineDirBlocks, inlineParts } from "./inline-data.js";
import type { DecodedInode } from "./inode.js";
import { dx_root, EXT4_ENCRYPT_FL, EXT4_INDEX_FL, EXT4_INLINE_DATA_FL, ext4_dir_entry_2 } from "./layout.js";
import { placeOf } from "./place.js";
import type { Volume } from "./volume.js";

/** A directory, wherever its entries lie. */
export class DirReader {
  readonly #volume: Volume;
  readonly #inode: DecodedInode;
  readonly #isInline: boolean;
  readonly #isIndexed: boolean;
  #map: FileMap | undefined;
  #rules: NameRules | undefined;

  constructor(volume: Volume, inode: DecodedInode) {
    this.#volume = volume;
    this.#inode = inode;
    this.#isInline = (inode.flags & EXT4_INLINE_DATA_FL) !== 0;
    const hasIndex = (volume.sb.compat & COMPAT.dir_index) !== 0 && (inode.flags & EXT4_INDEX_FL) !== 0;
    this.#isIndexed = hasIndex && !this.#isInline;
  }

  /**
   * The entries but "." and "..", by blocks. One whose name no path can hold is reported and left out.
   *
   * @throws ImageError The first that was met, after all that is sound was given.
   */
  async *entries(signal: AbortSignal | undefined): AsyncGenerator<readonly Dirent[]> {
    const rules = await this.#nameRules(signal);
    let damage: ImageError | undefined;
    const read: Read = (offset, length) => this.#volume.once.read(offset, length, signal);
    for await (const { entries, error } of this.#blocks(read, signal)) {
      damage ??= error;
      const batch: Dirent[] = [];
      for (const entry of entries) {
        if (entry.isDots) continue;
        const shown = rules.shown(entry);
        if (shown === undefined) this.#reportName(entry);
        else batch.push(shown);
      }
      if (batch.length > 0) yield batch;
    }
    if (damage !== undefined) throw damage;
  }

  /** The entry of a name; undefined when there is none. */
  async lookup(name: Uint8Array, signal: AbortSignal | undefined): Promise<RawDirent | undefined> {
    const query = (await this.#nameRules(signal)).query(name);
    if (this.#isIndexed) {
      const { entry, isCertain } = await indexLookup(this.#context(), query, signal);
      if (entry !== undefined || isCertain) return entry;
    }
    const read: Read = (offset, length) => this.#volume.device.read(offset, length, signal);
    return linearLookup(this.#blocks(read, signal), query);
  }

  #context(): DirContext {
    this.#map ??= fileMap(this.#volume, this.#inode);
    return { volume: this.#volume, inode: this.#inode, map: this.#map };
  }

  #blocks(read: Read, signal: AbortSignal | undefined): AsyncIterable<DirBlock> | Iterable<DirBlock> {
    if (!this.#isInline) return linearBlocks(this.#context(), read, signal);
    return inlineDirBlocks(inlineParts(this.#inode), direntForm(this.#volume, this.#inode));
  }

  async #nameRules(signal: AbortSignal | undefined): Promise<NameRules> {
    this.#rules ??= nameRules(this.#volume.sb, this.#inode, await this.#hashVersion(signal));
    return this.#rules;
  }

  /** Which hash the kernel shows in encrypted names: that of the index, if there is one. */
  async #hashVersion(signal: AbortSignal | undefined): Promise<number> {
    const { sb } = this.#volume;
    if (!this.#isIndexed || (this.#inode.flags & EXT4_ENCRYPT_FL) === 0) return sb.defHashVersion;
    const run = (await this.#context().map.runs(0, 1, signal))[0];
    if (run?.physical === undefined) return sb.defHashVersion;
    return dx_root.hash_version(viewOf(await this.#volume.readBlock(run.physical, signal)), 0);
  }

  #reportName(entry: RawDirent): void {
    const place = placeOf(ext4_dir_entry_2, "name_len", entry.ref);
    const message = `an entry of directory ${this.#inode.ino} for inode ${entry.ino}`;
    this.#volume.report?.(finding(BAD_NAME, message, place));
  }
}
