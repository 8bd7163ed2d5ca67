import {
  type ErrorCode,
  type Feature,
  hasBit,
  type ImageError,
  refusedFeatures,
  toHex,
  untilNul,
} from "@guestprobe/block";
import { LE, viewOf } from "@guestprobe/block/struct";
import {
  FEATURE_BAD_BLOCKS,
  FEATURE_BITMAP_OFFSET,
  FEATURE_CLUSTERED,
  FEATURE_JOURNAL,
  FEATURE_MULTIPLE_PPLS,
  FEATURE_NEW_OFFSET,
  FEATURE_PPL,
  FEATURE_RAID0_LAYOUT,
  FEATURE_RECOVERY_BITMAP,
  FEATURE_RECOVERY_OFFSET,
  FEATURE_REPLACEMENT,
  FEATURE_RESHAPE_ACTIVE,
  FEATURE_RESHAPE_BACKWARDS,
  MAX_DEV,
  ROLE_FAULTY,
  ROLE_JOURNAL,
  ROLE_SPARE,
  SECTOR_SIZE,
  SUPERBLOCK_1_SIZE,
  mdp_superblock_1 as sb,
} from "./layout.js";
import { majorVersionOf } from "./magic.js";
import { checkShape } from "./map.js";
import { errorsAbout } from "./place.js";
import type { MdRole, MdSuperblock, MdVersion } from "./types.js";

const read = (bit: number, name: string, why: string): Feature => ({ bit, name, verdict: "read", why });
const ignore = (bit: number, name: string, why: string): Feature => ({ bit, name, verdict: "ignore", why });
const refuse = (bit: number, name: string, why: string): Feature => ({ bit, name, verdict: "refuse", why });

/** Bits of feature_map. */
export const MD_FEATURES: readonly Feature[] = [
  ignore(FEATURE_BITMAP_OFFSET, "bitmap", "says which parts to compare after a crash; not needed to read"),
  read(FEATURE_RECOVERY_OFFSET, "recovery-offset", "a member that is still being rebuilt; it is left out"),
  refuse(FEATURE_RESHAPE_ACTIVE, "reshape", "one part of the array has the old shape and one the new"),
  read(FEATURE_BAD_BLOCKS, "bad-blocks", "blocks that this member does not have; they are taken from others"),
  read(FEATURE_REPLACEMENT, "replacement", "a member that is to replace another; read where that is missing"),
  refuse(FEATURE_RESHAPE_BACKWARDS, "reshape-backwards", "one part of the array has the old shape and one the new"),
  refuse(FEATURE_NEW_OFFSET, "new-offset", "the data are being moved within their members"),
  ignore(FEATURE_RECOVERY_BITMAP, "recovery-bitmap", "a member that is being brought up to date; its events tell"),
  ignore(FEATURE_CLUSTERED, "clustered", "several bitmaps, one for each machine of a cluster"),
  refuse(FEATURE_JOURNAL, "journal", "the newest stripes may be in the journal device alone"),
  refuse(FEATURE_PPL, "ppl", "parity may have to be mended from the partial parity log"),
  refuse(FEATURE_MULTIPLE_PPLS, "multiple-ppls", "parity may have to be mended from the partial parity log"),
  read(FEATURE_RAID0_LAYOUT, "raid0-layout", "the layout of a raid0 over members of different sizes is recorded"),
];

/** Where the superblock of each minor version lies on a device of `size` bytes; undefined where it would not fit. */
export function superblock1Offset(minor: 0 | 1 | 2, size: number): number | undefined {
  if (minor === 1) return 0;
  if (minor === 2) return 4096;
  // At least 8 KiB and less than 12 KiB from the end, on a boundary of 4 KiB.
  const sectors = Math.floor(size / SECTOR_SIZE) - 16;
  return sectors < 0 ? undefined : (sectors - (sectors % 8)) * SECTOR_SIZE;
}

/** Whether `data` begins with the magic of a superblock of version 1. */
export function hasMagic1(data: Uint8Array): boolean {
  return data.length >= SUPERBLOCK_1_SIZE && majorVersionOf(data, LE) === 1;
}

const FIELD_OF = {
  level: "level",
  layout: "layout",
  chunk: "chunksize",
  raidDisks: "raid_disks",
  size: "size",
} as const;

/** The sum of `data` as words of 32 bits, folded once; `sb_csum` counts as zero. */
function checksum1(view: DataView, length: number): number {
  let sum = 0;
  for (let at = 0; at + 4 <= length; at += 4) sum += view.getUint32(at, true);
  if (length % 4 === 2) sum += view.getUint16(length - 2, true);
  sum -= sb.sb_csum(view, 0);
  return ((sum % 2 ** 32) + Math.floor(sum / 2 ** 32)) % 2 ** 32;
}

function roleOf(word: number): MdRole {
  if (word === ROLE_SPARE) return { kind: "spare" };
  if (word === ROLE_FAULTY) return { kind: "faulty" };
  if (word === ROLE_JOURNAL) return { kind: "journal" };
  return { kind: "active", index: word };
}

/**
 * Checks and decodes a superblock of version 1.
 *
 * @param data 4096 bytes, or as many as the device has there; they begin with the magic.
 * @param offset Where they lie: bytes from the start of the device.
 * @param deviceSize Bytes.
 * @throws ImageError `corrupt` or `unsupported`.
 */
export function decodeSuperblock1(
  data: Uint8Array,
  minor: 0 | 1 | 2,
  offset: number,
  deviceSize: number,
): MdSuperblock {
  const view = viewOf(data);
  const about = errorsAbout(sb, offset);
  const bad = (field: keyof typeof sb.$fields, reason: string): ImageError => about("corrupt", field, reason);
  const sectors = (field: "size" | "data_offset" | "data_size" | "super_offset"): number => {
    const count = exact(
      () => sb[field](view, 0),
      (code, reason) => about(code, field, reason),
    );
    if (!Number.isSafeInteger(count * SECTOR_SIZE)) throw bad(field, `${field} is ${count} sectors`);
    return count * SECTOR_SIZE;
  };

  const superOffset = sectors("super_offset");
  if (superOffset !== offset) throw bad("super_offset", `says that it lies at byte ${superOffset}`);
  const maxDev = sb.max_dev(view, 0);
  const length = sb.$size + maxDev * 2;
  if (maxDev > MAX_DEV || length > data.length) throw bad("max_dev", `roles of ${maxDev} devices, expected ${MAX_DEV}`);
  const stored = sb.sb_csum(view, 0);
  const computed = checksum1(view, length);
  const features = sb.feature_map(view, 0);
  const level = sb.level(view, 0);
  const raidDisks = sb.raid_disks(view, 0);
  const layout = sb.layout(view, 0);
  const chunk = sb.chunksize(view, 0) * SECTOR_SIZE;
  const size = sectors("size");
  const dataOffset = sectors("data_offset");
  const dataSize = sectors("data_size");
  if (minor > 0 && dataOffset < offset + length) throw bad("data_offset", `data from byte ${dataOffset} on overlap it`);
  if (dataOffset > deviceSize) throw bad("data_offset", `data from byte ${dataOffset} on, past the end of the device`);
  if (!Number.isSafeInteger(dataOffset + dataSize)) throw bad("data_size", `${dataSize} bytes of data`);
  if (minor === 0 && dataOffset + dataSize > offset) throw bad("data_size", `${dataSize} bytes of data overlap it`);
  if (size > dataSize) throw bad("size", `uses ${size} bytes of ${dataSize}`);
  const shape = { level, layout, chunk, raidDisks, size };
  checkShape(shape, dataSize, MAX_DEV, (code, field, reason) => about(code, FIELD_OF[field], reason));

  const roles: MdRole[] = [];
  for (let number = 0; number < maxDev; number += 1) roles.push(roleOf(view.getUint16(sb.$size + number * 2, true)));
  return {
    version: `1.${minor}` as MdVersion,
    structure: "mdp_superblock_1",
    offset,
    uuid: groups(toHex(sb.set_uuid(view, 0))),
    setName: untilNul(sb.set_name(view, 0)).slice(),
    minor: undefined,
    created: Number(sb.ctime(view, 0) & 0xff_ffff_ffffn),
    level,
    // Without the feature the field was never written for raid0.
    layout: level === 0 && !hasBit(features, FEATURE_RAID0_LAYOUT) ? 0 : layout,
    chunk,
    raidDisks,
    size,
    dataOffset,
    dataSize,
    events: sb.events(view, 0),
    deviceNumber: sb.dev_number(view, 0),
    roles,
    isInSync: sb.resync_offset(view, 0) === 0xffff_ffff_ffff_ffffn,
    refusal: refusalOf(features),
    isRebuilding: hasBit(features, FEATURE_RECOVERY_OFFSET) && !hasBit(features, FEATURE_JOURNAL),
    isReplacement: hasBit(features, FEATURE_REPLACEMENT),
    badBlocks: badBlocksOf(view, features, offset, deviceSize, bad),
    checksumProblem:
      stored === computed
        ? undefined
        : `the checksum is 0x${stored.toString(16)}, the superblock's bytes give 0x${computed.toString(16)}`,
  };
}

/** Hexadecimal digits in four groups, as mdadm prints a UUID. */
export const groups = (digits: string): string => digits.replace(/(.{8})(?=.)/g, "$1:");

function exact<T>(readField: () => T, error: (code: ErrorCode, reason: string) => ImageError): T {
  try {
    return readField();
  } catch {
    throw error("corrupt", "is 2^53 or more");
  }
}

function refusalOf(features: number): string | undefined {
  const refused = refusedFeatures(features, MD_FEATURES);
  if (refused.length === 0) return undefined;
  const why = MD_FEATURES.find(({ name }) => name === refused[0])?.why ?? "this toolkit does not know it";
  return `uses ${refused.join(", ")}: ${why}`;
}

function badBlocksOf(
  view: DataView,
  features: number,
  offset: number,
  deviceSize: number,
  bad: (field: keyof typeof sb.$fields, reason: string) => ImageError,
): MdSuperblock["badBlocks"] {
  if (!hasBit(features, FEATURE_BAD_BLOCKS)) return undefined;
  const at = offset + sb.bblog_offset(view, 0) * SECTOR_SIZE;
  const length = sb.bblog_size(view, 0) * SECTOR_SIZE;
  if (at < 0 || at + length > deviceSize) throw bad("bblog_offset", `a list of bad blocks at byte ${at}`);
  const shift = sb.bblog_shift(view, 0);
  if (shift > 40) throw bad("bblog_shift", `bad blocks in units of 2^${shift} sectors`);
  return { offset: at, length, unit: SECTOR_SIZE * 2 ** shift };
}
