import { encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { decodeAcl } from "./acl.js";
import { ext4_xattr_entry as entry } from "./layout.js";
import { corrupt } from "./place.js";

/** An extended attribute as stored: its name without the prefix, and its value or the inode that holds it. */
export interface RawXattr {
  readonly nameIndex: number;
  readonly name: Uint8Array;
  /** Undefined where the value lies in an inode of its own. */
  readonly value: Uint8Array | undefined;
  /** Where the value lies, in bytes from the start of the device. */
  readonly valueOffset: number | undefined;
  readonly valueInum: number;
  readonly valueSize: number;
  /** Where the entry lies, in bytes from the start of the device. */
  readonly offset: number;
}

export const XATTR_INDEX_SYSTEM = 7;

/**
 * Prefixes by `e_name_index`. Those that are left out are not shown by the kernel either: "system." itself, where
 * inline data lies, and the context of encryption.
 */
const PREFIXES: Record<number, string> = {
  1: "user.",
  2: "system.posix_acl_access",
  3: "system.posix_acl_default",
  4: "trusted.",
  6: "security.",
};

/** The whole name, or undefined for an attribute that the kernel does not show. */
export function xattrName(attribute: RawXattr): Uint8Array | undefined {
  const prefix = PREFIXES[attribute.nameIndex];
  if (prefix === undefined) return undefined;
  const head = encodeText(prefix);
  if (isAcl(attribute)) return head;
  const name = new Uint8Array(head.length + attribute.name.length);
  name.set(head);
  name.set(attribute.name, head.length);
  return name;
}

const isAcl = ({ nameIndex }: RawXattr): boolean => nameIndex === 2 || nameIndex === 3;

/** The value as getxattr gives it: an ACL in the form of the system call, all else as stored. */
export function xattrValue(attribute: RawXattr, stored: Uint8Array): Uint8Array {
  return isAcl(attribute) ? decodeAcl(stored, attribute.valueOffset ?? attribute.offset) : stored;
}

/**
 * Checks and decodes a list of attributes.
 *
 * @param region Holds the entries and their values, and lies at byte `at` of the device.
 * @param first Where the first entry lies in it.
 * @param valuesFrom What `e_value_offs` counts from.
 * @throws ImageError `corrupt`.
 */
export function decodeXattrs(region: Uint8Array, at: number, first: number, valuesFrom: number): RawXattr[] {
  const view = viewOf(region);
  const list: RawXattr[] = [];
  let base = first;
  let lowestValue = region.length;
  for (;;) {
    const bad = (field: keyof typeof entry.$fields, reason: string) =>
      corrupt(entry, field, at + base, `extended attribute: ${reason}`);
    if (base + 4 > region.length) throw bad("e_name_len", "the list has no end");
    if (view.getUint32(base, true) === 0) break;
    const nameLength = base + entry.$size <= region.length ? entry.e_name_len(view, base) : region.length;
    const end = base + Math.ceil((entry.$size + nameLength) / 4) * 4;
    if (end > region.length)
      throw bad("e_name_len", `an entry of ${end - base} bytes, ${region.length - base} are left`);
    const valueSize = entry.e_value_size(view, base);
    const valueInum = entry.e_value_inum(view, base);
    const valueAt = valuesFrom + entry.e_value_offs(view, base);
    const isHere = valueInum === 0;
    if (isHere && valueSize > 0) {
      if (valueAt + valueSize > region.length) {
        throw bad("e_value_offs", `a value of ${valueSize} bytes at ${valueAt} of ${region.length}`);
      }
      lowestValue = Math.min(lowestValue, valueAt);
    }
    list.push({
      nameIndex: entry.e_name_index(view, base),
      name: region.subarray(base + entry.$size, base + entry.$size + nameLength),
      value: isHere ? region.subarray(valueAt, valueAt + valueSize) : undefined,
      valueOffset: isHere ? at + valueAt : undefined,
      valueInum,
      valueSize,
      offset: at + base,
    });
    base = end;
  }
  if (list.length > 0 && lowestValue < base + 4) {
    throw corrupt(entry, "e_value_offs", list[0]!.offset, "extended attribute: a value lies over the entries");
  }
  return list;
}
