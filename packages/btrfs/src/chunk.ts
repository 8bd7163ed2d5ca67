import { hasBit } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type Key, objectidOf, offsetOf, readKey } from "./key.js";
import {
  BLOCK_GROUP_DATA,
  BLOCK_GROUP_DUP,
  BLOCK_GROUP_METADATA,
  BLOCK_GROUP_RAID0,
  BLOCK_GROUP_RAID1,
  BLOCK_GROUP_RAID1C3,
  BLOCK_GROUP_RAID1C4,
  BLOCK_GROUP_RAID5,
  BLOCK_GROUP_RAID6,
  BLOCK_GROUP_RAID10,
  BLOCK_GROUP_SYSTEM,
  btrfs_chunk,
  btrfs_disk_key,
  btrfs_stripe,
  CHUNK_ITEM_KEY,
  FIRST_CHUNK_TREE_OBJECTID,
  STRIPE_LEN,
} from "./layout.js";
import { corrupt, decodeAt, unsupported } from "./place.js";

/** How a chunk is laid over its stripes. */
export interface Profile {
  readonly flag: number;
  /** As btrfs-progs prints it. */
  readonly name: string;
  /** Fewest and most stripes of a chunk. */
  readonly min: number;
  readonly max: number;
  /** Copies of each byte; raid10 has those that sub_stripes says, which must be this many. */
  readonly copies: number;
  readonly parity: number;
  readonly striped: boolean;
}

const MANY = 0xffff;
/** In this order `profileOf` looks for the flag; the last has none. */
export const PROFILES: readonly Profile[] = [
  { flag: BLOCK_GROUP_RAID0, name: "raid0", min: 1, max: MANY, copies: 1, parity: 0, striped: true },
  { flag: BLOCK_GROUP_RAID1, name: "raid1", min: 2, max: 2, copies: 2, parity: 0, striped: false },
  { flag: BLOCK_GROUP_DUP, name: "dup", min: 2, max: 2, copies: 2, parity: 0, striped: false },
  { flag: BLOCK_GROUP_RAID10, name: "raid10", min: 2, max: MANY, copies: 2, parity: 0, striped: true },
  { flag: BLOCK_GROUP_RAID5, name: "raid5", min: 2, max: MANY, copies: 1, parity: 1, striped: true },
  { flag: BLOCK_GROUP_RAID6, name: "raid6", min: 3, max: MANY, copies: 1, parity: 2, striped: true },
  { flag: BLOCK_GROUP_RAID1C3, name: "raid1c3", min: 3, max: 3, copies: 3, parity: 0, striped: false },
  { flag: BLOCK_GROUP_RAID1C4, name: "raid1c4", min: 4, max: 4, copies: 4, parity: 0, striped: false },
  { flag: 0, name: "single", min: 1, max: 1, copies: 1, parity: 0, striped: false },
];
const TYPE_FLAGS = BLOCK_GROUP_DATA | BLOCK_GROUP_SYSTEM | BLOCK_GROUP_METADATA;
const PROFILE_FLAGS = PROFILES.reduce((all, profile) => all | profile.flag, 0);

export interface Stripe {
  readonly devid: number;
  /** Bytes from the start of that device. */
  readonly offset: number;
  readonly deviceUuid: Uint8Array;
}

/** A run of logical addresses and where it lies. */
export interface Chunk {
  readonly logical: number;
  /** Bytes of logical addresses. */
  readonly length: number;
  readonly type: number;
  readonly profile: Profile;
  readonly stripes: readonly Stripe[];
  /** Bytes of each stripe on its device. */
  readonly stripeSize: number;
  /** Where the chunk item lies: bytes from the start of the device, if it lies on that. */
  readonly offset: number | undefined;
}

/** Stripes that hold data, not counting copies and parity. */
const dataStripes = (profile: Profile, count: number): number =>
  profile.striped ? (count - profile.parity) / profile.copies : 1;

/**
 * Decodes the chunk item of `key` that fills `data`.
 *
 * @param offset Where `data` lies: bytes from the start of the device.
 * @throws ImageError `corrupt`; `unsupported` for a profile that is not known.
 */
export function decodeChunk(key: Key, data: Uint8Array, sectorsize: number, offset: number | undefined): Chunk {
  const structure = btrfs_chunk.$name;
  const wrong = (field: keyof typeof btrfs_chunk.$fields | "logical", reason: string) => {
    const at = field === "logical" ? 0 : btrfs_chunk.$fields[field].offset;
    return corrupt(`chunk: ${reason}`, { structure, field, offset: offset === undefined ? undefined : offset + at });
  };
  if (data.length < btrfs_chunk.$size + btrfs_stripe.$size) {
    throw wrong("num_stripes", `an item of ${data.length} bytes holds no stripe`);
  }
  const view = viewOf(data);
  const { logical, length, stripeLen, type } = decodeAt(offset, () => ({
    logical: offsetOf(key),
    length: btrfs_chunk.length(view, 0),
    stripeLen: btrfs_chunk.stripe_len(view, 0),
    type: btrfs_chunk.type(view, 0),
  }));
  const count = btrfs_chunk.num_stripes(view, 0);
  const known = TYPE_FLAGS | PROFILE_FLAGS;
  for (let bit = 1; bit <= type; bit *= 2) {
    if (hasBit(type, bit) && (bit > known || (known & bit) === 0)) {
      throw unsupported(`chunk type 0x${type.toString(16)} has the unknown flag 0x${bit.toString(16)}`, {
        structure,
        field: "type",
        offset,
      });
    }
  }
  if ((type & TYPE_FLAGS) === 0) throw wrong("type", "holds neither data nor metadata nor system blocks");
  const profile = PROFILES.find((candidate) => (type & candidate.flag) !== 0) ?? PROFILES[PROFILES.length - 1]!;
  if ((type & PROFILE_FLAGS) !== profile.flag) throw wrong("type", `0x${type.toString(16)} has two profiles`);
  if (count < profile.min || count > profile.max) throw wrong("num_stripes", `${profile.name} of ${count} stripes`);
  if (data.length !== btrfs_chunk.$size + count * btrfs_stripe.$size) {
    throw wrong("num_stripes", `an item of ${data.length} bytes for ${count} stripes`);
  }
  if (stripeLen !== STRIPE_LEN) throw wrong("stripe_len", `stripes of ${stripeLen} bytes, expected ${STRIPE_LEN}`);
  if (profile.flag === BLOCK_GROUP_RAID10) {
    const sub = btrfs_chunk.sub_stripes(view, 0);
    if (sub !== profile.copies) throw wrong("sub_stripes", `raid10 of ${sub} copies, expected ${profile.copies}`);
    if (count % sub !== 0) throw wrong("num_stripes", `raid10 of ${count} stripes in groups of ${sub}`);
  }
  if (length === 0 || length % sectorsize !== 0) throw wrong("length", `${length} bytes`);
  if (logical % sectorsize !== 0) throw wrong("logical", `begins at logical address ${logical}`);
  if (!Number.isSafeInteger(logical + length)) throw wrong("length", `${length} bytes from ${logical} pass 2^53`);
  const stripeSize = length / dataStripes(profile, count);
  if (!Number.isInteger(stripeSize)) throw wrong("length", `${length} bytes do not fill ${count} stripes evenly`);
  const stripes: Stripe[] = [];
  for (let at = btrfs_chunk.$size; at < data.length; at += btrfs_stripe.$size) {
    stripes.push(
      decodeAt(offset === undefined ? undefined : offset + at, () => ({
        devid: btrfs_stripe.devid(view, at),
        offset: btrfs_stripe.offset(view, at),
        deviceUuid: btrfs_stripe.dev_uuid(view, at),
      })),
    );
  }
  return { logical, length, type, profile, stripes, stripeSize, offset };
}

/**
 * Decodes sys_chunk_array: the chunks that hold the chunk tree itself.
 *
 * @param offset Where the array lies: bytes from the start of the device.
 */
export function decodeSysChunkArray(array: Uint8Array, sectorsize: number, offset: number): Chunk[] {
  const view = viewOf(array);
  const chunks: Chunk[] = [];
  for (let at = 0; at < array.length; ) {
    const wrong = (field: string, reason: string) =>
      corrupt(`sys_chunk_array: ${reason}`, { structure: "btrfs_super_block", field, offset: offset + at });
    const head = at + btrfs_disk_key.$size;
    if (head + btrfs_chunk.$size > array.length) throw wrong("sys_chunk_array_size", "ends inside an entry");
    const key = readKey(view, at);
    if (key.type !== CHUNK_ITEM_KEY || key.objectHi !== 0 || objectidOf(key) !== FIRST_CHUNK_TREE_OBJECTID) {
      throw wrong("sys_chunk_array", `key of type ${key.type}, expected ${CHUNK_ITEM_KEY}`);
    }
    const size = btrfs_chunk.$size + btrfs_chunk.num_stripes(view, head) * btrfs_stripe.$size;
    if (head + size > array.length) throw wrong("sys_chunk_array_size", "ends inside a chunk");
    const chunk = decodeChunk(key, array.subarray(head, head + size), sectorsize, offset + head);
    if ((chunk.type & BLOCK_GROUP_SYSTEM) === 0) throw wrong("sys_chunk_array", "holds a chunk that is not SYSTEM");
    chunks.push(chunk);
    at = head + size;
  }
  return chunks;
}

/** A byte of a stripe. */
export interface Target {
  readonly stripe: Stripe;
  /** Bytes from the start of the device. */
  readonly physical: number;
}

/** A run of logical addresses that lies in one piece, and everywhere it does. */
export interface Piece {
  readonly logical: number;
  readonly length: number;
  /** Where it is stored as it is. */
  readonly copies: readonly Target[];
  /** RAID5 and RAID6: the same run of the whole row of stripes. `wanted` is this piece's place in `data`. */
  readonly row:
    | { readonly data: readonly Target[]; readonly p: Target; readonly q: Target | undefined; readonly wanted: number }
    | undefined;
}

/** The piece that begins at `logical` and has at most `length` bytes; `logical` lies within the chunk. */
export function mapPiece(chunk: Chunk, logical: number, length: number): Piece {
  const { profile, stripes } = chunk;
  const within = logical - chunk.logical;
  const available = Math.min(length, chunk.length - within);
  if (!profile.striped) {
    const copies = stripes.map((stripe) => ({ stripe, physical: stripe.offset + within }));
    return { logical, length: available, copies, row: undefined };
  }
  const number = Math.floor(within / STRIPE_LEN);
  const inStripe = within % STRIPE_LEN;
  const width = dataStripes(profile, stripes.length);
  const rowNumber = Math.floor(number / width);
  const column = number % width;
  const target = (index: number): Target => {
    const stripe = stripes[index]!;
    return { stripe, physical: stripe.offset + rowNumber * STRIPE_LEN + inStripe };
  };
  const inPiece = Math.min(available, STRIPE_LEN - inStripe);
  if (profile.parity === 0) {
    const first = column * profile.copies;
    const copies = Array.from({ length: profile.copies }, (_, copy) => target(first + copy));
    return { logical, length: inPiece, copies, row: undefined };
  }
  // The columns move one stripe on with each row; parity follows the last data column.
  const rotated = (index: number): Target => target((rowNumber + index) % stripes.length);
  const data = Array.from({ length: width }, (_, index) => rotated(index));
  const q = profile.parity === 2 ? rotated(width + 1) : undefined;
  const row = { data, p: rotated(width), q, wanted: column };
  return { logical, length: inPiece, copies: [data[column]!], row };
}
