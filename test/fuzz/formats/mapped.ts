/** Members of logical volumes and of arrays: labels, texts, superblocks and trees, with their checksums. */
import { crc32cRaw } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { lvmCrc } from "../../../packages/volume/src/lvm2/label.js";
import * as lvm from "../../../packages/volume/src/lvm2/layout.js";
import * as md from "../../../packages/volume/src/md/layout.js";
import * as snapshot from "../../../packages/volume/src/snapshot/layout.js";
import * as thin from "../../../packages/volume/src/thin/layout.js";
import { AnatomyBuilder, type Dissect, fieldBytes } from "../lib/spots.js";

const word = (value: number): Uint8Array => fieldBytes({ size: 4, big: false }, BigInt(value >>> 0));

const startsWith = (image: Uint8Array, at: number, text: string): boolean =>
  Buffer.from(image.subarray(at, at + text.length)).toString("latin1") === text;

/** Labels and metadata areas of physical volumes, and what lies in their extents: pools, stores, superblocks of RAIDs. */
export const dissectLvm: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  for (let at = 0; at + lvm.SECTOR_SIZE <= image.length; at += lvm.SECTOR_SIZE) {
    if (startsWith(image, at, lvm.LABEL_ID)) addLabel(found, at);
    else if (startsWith(image, at + 4, lvm.MDA_MAGIC)) addArea(found, at);
    else if (at % 4096 === 0) addInside(found, at);
  }
  return found;
};

function addLabel(found: AnatomyBuilder, at: number): void {
  found.add(lvm.label_header, at).add(lvm.pv_header, at + 32);
  for (let n = 0; n < 5; n += 1) found.add(lvm.disk_locn, at + 72 + n * lvm.disk_locn.$size);
  const from = at + lvm.label_header.$fields.offset_xl.offset;
  found.seal(at, lvm.SECTOR_SIZE, (data, write) =>
    write(at + lvm.label_header.$fields.crc_xl.offset, word(lvmCrc(data.subarray(from, at + lvm.SECTOR_SIZE)))),
  );
}

function addArea(found: AnatomyBuilder, at: number): void {
  const view = viewOf(found.image);
  const locn = at + lvm.RAW_LOCNS_AT;
  found
    .add(lvm.mda_header, at)
    .add(lvm.raw_locn, locn)
    .add(lvm.raw_locn, locn + lvm.raw_locn.$size);
  const text = at + lvm.raw_locn.offset(view, locn);
  const size = lvm.raw_locn.size(view, locn);
  // What an older text left in the ring is not looked at.
  const isWhole = text + size <= at + lvm.mda_header.size(view, at);
  if (isWhole) {
    found.words("text", text, size, 1);
    found.seal(text, size, (data, write) =>
      write(locn + lvm.raw_locn.$fields.checksum.offset, word(lvmCrc(data.subarray(text, text + size)))),
    );
  }
  found.seal(at, lvm.MDA_HEADER_SIZE, (data, write) =>
    write(at, word(lvmCrc(data.subarray(at + 4, at + lvm.MDA_HEADER_SIZE)))),
  );
}

function addInside(found: AnatomyBuilder, at: number): void {
  const view = viewOf(found.image);
  const size = thin.THIN_METADATA_BLOCK_SIZE;
  const seal = (block: number, xor: number): void => {
    found.seal(block, size, (data, write) =>
      write(block, word(crc32cRaw(data.subarray(block + 4, block + size), 0xffff_ffff) ^ xor)),
    );
  };
  if (view.getUint32(at, true) === snapshot.SNAP_MAGIC) {
    found.add(snapshot.disk_header, at);
    const area = at + snapshot.disk_header.chunk_size(view, at) * 512;
    for (let n = 0; n < 16; n += 1) found.add(snapshot.disk_exception, area + n * snapshot.disk_exception.$size);
  } else if (view.getUint32(at, true) === lvm.DM_RAID_MAGIC) found.add(lvm.dm_raid_superblock, at);
  else if (view.getBigUint64(at + 32, true) === BigInt(thin.THIN_SUPERBLOCK_MAGIC)) {
    found.add(thin.thin_disk_superblock, at);
    seal(at, thin.SUPERBLOCK_CSUM_XOR);
    // Nodes say which block they are.
    for (let block = 1; at + (block + 1) * size <= found.image.length && block < 64; block += 1) {
      const node = at + block * size;
      if (thin.node_header.flags(view, node) === 0 || view.getBigUint64(node + 8, true) !== BigInt(block)) break;
      found.add(thin.node_header, node).words("keys", node + thin.node_header.$size, 32, 8);
      const values = node + thin.node_header.$size + thin.node_header.max_entries(view, node) * 8;
      found.words("values", values, 32, 8);
      seal(node, thin.BTREE_CSUM_XOR);
    }
  }
}

/** Superblocks of md by their magic: version 1 at any boundary of 4 KiB, version 0.90 in either byte order. */
export const dissectMd: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  for (let at = 0; at + 4096 <= image.length; at += 4096) {
    for (const little of [true, false]) {
      if (view.getUint32(at, little) !== md.MD_SB_MAGIC) continue;
      if (view.getUint32(at + 4, little) === 1) addSuperblock1(found, at);
      else addSuperblock0(found, at, little);
    }
  }
  return found;
};

/** The sum that the kernel makes of so many bytes, with its own word as zero. */
function sum(data: Uint8Array, at: number, length: number, field: number, little: boolean): number {
  const view = viewOf(data);
  let total = 0;
  for (let n = 0; n + 4 <= length; n += 4) total += n === field ? 0 : view.getUint32(at + n, little);
  if (length % 4 === 2) total += view.getUint16(at + length - 2, little);
  return ((total % 2 ** 32) + Math.floor(total / 2 ** 32)) % 2 ** 32;
}

function addSuperblock1(found: AnatomyBuilder, at: number): void {
  const { mdp_superblock_1: sb } = md;
  found.add(sb, at).words("dev_roles", at + sb.$size, 16, 2);
  const field = sb.$fields.sb_csum.offset;
  found.seal(at, 4096, (data, write) => {
    const length = sb.$size + 2 * Math.min(sb.max_dev(viewOf(data), at), md.MAX_DEV);
    write(at + field, word(sum(data, at, length, field, true)));
  });
}

function addSuperblock0(found: AnatomyBuilder, at: number, little: boolean): void {
  const [sb, disk] = little ? [md.mdp_super_le, md.mdp_disk_le] : [md.mdp_super_be, md.mdp_disk_be];
  found.add(sb, at, !little);
  for (const place of [md.DISKS_AT, md.DISKS_AT + disk.$size, md.THIS_DISK_AT]) found.add(disk, at + place, !little);
  const field = sb.$fields.sb_csum.offset;
  found.seal(at, 4096, (data, write) =>
    write(at + field, fieldBytes({ size: 4, big: !little }, BigInt(sum(data, at, 4096, field, little)))),
  );
}
