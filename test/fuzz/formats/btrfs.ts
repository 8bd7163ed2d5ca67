import { crc32c } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/btrfs/layout";
import { AnatomyBuilder, type Dissect, fieldBytes } from "../lib/spots.js";

type Table = Parameters<AnatomyBuilder["add"]>[0];

/** What the data of an item begins with, by the type in its key. */
const ITEMS: Readonly<Record<number, Table>> = {
  1: layout.btrfs_inode_item,
  12: layout.btrfs_inode_ref,
  13: layout.btrfs_inode_extref,
  24: layout.btrfs_dir_item,
  84: layout.btrfs_dir_item,
  96: layout.btrfs_dir_item,
  108: layout.btrfs_file_extent_item,
  132: layout.btrfs_root_item,
  144: layout.btrfs_root_ref,
  156: layout.btrfs_root_ref,
  216: layout.btrfs_dev_item,
  228: layout.btrfs_chunk,
};

/** Superblocks with their chunk array, and every node with its items, of a sound volume that uses CRC-32C. */
export const dissectBtrfs: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const [first] = layout.SUPER_OFFSETS;
  const fsid = image.subarray(first + 0x20, first + 0x30);
  const nodesize = layout.btrfs_super_block.nodesize(view, first);
  const seal = (at: number, length: number): void => {
    found.seal(at, length, (data, write) =>
      write(at, fieldBytes({ size: 4, big: false }, BigInt(crc32c(data.subarray(at + layout.CSUM_SIZE, at + length))))),
    );
  };
  const isOurs = (at: number): boolean => Buffer.compare(image.subarray(at + 0x20, at + 0x30), fsid) === 0;
  for (const at of layout.SUPER_OFFSETS) {
    if (at + layout.SUPER_SIZE > image.length) continue;
    found.add(layout.btrfs_super_block, at);
    const array = at + layout.btrfs_super_block.$fields.sys_chunk_array.offset;
    found
      .add(layout.btrfs_disk_key, array)
      .add(layout.btrfs_chunk, array + 17)
      .add(layout.btrfs_stripe, array + 65);
    seal(at, layout.SUPER_SIZE);
  }
  // Newest first, and every other level before the leaves: fields of trees that are in use are worth more.
  const nodes: number[] = [];
  for (let at = 0; at + nodesize <= image.length; at += 4096) {
    if (view.getUint32(at + 0x20) === 0 || !isOurs(at)) continue;
    if (!(layout.SUPER_OFFSETS as readonly number[]).includes(at)) nodes.push(at);
  }
  const age = (at: number): number => layout.btrfs_header.generation(view, at);
  for (const at of nodes.sort((a, b) => age(b) - age(a))) {
    addNode(found, view, at);
    seal(at, nodesize);
  }
  return found;
};

function addNode(found: AnatomyBuilder, view: DataView, at: number): void {
  const { btrfs_header, btrfs_item, btrfs_key_ptr } = layout;
  found.add(btrfs_header, at);
  const count = btrfs_header.nritems(view, at);
  const isLeaf = btrfs_header.level(view, at) === 0;
  for (let slot = 0; slot < count; slot += 1) {
    const start = at + btrfs_header.$size + slot * (isLeaf ? btrfs_item : btrfs_key_ptr).$size;
    found.add(isLeaf ? btrfs_item : btrfs_key_ptr, start);
    if (!isLeaf) continue;
    const data = at + btrfs_header.$size + btrfs_item.offset(view, start);
    const type = view.getUint8(start + 8);
    const table = ITEMS[type];
    if (table !== undefined) found.add(table, data);
    if (type === 228) found.add(layout.btrfs_stripe, data + layout.btrfs_chunk.$size);
  }
}
