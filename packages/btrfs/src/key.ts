import { joinU64 } from "@guestprobe/block";

/**
 * The key of an item: object id, type, offset, in this order of weight. The two 64-bit parts are kept as pairs of
 * 32-bit words, high and low: comparing them needs no bigint, and no value is out of range.
 */
export interface Key {
  readonly objectHi: number;
  readonly objectLo: number;
  readonly type: number;
  readonly offsetHi: number;
  readonly offsetLo: number;
}

/** All ones: the last offset that a key can have. */
export const MAX_OFFSET = 0xffff_ffff_ffff_ffffn;

const TWO_32 = 0x1_0000_0000;

const highWord = (value: number | bigint): number =>
  typeof value === "bigint" ? Number(value >> 32n) : Math.floor(value / TWO_32);
const lowWord = (value: number | bigint): number =>
  typeof value === "bigint" ? Number(value & 0xffff_ffffn) : value % TWO_32;

export function makeKey(objectid: number | bigint, type: number, offset: number | bigint = 0): Key {
  return {
    objectHi: highWord(objectid),
    objectLo: lowWord(objectid),
    type,
    offsetHi: highWord(offset),
    offsetLo: lowWord(offset),
  };
}

/** Byte of a btrfs_disk_key at which its type stands. */
export const KEY_TYPE = 8;

/** The btrfs_disk_key at byte `at`. */
export function readKey(view: DataView, at: number): Key {
  return {
    objectHi: view.getUint32(at + 4, true),
    objectLo: view.getUint32(at, true),
    type: view.getUint8(at + KEY_TYPE),
    offsetHi: view.getUint32(at + 13, true),
    offsetLo: view.getUint32(at + 9, true),
  };
}

/** Negative, zero or positive, as the btrfs_disk_key at byte `at` comes before, at or after `key`. */
export function compareKeyAt(view: DataView, at: number, key: Key): number {
  return (
    view.getUint32(at + 4, true) - key.objectHi ||
    view.getUint32(at, true) - key.objectLo ||
    view.getUint8(at + 8) - key.type ||
    view.getUint32(at + 13, true) - key.offsetHi ||
    view.getUint32(at + 9, true) - key.offsetLo
  );
}

/** As `compareKeyAt`, of two keys that both lie in the view: every key of a node is compared with the one before. */
export function compareKeysAt(view: DataView, a: number, b: number): number {
  return (
    view.getUint32(a + 4, true) - view.getUint32(b + 4, true) ||
    view.getUint32(a, true) - view.getUint32(b, true) ||
    view.getUint8(a + 8) - view.getUint8(b + 8) ||
    view.getUint32(a + 13, true) - view.getUint32(b + 13, true) ||
    view.getUint32(a + 9, true) - view.getUint32(b + 9, true)
  );
}

export function compareKeys(a: Key, b: Key): number {
  return (
    a.objectHi - b.objectHi ||
    a.objectLo - b.objectLo ||
    a.type - b.type ||
    a.offsetHi - b.offsetHi ||
    a.offsetLo - b.offsetLo
  );
}

/** @throws ImageError `corrupt` for an object id of 2^53 and above. */
export function objectidOf(key: Key): number {
  return joinU64(key.objectHi, key.objectLo, { format: "btrfs", structure: "btrfs_disk_key", field: "objectid" });
}

/** @throws ImageError `corrupt` for an offset of 2^53 and above. */
export function offsetOf(key: Key): number {
  return joinU64(key.offsetHi, key.offsetLo, { format: "btrfs", structure: "btrfs_disk_key", field: "offset" });
}

/** "(256 84 3817753667)", as btrfs-progs prints keys but for the name of the type. */
export function formatKey(key: Key): string {
  const join = (hi: number, lo: number): string => ((BigInt(hi) << 32n) | BigInt(lo)).toString();
  return `(${join(key.objectHi, key.objectLo)} ${key.type} ${join(key.offsetHi, key.offsetLo)})`;
}
