/** Superblocks of md by their bytes, for tests: fields by name, checksums that are right unless asked for otherwise. */
import { viewOf } from "@guestprobe/block/struct";
import { mdp_super_be, mdp_super_le, mdp_superblock_1 } from "../../packages/volume/src/md/layout.js";

export type Fields1 = Partial<Record<keyof typeof mdp_superblock_1.$fields, number | bigint | Uint8Array>>;
export type Fields0 = Partial<Record<keyof typeof mdp_super_le.$fields, number | bigint>>;

function put(view: DataView, at: number, size: number, value: number | bigint | Uint8Array, little: boolean): void {
  if (value instanceof Uint8Array) new Uint8Array(view.buffer, view.byteOffset).set(value, at);
  else if (size === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), little);
  else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), little);
  else if (size === 2) view.setUint16(at, Number(value), little);
  else view.setUint8(at, Number(value));
}

/** The sum that the kernel makes, in plain steps on 64 bits. */
function sum(data: Uint8Array, little: boolean): number {
  const view = viewOf(data);
  let total = 0n;
  for (let at = 0; at + 4 <= data.length; at += 4) total += BigInt(view.getUint32(at, little));
  if (data.length % 4 === 2) total += BigInt(view.getUint16(data.length - 2, little));
  return Number(BigInt.asUintN(32, (total & 0xffff_ffffn) + (total >> 32n)));
}

/** A raid1 of two members with 1 MiB each, at event 10; version 1.2 unless `super_offset` says otherwise. */
export function superblock1(fields: Fields1 = {}, roles: readonly number[] = [0, 1]): Uint8Array {
  const data = new Uint8Array(4096);
  const view = viewOf(data);
  const all: Fields1 = {
    magic: 0xa92b4efc,
    major_version: 1,
    set_uuid: Uint8Array.from({ length: 16 }, (_, at) => at),
    set_name: new TextEncoder().encode("host:boot"),
    ctime: 1_700_000_000n,
    level: 1,
    size: 2048,
    raid_disks: 2,
    data_offset: 2048,
    data_size: 2048,
    super_offset: 8,
    events: 10n,
    resync_offset: -1n,
    max_dev: roles.length,
    ...fields,
  };
  for (const [name, value] of Object.entries(all)) {
    const { offset, size } = mdp_superblock_1.$fields[name as keyof Fields1];
    put(view, offset, size, value, true);
  }
  for (const [index, role] of roles.entries()) view.setUint16(256 + 2 * index, role, true);
  if (fields.sb_csum === undefined) {
    const length = Math.min(4096, 256 + 2 * Number(all.max_dev));
    view.setUint32(mdp_superblock_1.$fields.sb_csum.offset, sum(data.subarray(0, length), true), true);
  }
  return data;
}

/** A raid1 of two members with 1 MiB each, at event 10, as a machine of either byte order wrote it. */
export function superblock0(fields: Fields0 = {}, number = 0, little = true): Uint8Array {
  const data = new Uint8Array(4096);
  const view = viewOf(data);
  const all: Fields0 = {
    md_magic: 0xa92b4efc,
    minor_version: 90,
    set_uuid0: 0x00010203,
    ctime: 1_700_000_000,
    level: 1,
    size: 1024,
    raid_disks: 2,
    md_minor: 3,
    set_uuid1: 0x04050607,
    set_uuid2: 0x08090a0b,
    set_uuid3: 0x0c0d0e0f,
    state: 1,
    events: 10n,
    ...fields,
  };
  const { $fields } = little ? mdp_super_le : mdp_super_be;
  for (const [name, value] of Object.entries(all)) {
    const { offset, size } = $fields[name as keyof Fields0];
    put(view, offset, size, value, little);
  }
  // Two devices, active and in sync; and once more the one at hand.
  for (const [index, at] of [
    [0, 512],
    [1, 640],
    [number, 3968],
  ] as const) {
    view.setUint32(at, index, little);
    view.setUint32(at + 12, index, little);
    view.setUint32(at + 16, 0b110, little);
  }
  if (fields.sb_csum === undefined) view.setUint32($fields.sb_csum.offset, sum(data, little), little);
  return data;
}
