import { crc32cRaw } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/ext/layout";
import * as jbd2 from "@guestprobe/ext/layout-jbd2";
import { AnatomyBuilder, type Dissect, fieldBytes } from "../lib/spots.js";

const SUPER = layout.SUPERBLOCK_OFFSET;
const METADATA_CSUM = 0x400;
const IS_64BIT = 0x80;
const CSUM_SEED = 0x2000;

const word = (value: number): Uint8Array => fieldBytes({ size: 4, big: false }, BigInt(value));

/** Superblock, group descriptors, inodes, extents, directory entries, attributes and the journal of a sound volume. */
export const dissectExt: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const sb = layout.ext4_super_block;
  found.add(sb, SUPER);
  const blockSize = 1024 << sb.s_log_block_size(view, SUPER);
  const incompat = sb.s_feature_incompat(view, SUPER);
  const has64 = (incompat & IS_64BIT) !== 0;
  const hasCsum = (sb.s_feature_ro_compat(view, SUPER) & METADATA_CSUM) !== 0;
  const descSize = has64 ? sb.s_desc_size(view, SUPER) : 32;
  const inodeSize = sb.s_rev_level(view, SUPER) === 0 ? 128 : sb.s_inode_size(view, SUPER);
  const seed =
    (incompat & CSUM_SEED) !== 0
      ? sb.s_checksum_seed(view, SUPER)
      : crc32cRaw(image.subarray(SUPER + 0x68, SUPER + 0x78), 0xffff_ffff);
  const blocks = sb.s_blocks_count_lo(view, SUPER);
  const perGroup = sb.s_blocks_per_group(view, SUPER);
  const table = (Math.floor(SUPER / blockSize) + 1) * blockSize;
  for (let group = 0; group < Math.ceil(blocks / perGroup); group += 1) {
    const at = table + group * descSize;
    found.add(layout.ext4_group_desc, at);
    const inodes = layout.ext4_group_desc.bg_inode_table_lo(view, at) * blockSize;
    const perTable = sb.s_inodes_per_group(view, SUPER);
    for (let n = 0; n < perTable; n += 1) {
      const inode = inodes + n * inodeSize;
      if (inode + inodeSize > image.length) break;
      if (layout.ext4_inode.i_mode(view, inode) === 0) continue;
      addInode(found, view, inode, blockSize);
      if (!hasCsum) continue;
      const ino = group * perTable + n + 1;
      found.seal(inode, inodeSize, (data, write) => {
        const copy = data.slice(inode, inode + inodeSize);
        copy.fill(0, 0x7c, 0x7e);
        const extra = inodeSize > 128 && viewOf(copy).getUint16(0x80, true) >= 4;
        if (extra) copy.fill(0, 0x82, 0x84);
        const own = crc32cRaw(word(layout.ext4_inode.i_generation(viewOf(data), inode)), crc32cRaw(word(ino), seed));
        const sum = crc32cRaw(copy, own);
        write(inode + 0x7c, word(sum).subarray(0, 2));
        if (extra) write(inode + 0x82, word(sum).subarray(2));
      });
    }
    if (hasCsum) {
      found.seal(at, descSize, (data, write) => {
        const copy = data.slice(at, at + descSize);
        copy.fill(0, 0x1e, 0x20);
        write(at + 0x1e, word(crc32cRaw(copy, crc32cRaw(word(group), seed))).subarray(0, 2));
      });
    }
  }
  addByMagic(found, view, blockSize);
  if (hasCsum) {
    found.seal(SUPER, 1024, (data, write) =>
      write(SUPER + 0x3fc, word(crc32cRaw(data.subarray(SUPER, SUPER + 0x3fc), 0xffff_ffff))),
    );
  }
  return found;
};

function addInode(found: AnatomyBuilder, view: DataView, inode: number, blockSize: number): void {
  found.add(layout.ext4_inode, inode);
  const block = inode + 0x28;
  const isTree = view.getUint16(block, true) === layout.EXT4_EXT_MAGIC;
  if (isTree) addExtents(found, view, block);
  const isDirectory = layout.ext4_inode.i_mode(view, inode) >> 12 === 4;
  if (!isDirectory) return;
  const first = isTree ? view.getUint32(block + 12 + 8, true) : view.getUint32(block, true);
  const start = first * blockSize;
  if (first === 0 || start + blockSize > found.image.length) return;
  found.add(layout.dx_root, start);
  for (let at = start; at < start + blockSize - 8; ) {
    found.add(layout.ext4_dir_entry_2, at);
    const length = view.getUint16(at + 4, true);
    if (length < 8) break;
    at += length;
  }
}

function addExtents(found: AnatomyBuilder, view: DataView, at: number): void {
  found.add(layout.ext4_extent_header, at);
  const leaf = view.getUint16(at + 6, true) === 0;
  const entries = Math.min(view.getUint16(at + 2, true), 4);
  for (let n = 0; n < entries; n += 1) {
    found.add(leaf ? layout.ext4_extent : layout.ext4_extent_idx, at + 12 * (n + 1));
  }
}

function addByMagic(found: AnatomyBuilder, view: DataView, blockSize: number): void {
  for (let at = 0; at + blockSize <= found.image.length; at += blockSize) {
    if (view.getUint16(at, true) === layout.EXT4_EXT_MAGIC) addExtents(found, view, at);
    if (view.getUint32(at, true) === layout.EXT4_XATTR_MAGIC) {
      found.add(layout.ext4_xattr_header, at).add(layout.ext4_xattr_entry, at + layout.ext4_xattr_header.$size);
    }
    if (view.getUint32(at) !== jbd2.JBD2_MAGIC_NUMBER) continue;
    const type = view.getUint32(at + 4);
    if (type === jbd2.JBD2_SUPERBLOCK_V2 || type === jbd2.JBD2_SUPERBLOCK_V1) {
      found.add(jbd2.journal_superblock, at, true);
    } else if (type === jbd2.JBD2_DESCRIPTOR_BLOCK) {
      found.add(jbd2.journal_header, at, true).words("journal_block_tag", at + 12, 64, 4, true);
    } else if (type === jbd2.JBD2_REVOKE_BLOCK) found.add(jbd2.jbd2_journal_revoke_header, at, true);
    else if (type === jbd2.JBD2_COMMIT_BLOCK) found.add(jbd2.commit_header, at, true);
  }
}
