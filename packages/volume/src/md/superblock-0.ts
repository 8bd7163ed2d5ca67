import type { ImageError } from "@guestprobe/block";
import { BE, type Endian, LE, viewOf } from "@guestprobe/block/struct";
import {
  DISK_FAULTY,
  DISK_JOURNAL,
  DISK_REMOVED,
  DISK_REPLACEMENT,
  DISK_SYNC,
  DISKS_AT,
  MAX_DISKS,
  mdp_disk_be,
  mdp_disk_le,
  mdp_super_be,
  mdp_super_le,
  RESERVED_BYTES,
  SB_CLEAN,
  SUPERBLOCK_0_SIZE,
  THIS_DISK_AT,
} from "./layout.js";
import { majorVersionOf } from "./magic.js";
import { checkShape } from "./map.js";
import { errorsAbout } from "./place.js";
import type { MdRole, MdSuperblock } from "./types.js";

/** Where the superblock lies on a device of `size` bytes; undefined where it would not fit. */
export function superblock0Offset(size: number): number | undefined {
  const blocks = Math.floor(size / RESERVED_BYTES);
  return blocks < 1 ? undefined : (blocks - 1) * RESERVED_BYTES;
}

/** The byte order of the superblock that `data` begin with; undefined if they do not. */
export function endianOf0(data: Uint8Array): Endian | undefined {
  if (data.length < SUPERBLOCK_0_SIZE) return undefined;
  return ([LE, BE] as const).find((endian) => majorVersionOf(data, endian) === 0);
}

/** Old machines stored sixteen bits of the sum only: it is compared folded to those. */
const fold = (sum: number): number => {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
};

function checksum0(view: DataView, endian: Endian, stored: number): number {
  let sum = -stored;
  for (let at = 0; at < mdp_super_le.$size; at += 4) sum += view.getUint32(at, endian === LE);
  return ((sum % 2 ** 32) + Math.floor(sum / 2 ** 32)) % 2 ** 32;
}

function roleOf(state: number, index: number): MdRole {
  if ((state & DISK_JOURNAL) !== 0) return { kind: "journal" };
  if ((state & (DISK_FAULTY | DISK_REMOVED)) !== 0) return { kind: "faulty" };
  return (state & DISK_SYNC) !== 0 ? { kind: "active", index } : { kind: "spare" };
}

const FIELD_OF = {
  level: "level",
  layout: "layout",
  chunk: "chunk_size",
  raidDisks: "raid_disks",
  size: "size",
} as const;

/**
 * Checks and decodes a superblock of version 0.90.
 *
 * @param data 4096 bytes that begin with the magic.
 * @param offset Where they lie: bytes from the start of the device.
 * @throws ImageError `corrupt` or `unsupported`.
 */
export function decodeSuperblock0(data: Uint8Array, endian: Endian, offset: number): MdSuperblock {
  const view = viewOf(data);
  const sb = endian === LE ? mdp_super_le : mdp_super_be;
  const disk = endian === LE ? mdp_disk_le : mdp_disk_be;
  const about = errorsAbout(sb, offset);
  const bad = (field: keyof typeof sb.$fields, reason: string): ImageError => about("corrupt", field, reason);

  const minorVersion = sb.minor_version(view, 0);
  if (minorVersion !== 90 && minorVersion !== 91) {
    throw about("unsupported", "minor_version", `version 0.${minorVersion} of the superblock`);
  }
  const level = sb.level(view, 0);
  const layout = sb.layout(view, 0);
  const chunk = sb.chunk_size(view, 0);
  const raidDisks = sb.raid_disks(view, 0);
  const size = sb.size(view, 0) * 1024;
  checkShape({ level, layout, chunk, raidDisks, size }, offset, MAX_DISKS, (code, field, reason) =>
    about(code, FIELD_OF[field], reason),
  );
  if (level >= 1 && size > offset) throw bad("size", `uses ${size} bytes of ${offset}`);

  const roles: MdRole[] = [];
  for (let at = DISKS_AT; at < DISKS_AT + MAX_DISKS * disk.$size; at += disk.$size) {
    roles.push(roleOf(disk.state(view, at), disk.raid_disk(view, at)));
  }
  const words = [sb.set_uuid0, sb.set_uuid1, sb.set_uuid2, sb.set_uuid3].map((word) => word(view, 0));
  const stored = sb.sb_csum(view, 0);
  const computed = checksum0(view, endian, stored);
  return {
    version: "0.90",
    structure: "mdp_super_t",
    offset,
    uuid: words.map((word) => word.toString(16).padStart(8, "0")).join(":"),
    setName: new Uint8Array(0),
    minor: sb.md_minor(view, 0),
    created: sb.ctime(view, 0),
    level,
    // The field says nothing for raid0: the layouts it would tell apart are younger than this version.
    layout: level === 0 ? 0 : layout,
    chunk,
    raidDisks,
    size: level >= 1 ? size : 0,
    dataOffset: 0,
    dataSize: level >= 1 ? size : offset,
    events: sb.events(view, 0),
    deviceNumber: disk.number(view, THIS_DISK_AT),
    roles,
    isInSync: (sb.state(view, 0) & SB_CLEAN) !== 0,
    refusal: minorVersion === 91 ? "uses reshape: one part of the array has the old shape and one the new" : undefined,
    isRebuilding: false,
    isReplacement: (disk.state(view, THIS_DISK_AT) & DISK_REPLACEMENT) !== 0,
    badBlocks: undefined,
    checksumProblem:
      fold(stored) === fold(computed)
        ? undefined
        : `the checksum is 0x${stored.toString(16)}, the superblock's bytes give 0x${computed.toString(16)}`,
  };
}
