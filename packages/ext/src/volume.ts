import {
  type BlockDevice,
  finding,
  ImageError,
  isImageError,
  LruCache,
  ReadAhead,
  RecordCache,
  RecordTable,
  type Report,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import type { ChecksumSink } from "./checksum.js";
import { BACKUP_DESCRIPTOR } from "./findings.js";
import { decodeGroupDesc, descriptorBlock, descriptorCopies, type GroupDesc } from "./group-desc.js";
import { type DecodedInode, decodeInode, isInodeUsed, sumInodes } from "./inode.js";
import { ext4_super_block } from "./layout.js";
import { placeOf } from "./place.js";
import type { Superblock } from "./superblock.js";

/** Group descriptors kept: about 100 bytes each. */
const KEPT_GROUPS = 16384;

interface Group {
  readonly desc: GroupDesc;
  /** Its inodes, once one of them was looked for in memory. */
  table: RecordTable | undefined;
}

/** What every walker of an open volume needs: its device, its superblock, and the way to blocks and inodes. */
export class Volume implements ChecksumSink {
  readonly device: BlockDevice;
  /** For what a walk passes by. */
  readonly once: ReadAhead;
  readonly sb: Superblock;
  readonly checksums: ChecksumPolicy;
  readonly report: Report | undefined;
  readonly #groups = new LruCache<number, Group>(KEPT_GROUPS);
  readonly #inodes: RecordCache;
  /** Whether inodes have checksums that are looked at. */
  readonly #isSummed: boolean;

  /** @param cacheBudget Bytes of inodes that are kept. */
  constructor(device: BlockDevice, sb: Superblock, sink: ChecksumSink, cacheBudget?: number) {
    this.device = device;
    this.sb = sb;
    this.#inodes = new RecordCache(device, cacheBudget);
    this.once = new ReadAhead(device);
    this.#isSummed = sb.csumSeed !== undefined && sink.checksums !== "ignore";
    this.checksums = sink.checksums;
    this.report = sink.report;
  }

  /** Bytes of the device; from memory, without a turn of the event loop, where they are there. */
  peek(offset: number, length: number): Uint8Array | undefined {
    return this.device.peek?.(offset, length);
  }

  /** @throws ImageError `past-end` in an image cut short, `io`, `aborted`. */
  async readBlock(block: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { blockSize } = this.sb;
    return this.peek(block * blockSize, blockSize) ?? this.device.read(block * blockSize, blockSize, signal);
  }

  /** @throws ImageError `corrupt`, `bad-checksum`, `past-end`. */
  async group(group: number, signal: AbortSignal | undefined): Promise<GroupDesc> {
    const known = this.#groups.get(group);
    if (known !== undefined) return known.desc;
    const desc = await this.#readGroup(group, signal);
    this.#groups.set(group, { desc, table: undefined });
    return desc;
  }

  async #readGroup(group: number, signal: AbortSignal | undefined): Promise<GroupDesc> {
    const { sb } = this;
    const perBlock = sb.blockSize / sb.descSize;
    const index = Math.floor(group / perBlock);
    const offsetIn = (block: number): number => block * sb.blockSize + (group % perBlock) * sb.descSize;
    const offset = offsetIn(descriptorBlock(sb, Math.floor(sb.offset / sb.blockSize), index));
    try {
      const data = this.peek(offset, sb.descSize) ?? (await this.device.read(offset, sb.descSize, signal));
      return decodeGroupDesc(sb, group, data, offset, this);
    } catch (error) {
      if (!isImageError(error, "corrupt")) throw error;
      for (const block of descriptorCopies(sb, index)) {
        const copy = await this.#soundCopy(group, offsetIn(block), signal);
        if (copy === undefined) continue;
        const { format, structure, field } = error;
        const message = `${error.reason}; the copy at byte ${copy.offset} is used`;
        this.report?.(finding(BACKUP_DESCRIPTOR, message, { format, structure, field, offset: error.offset }));
        return copy;
      }
      throw error;
    }
  }

  /** A copy of a descriptor, if it can be read and nothing is wrong with it. */
  async #soundCopy(group: number, offset: number, signal: AbortSignal | undefined): Promise<GroupDesc | undefined> {
    const { sb } = this;
    try {
      const data = await this.device.read(offset, sb.descSize, signal);
      return decodeGroupDesc(sb, group, data, offset, { checksums: "require", report: undefined });
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      return undefined;
    }
  }

  /** Where an inode lies: bytes from the start of the device. */
  async inodeOffset(ino: number, signal: AbortSignal | undefined): Promise<number> {
    const { sb } = this;
    if (!Number.isInteger(ino) || ino < 1 || ino > sb.inodesCount) {
      const place = placeOf(ext4_super_block, "s_inodes_count", sb.offset);
      throw new ImageError("not-found", `there is no inode ${ino}, only 1 to ${sb.inodesCount}`, place);
    }
    const { inodeTable } = await this.group(Math.floor((ino - 1) / sb.inodesPerGroup), signal);
    return inodeTable * sb.blockSize + ((ino - 1) % sb.inodesPerGroup) * sb.inodeSize;
  }

  /**
   * An inode; undefined when it is not in use.
   *
   * @throws ImageError `not-found` for a number that the volume cannot have, `corrupt`, `bad-checksum`, `past-end`.
   */
  async inode(ino: number, signal: AbortSignal | undefined): Promise<DecodedInode | undefined> {
    const offset = await this.inodeOffset(ino, signal);
    const { inodeSize } = this.sb;
    const data = this.peek(offset, inodeSize) ?? (await this.device.read(offset, inodeSize, signal));
    return decodeInode(this.sb, ino, viewOf(data), 0, offset, this);
  }

  /** As `inode`, where all that it takes is in memory; undefined otherwise, and for one that is not in use. */
  inodeNow(ino: number): DecodedInode | undefined {
    const { inodesPerGroup, inodeSize, inodesCount, blockSize } = this.sb;
    if (ino < 1 || ino > inodesCount) return undefined;
    const index = (ino - 1) % inodesPerGroup;
    const group = this.#groups.get((ino - 1 - index) / inodesPerGroup);
    if (group === undefined) return undefined;
    const start = group.desc.inodeTable * blockSize;
    group.table ??= new RecordTable(this.device, this.#inodes, {
      size: inodeSize,
      unit: blockSize,
      start,
      end: start + inodesPerGroup * inodeSize,
      isUsed: isInodeUsed,
    });
    const offset = start + index * inodeSize;
    const block = group.table.peek(offset);
    if (block === undefined) return undefined;
    const base = offset - block.at;
    if (this.#isSummed && block.sums === undefined) sumInodes(this.sb, ino - base / inodeSize, block);
    return decodeInode(this.sb, ino, block.view, base, offset, this, block);
  }
}
