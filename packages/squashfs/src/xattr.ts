import { encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { Xattr } from "@guestprobe/vfs";
import {
  SQUASHFS_XATTR_PREFIX_MASK,
  SQUASHFS_XATTR_VALUE_OOL,
  squashfs_xattr_entry,
  squashfs_xattr_id,
  squashfs_xattr_val,
} from "./layout.js";
import { corrupt, failure } from "./place.js";
import type { MetadataPosition } from "./superblock.js";
import { readRecord, referenceAt } from "./tables.js";
import type { Volume } from "./volume.js";

/** The namespaces, by the low byte of an entry's type. */
const PREFIXES = ["user.", "trusted.", "security."].map(encodeText);
/** Linux takes no longer value (XATTR_SIZE_MAX), and lists no more names than fit into this (XATTR_LIST_MAX). */
const VALUE_MAX = 65_536;
const NAMES_MAX = 65_536;
/** Bytes of the values of one inode: a set whose values are all references to one long value must end somewhere. */
const VALUES_MAX = 16 << 20;

/**
 * The attributes of set `index`.
 *
 * @throws ImageError `corrupt`; `unsupported` for a namespace that is not known.
 */
export async function readXattrs(volume: Volume, index: number, signal: AbortSignal | undefined): Promise<Xattr[]> {
  const tables = await volume.xattrTables(signal);
  if (tables === undefined) return [];
  const { metadata, device, sb } = volume;
  const limit = sb.xattrIdTable ?? sb.bytesUsed;
  const { view, offset } = await readRecord(device, metadata, tables.sets, index, signal);
  const count = squashfs_xattr_id.count(view, 0);
  let position = referenceAt(view, squashfs_xattr_id.$fields.xattr.offset, tables.start);

  const take = async (length: number): Promise<Uint8Array> => {
    const range = await metadata.read(position, length, limit, signal);
    position = range.next;
    return range.data;
  };
  const attributes: Xattr[] = [];
  let names = 0;
  let values = 0;
  for (let n = 0; n < count; n += 1) {
    const head = viewOf(await take(squashfs_xattr_entry.$size));
    const type = squashfs_xattr_entry.type(head, 0);
    const suffix = await take(squashfs_xattr_entry.size(head, 0));
    const prefix = PREFIXES[type & SQUASHFS_XATTR_PREFIX_MASK];
    if (prefix === undefined) throw failure("unsupported", `attributes of type ${type}`, position.block);
    const name = new Uint8Array(prefix.length + suffix.length);
    name.set(prefix);
    name.set(suffix, prefix.length);
    const size = squashfs_xattr_val.vsize(viewOf(await take(squashfs_xattr_val.$size)), 0);
    checkValueSize(size, position);
    const stored = await take(size);
    const value = type & SQUASHFS_XATTR_VALUE_OOL ? await readElsewhere(stored) : stored;
    names += name.length + 1;
    values += value.length;
    if (names > NAMES_MAX || values > VALUES_MAX) {
      throw corrupt(squashfs_xattr_id, "count", offset, `attribute set ${index} holds more than Linux can list`);
    }
    attributes.push({ name, value: value.slice() });
  }
  return attributes;

  async function readElsewhere(reference: Uint8Array): Promise<Uint8Array> {
    if (reference.length !== 8) {
      throw corrupt(squashfs_xattr_val, "vsize", position.block, `reference of ${reference.length} bytes, expected 8`);
    }
    const at = referenceAt(viewOf(reference), 0, tables!.start);
    const head = await metadata.read(at, squashfs_xattr_val.$size, limit, signal);
    const size = squashfs_xattr_val.vsize(viewOf(head.data), 0);
    checkValueSize(size, at);
    return (await metadata.read(head.next, size, limit, signal)).data;
  }
}

function checkValueSize(size: number, position: MetadataPosition): void {
  if (size <= VALUE_MAX) return;
  const reason = `value of ${size} bytes, at most ${VALUE_MAX} are allowed`;
  throw corrupt(squashfs_xattr_val, "vsize", position.block, reason);
}
