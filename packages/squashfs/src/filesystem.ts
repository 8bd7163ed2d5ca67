import { type BlockDevice, finding, isImageError, readUpTo, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type Decompressor, loadDecoder } from "@guestprobe/codec";
import type { FileSystem, FileSystemFormat, OpenOptions } from "@guestprobe/vfs";
import { compressorOptions } from "./compressor.js";
import { TRUNCATED } from "./findings.js";
import { type DecodedInode, decodeInode, inodeSize } from "./inode.js";
import {
  squashfs_super_block as layout,
  SQUASHFS_COMP_OPT,
  SQUASHFS_METADATA_SIZE,
  SQUASHFS_SUPERBLOCK_SIZE,
  squashfs_base_inode,
} from "./layout.js";
import { corrupt, failure, placeOf } from "./place.js";
import { type InodeOpener, SquashInode, SquashStat } from "./squash-inode.js";
import { decodeSuperblock, flagNames, hasMagic, type MetadataPosition } from "./superblock.js";
import { readExport } from "./tables.js";
import { Volume } from "./volume.js";

/** Bytes of decoded blocks kept unless the caller says otherwise: metadata a quarter, file data the rest. */
const CACHE_BUDGET = 16 << 20;

export interface SquashfsOptions {
  /**
   * Where the blocks of large files are decoded: `workerDecompressor()` of "@guestprobe/codec/node" spreads them over
   * threads. Default: on the calling thread.
   */
  readonly decompressor?: Decompressor;
}

/** squashfs 4.0 whose large files are decoded as `options` say. */
export function squashfsWith(options: SquashfsOptions): FileSystemFormat {
  return {
    name: "squashfs",

    async probe(device, signal) {
      throwIfAborted(signal);
      try {
        return hasMagic(await readUpTo(device, 0, SQUASHFS_SUPERBLOCK_SIZE, signal));
      } catch (error) {
        if (!isImageError(error) || error.code === "aborted") throw error;
        return false;
      }
    },

    open: (device, openOptions = {}) => openVolume(device, openOptions, options.decompressor),
  };
}

/** squashfs 4.0, with all six compressors. */
export const squashfs: FileSystemFormat = squashfsWith({});

async function openVolume(
  device: BlockDevice,
  options: OpenOptions,
  decompressor: Decompressor | undefined,
): Promise<FileSystem> {
  const { cacheBudget = CACHE_BUDGET, report, signal } = options;
  throwIfAborted(signal);
  const sb = decodeSuperblock(await readUpTo(device, 0, layout.$size, signal));
  if (sb.bytesUsed > device.size) {
    const place = placeOf(layout, "bytes_used", layout.$fields.bytes_used.offset);
    report?.(finding(TRUNCATED, `the volume has ${sb.bytesUsed} bytes, the device ${device.size}`, place));
  }
  const decode = await loadDecoder(sb.compressor.codec);
  const volume = new Volume({ device, sb, decode, decompressor, cacheBudget, report });
  const compression = [sb.compressor.name, ...(await readOptions(volume, signal))];

  return {
    kind: "squashfs",
    label: new Uint8Array(0),
    uuid: undefined,
    blockSize: sb.blockSize,
    size: sb.bytesUsed,
    features: [compression.join(","), ...flagNames(sb.flags)],

    async root(rootSignal) {
      throwIfAborted(rootSignal);
      const root = await readInode(volume, sb.root, rootSignal);
      if (root.stat.type === "dir") return root;
      throw corrupt(layout, "root_inode", layout.$fields.root_inode.offset, `root inode is a ${root.stat.type}`);
    },

    async inode(ino, inodeSignal) {
      throwIfAborted(inodeSignal);
      if (!Number.isInteger(ino) || ino < 1 || ino > sb.inodes) {
        throw failure("not-found", `there is no inode ${ino}, only 1 to ${sb.inodes}`);
      }
      const position = (await readExport(device, volume.metadata, sb, ino, inodeSignal)) ?? undefined;
      if (position === undefined) return findInode(volume, ino, inodeSignal);
      const inode = await readInode(volume, position, inodeSignal);
      if (inode.stat.ino === ino) return inode;
      const reason = `the export table leads from inode ${ino} to inode ${inode.stat.ino}`;
      throw corrupt(squashfs_base_inode, "inode_number", position.block, reason);
    },
  };
}

/** The compressor options, if they are stored; damage to them matters only where Linux looks at them. */
async function readOptions(volume: Volume, signal: AbortSignal | undefined): Promise<string[]> {
  const { sb, metadata } = volume;
  if ((sb.flags & SQUASHFS_COMP_OPT) === 0) return [];
  const at = { block: layout.$size, offset: 0 };
  try {
    const { data } = await metadata.readSome(at, SQUASHFS_METADATA_SIZE, sb.inodeTable, signal);
    return compressorOptions(sb.compressor, data, at.block);
  } catch (error) {
    const matters = sb.compressor.name === "lz4" || sb.compressor.name === "xz";
    if (matters || !isImageError(error) || error.code === "aborted") throw error;
    return [];
  }
}

/** The fixed part of the inode at `position`, and where what follows it begins. */
async function readFixed(
  volume: Volume,
  position: MetadataPosition,
  signal: AbortSignal | undefined,
): Promise<{ readonly inode: DecodedInode; readonly rest: MetadataPosition }> {
  const { metadata, sb } = volume;
  const limit = sb.directoryTable;
  const head = (await metadata.read(position, 2, limit, signal)).data;
  const type = head[0]! | (head[1]! << 8);
  // For no type at all, what every inode has: the decoder then says what is wrong.
  const size = inodeSize(type) ?? squashfs_base_inode.$size;
  const { data, next } = await metadata.read(position, size, limit, signal);
  return { inode: decodeInode(viewOf(data), 0, position.block), rest: next };
}

async function readInode(
  volume: Volume,
  position: MetadataPosition,
  signal: AbortSignal | undefined,
): Promise<SquashInode> {
  const now = inodeNow(volume, position);
  if (now !== undefined) return now;
  const { inode, rest } = await readFixed(volume, position, signal);
  const uid = await volume.owner(inode.uidIndex, signal);
  const gid = await volume.owner(inode.gidIndex, signal);
  const at = volume.metadata.physical(position);
  const stat = new SquashStat(inode, uid, gid);
  return new SquashInode(volume, opener, inode, stat, position.block, at, rest.block, rest.offset);
}

/** As `readInode`, if all that it takes is in memory; undefined otherwise. */
function inodeNow(volume: Volume, position: MetadataPosition): SquashInode | undefined {
  const { block, offset } = position;
  const decoded = volume.metadata.peekBlock(block, volume.sb.directoryTable);
  if (decoded === undefined || offset + 2 > decoded.view.byteLength) return undefined;
  const size = inodeSize(decoded.view.getUint16(offset, true)) ?? squashfs_base_inode.$size;
  // The rest of it may lie in the next block.
  if (offset + size > decoded.view.byteLength) return undefined;
  const inode = decodeInode(decoded.view, offset, block);
  const uid = volume.knownOwner(inode.uidIndex);
  const gid = volume.knownOwner(inode.gidIndex);
  if (uid === undefined || gid === undefined) return undefined;
  const at = decoded.isCompressed ? undefined : block + 2 + offset;
  return new SquashInode(volume, opener, inode, new SquashStat(inode, uid, gid), block, at, block, offset + size);
}

const opener: InodeOpener = { open: readInode, openNow: inodeNow };

/** Without an export table: walks the inode table from its start, where inodes lie one after the other. */
async function findInode(volume: Volume, ino: number, signal: AbortSignal | undefined): Promise<SquashInode> {
  const { sb } = volume;
  let position: MetadataPosition = { block: sb.inodeTable, offset: 0 };
  for (let n = 0; n < sb.inodes; n += 1) {
    const { inode, rest } = await readFixed(volume, position, signal);
    if (inode.ino === ino) return readInode(volume, position, signal);
    position = await skipRest(volume, inode, rest, signal);
  }
  throw failure("not-found", `inode ${ino} is not in use`);
}

/** Past what follows the fixed part of an inode: a block list, a target, or the index of a directory. */
async function skipRest(
  volume: Volume,
  inode: DecodedInode,
  rest: MetadataPosition,
  signal: AbortSignal | undefined,
): Promise<MetadataPosition> {
  const { metadata, sb } = volume;
  let position = rest;
  const skip = async (length: number): Promise<void> => {
    for (let left = length; left > 0; ) {
      const { data, next } = await metadata.readSome(position, left, sb.directoryTable, signal);
      left -= data.length;
      position = next;
    }
  };
  if (inode.file !== undefined) {
    const blocks = inode.size / sb.blockSize;
    await skip(4 * (inode.file.fragment === undefined ? Math.ceil(blocks) : Math.floor(blocks)));
  } else if (inode.type === "symlink") {
    await skip(inode.size + (inode.isExtended ? 4 : 0));
  } else if (inode.directory !== undefined) {
    for (let n = 0; n < inode.directory.indexCount; n += 1) {
      const head = await metadata.read(position, 12, sb.directoryTable, signal);
      position = head.next;
      const size = viewOf(head.data).getUint32(8, true) + 1;
      if (size > SQUASHFS_METADATA_SIZE) throw failure("corrupt", `index name of ${size} bytes`, position.block);
      await skip(size);
    }
  }
  return position;
}
