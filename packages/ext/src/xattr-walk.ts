import { crc32cRaw, crc32cWord, ImageError, toHex } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { readThroughExtents, type Xattr } from "@guestprobe/vfs";
import { compareChecksums, crcWithGap } from "./checksum.js";
import { INCOMPAT } from "./features.js";
import { extentsFrom } from "./file-extents.js";
import { fileMap } from "./file-map.js";
import type { DecodedInode } from "./inode.js";
import {
  EXT4_EA_INODE_FL,
  EXT4_GOOD_OLD_INODE_SIZE,
  EXT4_XATTR_MAGIC,
  ext4_inode,
  ext4_xattr_entry,
  ext4_xattr_ibody_header,
  ext4_xattr_header as header,
} from "./layout.js";
import { corrupt, hex, placeOf } from "./place.js";
import type { Volume } from "./volume.js";
import { decodeXattrs, type RawXattr, xattrName, xattrValue } from "./xattr.js";

/** Largest value that getxattr can give. Kernel: XATTR_SIZE_MAX. */
const MAX_VALUE = 65536;

/** The attributes in the inode itself. */
export function inodeXattrs(inode: DecodedInode): RawXattr[] {
  const from = EXT4_GOOD_OLD_INODE_SIZE + inode.extraSize;
  const first = from + ext4_xattr_ibody_header.$size;
  if (first > inode.raw.length) return [];
  if (ext4_xattr_ibody_header.h_magic(viewOf(inode.raw), from) !== EXT4_XATTR_MAGIC) return [];
  return decodeXattrs(inode.raw, inode.offset, first, first);
}

/** All attributes that the kernel would show, those in the inode first. */
export async function readXattrs(
  volume: Volume,
  inode: DecodedInode,
  signal: AbortSignal | undefined,
): Promise<Xattr[]> {
  const stored = [...inodeXattrs(inode), ...(await blockXattrs(volume, inode, signal))];
  const found = new Map<string, Xattr>();
  for (const attribute of stored) {
    const name = xattrName(attribute);
    if (name === undefined) continue;
    // Of two with one name, getxattr gives the one in the inode.
    const key = toHex(name);
    if (found.has(key)) continue;
    const value = attribute.value ?? (await inodeValue(volume, inode, attribute, signal));
    found.set(key, { name, value: xattrValue(attribute, value).slice() });
  }
  return [...found.values()];
}

async function blockXattrs(
  volume: Volume,
  inode: DecodedInode,
  signal: AbortSignal | undefined,
): Promise<readonly RawXattr[]> {
  const { sb } = volume;
  const block = inode.fileAcl;
  if (block === 0) return [];
  if (block <= sb.firstDataBlock || block >= sb.blocksCount) {
    const reason = `inode ${inode.ino}: attributes in block ${block}, in a volume of ${sb.blocksCount}`;
    throw corrupt(ext4_inode, "i_file_acl_lo", inode.offset, reason);
  }
  const data = await volume.readBlock(block, signal);
  const at = block * sb.blockSize;
  const view = viewOf(data);
  const magic = header.h_magic(view, 0);
  if (magic !== EXT4_XATTR_MAGIC) {
    throw corrupt(header, "h_magic", at, `attributes: magic is ${hex(magic)}, expected ${hex(EXT4_XATTR_MAGIC)}`);
  }
  const blocks = header.h_blocks(view, 0);
  if (blocks !== 1) throw corrupt(header, "h_blocks", at, `attributes: ${blocks} blocks, expected 1`);
  if (sb.csumSeed !== undefined && volume.checksums !== "ignore") {
    const seed = crc32cWord(Math.floor(block / 2 ** 32), crc32cWord(block % 2 ** 32, sb.csumSeed));
    const computed = crcWithGap(seed, data, header.$fields.h_checksum.offset, 4);
    const place = placeOf(header, "h_checksum", at);
    compareChecksums(volume, header.h_checksum(view, 0), computed, `attributes of inode ${inode.ino}`, place);
  }
  return decodeXattrs(data, at, header.$size, 0);
}

/** A value that has an inode of its own, under ea_inode. */
async function inodeValue(
  volume: Volume,
  inode: DecodedInode,
  attribute: RawXattr,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { sb } = volume;
  const { valueInum, valueSize, offset } = attribute;
  const bad = (field: keyof typeof ext4_xattr_entry.$fields, reason: string) =>
    corrupt(ext4_xattr_entry, field, offset, `extended attribute: ${reason}`);
  if ((sb.incompat & INCOMPAT.ea_inode) === 0) throw bad("e_value_inum", "a value in an inode, without ea_inode");
  if (valueInum > sb.inodesCount) throw bad("e_value_inum", `inode ${valueInum} of ${sb.inodesCount}`);
  if (valueSize > MAX_VALUE) {
    const place = placeOf(ext4_xattr_entry, "e_value_size", offset);
    throw new ImageError("limit", `an attribute of ${valueSize} bytes; Linux gives at most ${MAX_VALUE}`, place);
  }
  const holder = await volume.inode(valueInum, signal);
  if (holder === undefined || (holder.flags & EXT4_EA_INODE_FL) === 0) {
    throw bad("e_value_inum", `inode ${valueInum} does not hold a value`);
  }
  if (holder.size !== valueSize) throw bad("e_value_size", `${valueSize}, but the inode has ${holder.size}`);
  const extents = await extentsFrom(fileMap(volume, holder), sb.blockSize, 0, valueSize, signal);
  const value = await readThroughExtents(volume.device, extents, 0, valueSize, signal);
  // Lustre's older form has the number and the generation of the owner there, and no hash.
  const isLustre = ext4_inode.i_mtime(viewOf(holder.raw), 0) === inode.ino && holder.generation === inode.generation;
  if (volume.checksums !== "ignore" && !isLustre) {
    const stored = ext4_inode.i_atime(viewOf(holder.raw), 0);
    const computed = crc32cRaw(value, sb.valueSeed);
    const place = placeOf(ext4_inode, "i_atime", holder.offset);
    compareChecksums(volume, stored, computed, `attribute value in inode ${valueInum}`, place);
  }
  return value;
}
