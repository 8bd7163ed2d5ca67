import { type BlockDevice, crc32cRaw, ImageError, mappedDevice, type Run } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { lazyDevice } from "../lazy.js";
import { findLeaf, type LeafRange, type NodeReader, nodeReader } from "./btree.js";
import {
  MAPPING_TIME_BITS,
  SUPERBLOCK_CSUM_XOR,
  THIN_METADATA_BLOCK_SIZE,
  THIN_SUPERBLOCK_MAGIC,
  thin_disk_superblock,
} from "./layout.js";

/** The superblock of a pool's metadata, checked by itself. */
export interface ThinSuperblock {
  /** Block of the tree that has a tree of mappings for each device. */
  readonly dataMappingRoot: number;
  /** Bytes of a data block. */
  readonly dataBlockSize: number;
}

/** A thin pool, opened once for all its volumes. */
export interface ThinPool {
  /** Bytes of a data block. */
  readonly blockSize: number;
  readonly data: BlockDevice;
  readonly reader: NodeReader;
  readonly dataMappingRoot: number;
}

/** Runs that one step of a read looks up. */
const MAX_RUNS = 256;
const TIME = 2 ** MAPPING_TIME_BITS;
const TWO_32 = 0x1_0000_0000;

/**
 * @param data Block 0 of the metadata.
 * @throws ImageError `corrupt`, `bad-checksum`, `unsupported`.
 */
export function decodeThinSuperblock(data: Uint8Array): ThinSuperblock {
  const view = viewOf(data);
  const place = (field: keyof typeof thin_disk_superblock.$fields) => ({
    format: "thin",
    structure: "thin_disk_superblock",
    field,
    offset: thin_disk_superblock.$fields[field].offset,
  });
  if (view.getBigUint64(thin_disk_superblock.$fields.magic.offset, true) !== BigInt(THIN_SUPERBLOCK_MAGIC)) {
    throw new ImageError("corrupt", "the metadata of a thin pool do not begin with their magic", place("magic"));
  }
  const stored = thin_disk_superblock.csum(view, 0);
  const computed = (crc32cRaw(data.subarray(4), 0xffff_ffff) ^ SUPERBLOCK_CSUM_XOR) >>> 0;
  if (stored !== computed) {
    const reason = `the superblock's checksum is 0x${stored.toString(16)}, its bytes give 0x${computed.toString(16)}`;
    throw new ImageError("bad-checksum", reason, place("csum"));
  }
  const version = thin_disk_superblock.version(view, 0);
  if (version < 1 || version > 2) {
    throw new ImageError("unsupported", `version ${version} of a thin pool's metadata`, place("version"));
  }
  const flags = thin_disk_superblock.incompat_flags(view, 0);
  if (flags !== 0) {
    throw new ImageError("unsupported", `a thin pool with features 0x${flags.toString(16)}`, place("incompat_flags"));
  }
  const blockSize = thin_disk_superblock.metadata_block_size(view, 0) * 512;
  if (blockSize !== THIN_METADATA_BLOCK_SIZE) {
    throw new ImageError("corrupt", `metadata blocks of ${blockSize} bytes`, place("metadata_block_size"));
  }
  const dataBlockSize = thin_disk_superblock.data_block_size(view, 0) * 512;
  // 64 KiB to 1 GiB, in steps of 64 KiB. Linux, drivers/md/dm-thin.c, pool_ctr.
  if (dataBlockSize < 64 << 10 || dataBlockSize > 2 ** 30 || dataBlockSize % (64 << 10) !== 0) {
    throw new ImageError("corrupt", `data blocks of ${dataBlockSize} bytes`, place("data_block_size"));
  }
  return { dataMappingRoot: thin_disk_superblock.data_mapping_root(view, 0), dataBlockSize };
}

/** @throws ImageError `corrupt`, `bad-checksum`, `unsupported`, `past-end`, `io`. */
export async function openThinPool(metadata: BlockDevice, data: BlockDevice, signal?: AbortSignal): Promise<ThinPool> {
  const { dataMappingRoot, dataBlockSize } = decodeThinSuperblock(
    await metadata.read(0, THIN_METADATA_BLOCK_SIZE, signal),
  );
  return { blockSize: dataBlockSize, data, reader: nodeReader(metadata), dataMappingRoot };
}

/**
 * A volume of a thin pool. What was never written is its external origin's, or reads as zeros.
 *
 * @param size Bytes.
 * @param open The pool; shared by all its volumes.
 */
export function thinDevice(
  size: number,
  deviceId: number,
  open: (signal?: AbortSignal) => Promise<ThinPool>,
  externalOrigin: BlockDevice | undefined,
): BlockDevice {
  return lazyDevice(size, async (signal) => {
    const pool = await open(signal);
    const top = await findLeaf(pool.reader, pool.dataMappingRoot, deviceId, signal);
    const entry = top.entries.find(({ key }) => key === deviceId);
    if (entry === undefined) {
      const place = { format: "thin", structure: "thin_disk_superblock", field: "data_mapping_root" };
      throw new ImageError("corrupt", `the pool knows no device ${deviceId}`, place);
    }
    const root = entry.high * TWO_32 + entry.low;
    let leaf: LeafRange | undefined;
    let from = 0;
    return mappedDevice({
      size,
      async locate(offset, length, inner) {
        const first = Math.floor(offset / pool.blockSize);
        if (leaf === undefined || first < from || first >= leaf.end) {
          leaf = await findLeaf(pool.reader, root, first, inner);
          from = first;
        }
        return runsOf(leaf, pool, externalOrigin, offset, length);
      },
    });
  });
}

/** The runs of a range as far as one leaf of the mappings knows. */
function runsOf(
  leaf: LeafRange,
  pool: ThinPool,
  origin: BlockDevice | undefined,
  offset: number,
  length: number,
): readonly Run[] {
  const { blockSize, data } = pool;
  const runs: Run[] = [];
  let at = offset;
  let index = leaf.entries.findIndex(({ key }) => key >= Math.floor(offset / blockSize));
  if (index < 0) index = leaf.entries.length;
  while (at < offset + length && runs.length < MAX_RUNS) {
    const block = Math.floor(at / blockSize);
    if (block >= leaf.end) break;
    const entry = leaf.entries[index];
    const left = offset + length - at;
    if (entry?.key === block) {
      const inside = at - block * blockSize;
      const take = Math.min(blockSize - inside, left);
      // 64 bits, of which the low 24 are the time.
      const stored = Math.floor(entry.low / TIME) + entry.high * (TWO_32 / TIME);
      runs.push(storedRun(data, stored * blockSize + inside, take, block));
      at += take;
      index += 1;
    } else {
      const next = Math.min(entry?.key ?? leaf.end, leaf.end) * blockSize;
      const take = Math.min(next - at, left);
      runs.push(...originRuns(origin, at, take));
      at += take;
    }
  }
  return runs;
}

function storedRun(data: BlockDevice, offset: number, length: number, block: number): Run {
  if (offset + length <= data.size) return { kind: "stored", length, device: data, offset };
  const error = new ImageError(
    "corrupt",
    `block ${block} is mapped to byte ${offset}, past the end of the pool's data`,
    {
      format: "thin",
      structure: "data mapping",
      offset,
    },
  );
  return { kind: "decoded", length, skip: 0, load: () => Promise.reject(error) };
}

function originRuns(origin: BlockDevice | undefined, offset: number, length: number): Run[] {
  const available = origin === undefined ? 0 : Math.max(0, Math.min(length, origin.size - offset));
  const runs: Run[] = [];
  if (origin !== undefined && available > 0) runs.push({ kind: "stored", length: available, device: origin, offset });
  if (available < length) runs.push({ kind: "zero", length: length - available });
  return runs;
}
