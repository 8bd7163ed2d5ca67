import { viewOf } from "@guestprobe/block/struct";
import { ext4_acl_entry as entry, ext4_acl_header as header } from "./layout.js";
import { corrupt, hex } from "./place.js";

const EXT4_ACL_VERSION = 1;
/** Version, and then entries of eight bytes, little-endian. Linux include/uapi/linux/posix_acl_xattr.h. */
const POSIX_ACL_XATTR_VERSION = 2;
/** `e_tag`: owner, named user, owning group, named group, mask, others. */
const TAGS_WITH_ID = [0x02, 0x08];
const TAGS_WITHOUT_ID = [0x01, 0x04, 0x10, 0x20];
const UNDEFINED_ID = 0xffff_ffff;

/**
 * A POSIX ACL as ext4 stores it in the form that getxattr gives: every entry has an id. Kernel: ext4_acl_from_disk,
 * posix_acl_to_xattr.
 *
 * @param at Where the value lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeAcl(value: Uint8Array, at: number): Uint8Array {
  const view = viewOf(value);
  const version = value.length >= header.$size ? header.a_version(view, 0) : undefined;
  if (version !== EXT4_ACL_VERSION) {
    throw corrupt(header, "a_version", at, `ACL: version is ${version}, expected ${EXT4_ACL_VERSION}`);
  }
  const entries: [number, number, number][] = [];
  for (let base = header.$size; base < value.length; ) {
    const tag = base + 4 <= value.length ? entry.e_tag(view, base) : 0;
    const hasId = TAGS_WITH_ID.includes(tag);
    if ((!hasId && !TAGS_WITHOUT_ID.includes(tag)) || base + (hasId ? 8 : 4) > value.length) {
      throw corrupt(entry, "e_tag", at + base, `ACL: tag is ${hex(tag)}, with ${value.length - base} bytes left`);
    }
    entries.push([tag, entry.e_perm(view, base), hasId ? entry.e_id(view, base) : UNDEFINED_ID]);
    base += hasId ? 8 : 4;
  }
  const result = new Uint8Array(4 + entries.length * 8);
  const out = viewOf(result);
  out.setUint32(0, POSIX_ACL_XATTR_VERSION, true);
  for (const [n, [tag, perm, id]] of entries.entries()) {
    out.setUint16(4 + n * 8, tag, true);
    out.setUint16(6 + n * 8, perm, true);
    out.setUint32(8 + n * 8, id, true);
  }
  return result;
}
