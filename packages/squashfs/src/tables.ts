import type { BlockDevice } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  SQUASHFS_METADATA_SIZE,
  squashfs_fragment_entry,
  squashfs_super_block,
  squashfs_xattr_id,
  squashfs_xattr_id_table,
} from "./layout.js";
import type { Metadata } from "./metadata.js";
import { corrupt, failure } from "./place.js";
import type { MetadataPosition, Superblock } from "./superblock.js";

/** A table of fixed-size records in metadata blocks, found through an array of u64 pointers to those blocks. */
export interface Table {
  readonly name: string;
  readonly count: number;
  /** Bytes of a record; divides the size of a metadata block. */
  readonly recordSize: number;
  /** The array of pointers: bytes from the start of the device. */
  readonly index: number;
}

/**
 * The record `n` of a table.
 *
 * @throws ImageError `corrupt` for a record past the table, and what reading metadata throws.
 */
export async function readRecord(
  device: BlockDevice,
  metadata: Metadata,
  table: Table,
  n: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly view: DataView; readonly offset: number }> {
  if (n >= table.count) {
    throw failure("corrupt", `entry ${n} of the ${table.name} table, which has ${table.count}`, table.index);
  }
  const perBlock = SQUASHFS_METADATA_SIZE / table.recordSize;
  const at = table.index + Math.floor(n / perBlock) * 8;
  const pointer = viewOf(device.peek?.(at, 8) ?? (await device.read(at, 8, signal)));
  const hi = pointer.getUint32(4, true);
  const block = hi * 0x1_0000_0000 + pointer.getUint32(0, true);
  // The blocks of a table lie before the array that points to them.
  if (hi >= 0x20_0000 || block < squashfs_super_block.$size || block >= table.index) {
    throw failure("corrupt", `the ${table.name} table points to byte ${block}, outside the volume's tables`, at);
  }
  const position = { block, offset: (n % perBlock) * table.recordSize };
  const data =
    metadata.peek(position, table.recordSize, table.index) ??
    (await metadata.read(position, table.recordSize, table.index, signal)).data;
  return { view: viewOf(data), offset: block };
}

export function idTable(sb: Superblock): Table {
  return { name: "id", count: sb.ids, recordSize: 4, index: sb.idTable };
}

/** A block that several files' tails share. */
export interface Fragment {
  readonly start: number;
  readonly size: number;
}

export async function readFragment(
  device: BlockDevice,
  metadata: Metadata,
  sb: Superblock,
  n: number,
  signal: AbortSignal | undefined,
): Promise<Fragment> {
  const table = { name: "fragment", count: sb.fragments, recordSize: 16, index: sb.fragmentTable ?? 0 };
  const { view, offset } = await readRecord(device, metadata, table, n, signal);
  const start = squashfs_fragment_entry.start_block(view, 0);
  const size = squashfs_fragment_entry.size(view, 0);
  if (start >= sb.bytesUsed) {
    throw corrupt(
      squashfs_fragment_entry,
      "start_block",
      offset,
      `fragment ${n} lies at byte ${start}, past the volume`,
    );
  }
  return { start, size };
}

/** Where inode `ino` lies, by the table for NFS export; undefined on a volume without one. */
export async function readExport(
  device: BlockDevice,
  metadata: Metadata,
  sb: Superblock,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<MetadataPosition | undefined> {
  if (sb.lookupTable === undefined) return undefined;
  const table = { name: "export", count: sb.inodes, recordSize: 8, index: sb.lookupTable };
  const { view } = await readRecord(device, metadata, table, ino - 1, signal);
  return referenceAt(view, 0, sb.inodeTable);
}

/** A u64 of a metadata block, in bytes from `start`, and 16 bits of offset into it. */
export function referenceAt(view: DataView, at: number, start: number): MetadataPosition {
  const block = view.getUint32(at + 4, true) * 0x1_0000 + view.getUint16(at + 2, true);
  return { block: start + block, offset: view.getUint16(at, true) };
}

/** The table of attribute sets, and where their names and values begin. */
export interface XattrTables {
  readonly sets: Table;
  readonly start: number;
}

export async function readXattrTables(
  device: BlockDevice,
  sb: Superblock,
  signal: AbortSignal | undefined,
): Promise<XattrTables | undefined> {
  const at = sb.xattrIdTable;
  if (at === undefined) return undefined;
  const view = viewOf(await device.read(at, squashfs_xattr_id_table.$size, signal));
  const start = squashfs_xattr_id_table.xattr_table_start(view, 0);
  if (start < sb.directoryTable || start >= at) {
    const reason = `attributes begin at byte ${start}, outside the volume's tables`;
    throw corrupt(squashfs_xattr_id_table, "xattr_table_start", at, reason);
  }
  const count = squashfs_xattr_id_table.xattr_ids(view, 0);
  const index = at + squashfs_xattr_id_table.$size;
  return { sets: { name: "xattr id", count, recordSize: squashfs_xattr_id.$size, index }, start };
}
