import { decodeText, encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { Xattr } from "@guestprobe/vfs";
import { XFS_ATTR_INCOMPLETE, XFS_ATTR_PARENT, XFS_ATTR_ROOT, XFS_ATTR_SECURE } from "../layout/da.js";

/** Access control lists, by the name of the attribute that stores them. */
const ACLS: ReadonlyMap<string, string> = new Map([
  ["SGI_ACL_FILE", "system.posix_acl_access"],
  ["SGI_ACL_DEFAULT", "system.posix_acl_default"],
]);

/**
 * What Linux shows for one stored attribute: nothing for parent pointers and values that were not finished; for an
 * access control list both the attribute itself and the list in the kernel's own form.
 */
export function shownAs(flags: number, name: Uint8Array, value: Uint8Array): readonly Xattr[] {
  if ((flags & (XFS_ATTR_PARENT | XFS_ATTR_INCOMPLETE)) !== 0) return [];
  const space = flags & XFS_ATTR_ROOT ? "trusted." : flags & XFS_ATTR_SECURE ? "security." : "user.";
  const plain: Xattr = { name: withPrefix(space, name), value };
  const acl = flags & XFS_ATTR_ROOT ? ACLS.get(decodeText(name)) : undefined;
  const converted = acl === undefined ? undefined : decodeAcl(value);
  return acl === undefined || converted === undefined ? [plain] : [plain, { name: encodeText(acl), value: converted }];
}

function withPrefix(prefix: string, name: Uint8Array): Uint8Array {
  const joined = new Uint8Array(prefix.length + name.length);
  joined.set(encodeText(prefix));
  joined.set(name, prefix.length);
  return joined;
}

const ACL_USER = 0x02;
const ACL_GROUP = 0x08;

/**
 * An access control list of XFS (big-endian: a count, then tag, id, permissions) as acl(5) in extended attributes of
 * Linux (little-endian: version 2, then tag, permissions, id). Undefined when its length does not fit its count.
 */
function decodeAcl(value: Uint8Array): Uint8Array | undefined {
  if (value.length < 4) return undefined;
  const view = viewOf(value);
  const count = view.getUint32(0);
  if (value.length < 4 + count * 12) return undefined;
  const result = new Uint8Array(4 + count * 8);
  const out = viewOf(result);
  out.setUint32(0, 2, true);
  for (let entry = 0; entry < count; entry += 1) {
    const tag = view.getUint32(4 + entry * 12);
    const named = tag === ACL_USER || tag === ACL_GROUP;
    out.setUint16(4 + entry * 8, tag, true);
    out.setUint16(6 + entry * 8, view.getUint16(12 + entry * 12), true);
    out.setUint32(8 + entry * 8, named ? view.getUint32(8 + entry * 12) : 0xffff_ffff, true);
  }
  return result;
}
