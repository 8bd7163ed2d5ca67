import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ForkBlock } from "../fork.js";
import {
  XFS_ATTR_LEAF_HDR_LEN,
  XFS_ATTR_LOCAL,
  XFS_ATTR3_LEAF_HDR_LEN,
  XFS_DA_BLKINFO_LEN,
  XFS_DA3_BLKINFO_LEN,
  xfs_attr_leaf_entry,
  xfs_attr_leaf_name_local,
  xfs_attr_leaf_name_remote,
  xfs_attr_sf_entry,
  xfs_attr_sf_hdr,
  xfs_da_counts,
} from "../layout/da.js";

/** An attribute as it is stored: its value, or where that lies. */
export interface StoredAttr {
  /** XFS_ATTR_*. */
  readonly flags: number;
  readonly name: Uint8Array;
  readonly value: Uint8Array | RemoteValue;
}

/** A value in blocks of its own. */
export interface RemoteValue {
  /** First block of the attribute fork. */
  readonly block: number;
  /** Bytes. */
  readonly length: number;
  /** Where this is written: bytes from the start of the device. */
  readonly at: number;
}

/**
 * Attributes that lie in the inode. XFS Algorithms & Data Structures, 3rd ed., "Short Form Attributes".
 *
 * @param fork The attribute fork.
 * @param at Where it lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeShortFormAttrs(fork: Uint8Array, at: number): StoredAttr[] {
  const broken = (reason: string, offset: number): ImageError =>
    new ImageError("corrupt", reason, { format: "xfs", structure: "xfs_attr_sf_hdr", offset: at + offset });
  if (fork.length < xfs_attr_sf_hdr.$size) throw broken(`attributes in ${fork.length} bytes`, 0);
  const view = viewOf(fork);
  const end = xfs_attr_sf_hdr.totsize(view, 0);
  const count = xfs_attr_sf_hdr.count(view, 0);
  if (end > fork.length || end < xfs_attr_sf_hdr.$size) {
    throw broken(`${end} bytes of attributes in a fork of ${fork.length}`, 0);
  }
  const attrs: StoredAttr[] = [];
  let offset = xfs_attr_sf_hdr.$size;
  for (let index = 0; index < count; index += 1) {
    const nameAt = offset + xfs_attr_sf_entry.$size;
    const valueAt = nameAt + (nameAt <= end ? xfs_attr_sf_entry.namelen(view, offset) : 0);
    const next = valueAt + (nameAt <= end ? xfs_attr_sf_entry.valuelen(view, offset) : 0);
    if (valueAt === nameAt || next > end)
      throw broken(`attribute ${index} of ${count} passes the ${end} bytes`, offset);
    const flags = xfs_attr_sf_entry.flags(view, offset);
    attrs.push({ flags, name: fork.slice(nameAt, valueAt), value: fork.slice(valueAt, next) });
    offset = next;
  }
  return attrs;
}

/**
 * Attributes of a leaf block. Ibid., "Leaf Attributes".
 *
 * @throws ImageError `corrupt`. The caller has checked the magic.
 */
export function decodeLeafAttrs(block: ForkBlock, crc: boolean): StoredAttr[] {
  const { data } = block;
  const view = viewOf(data);
  const broken = (reason: string, offset: number): ImageError =>
    new ImageError("corrupt", reason, { format: "xfs", structure: "xfs_attr_leaf_hdr", offset: block.byteAt(offset) });
  const info = crc ? XFS_DA3_BLKINFO_LEN : XFS_DA_BLKINFO_LEN;
  const start = crc ? XFS_ATTR3_LEAF_HDR_LEN : XFS_ATTR_LEAF_HDR_LEN;
  const count = xfs_da_counts.count(view, info);
  const entriesEnd = start + count * xfs_attr_leaf_entry.$size;
  if (entriesEnd > data.length) throw broken(`${count} attributes in a block of ${data.length} bytes`, info);
  const attrs: StoredAttr[] = [];
  let stored = 0;
  for (let index = 0; index < count; index += 1) {
    const entry = start + index * xfs_attr_leaf_entry.$size;
    const at = xfs_attr_leaf_entry.nameidx(view, entry);
    const flags = xfs_attr_leaf_entry.flags(view, entry);
    const header = flags & XFS_ATTR_LOCAL ? xfs_attr_leaf_name_local : xfs_attr_leaf_name_remote;
    const nameAt = at + header.$size;
    const fits = at >= entriesEnd && nameAt <= data.length;
    const nameEnd = nameAt + (fits ? header.namelen(view, at) : 0);
    const valueLength = fits && flags & XFS_ATTR_LOCAL ? xfs_attr_leaf_name_local.valuelen(view, at) : 0;
    if (nameEnd === nameAt || nameEnd + valueLength > data.length) {
      throw broken(`attribute ${index} of ${count} at byte ${at} of its block`, entry);
    }
    // Names and values do not overlap; entries that share one long value would add up to far more than the block.
    stored += nameEnd + valueLength - at;
    if (stored > data.length) throw broken("attributes that overlap", entry);
    const value =
      flags & XFS_ATTR_LOCAL
        ? data.slice(nameEnd, nameEnd + valueLength)
        : {
            block: xfs_attr_leaf_name_remote.valueblk(view, at),
            length: xfs_attr_leaf_name_remote.valuelen(view, at),
            at: block.byteAt(at),
          };
    attrs.push({ flags, name: data.slice(nameAt, nameEnd), value });
  }
  return attrs;
}
