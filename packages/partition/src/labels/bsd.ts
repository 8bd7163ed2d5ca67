import { crc32, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { TABLE_CHECKSUM, TABLE_COUNT, TABLE_NESTED_OUTSIDE } from "../findings.js";
import {
  BSD_LABEL_AT,
  BSD_MAGIC,
  bsd_disklabel,
  bsd_partition,
  DISKLABEL64_MAGIC,
  DISKLABEL64_SLOTS,
  disklabel64,
  disklabel64_partition,
} from "../layout-labels.js";
import type { TableKind } from "../types.js";
import { type Label, type LabelEntry, type LabelPlace, xorWords } from "./label.js";

/** Slots of the label of any BSD: 8 at first, 16 in OpenBSD and NetBSD, 20 and 22 in some. */
const MAX_SLOTS = 22;
/** Slot "c", the whole disk or the whole BSD partition. NetBSD's "d" on PCs is a partition like others to GRUB. */
const WHOLE_SLOT = 2;
const SECTOR = 512;

const FS_TYPES: ReadonlyMap<number, string> = new Map([
  [0, "unused"],
  [1, "swap"],
  [7, "4.2BSD"],
  [8, "MSDOS"],
  [9, "4.4LFS"],
  [10, "unknown"],
  [12, "ISO9660"],
  [13, "boot"],
  [14, "vinum"],
  [15, "RAID"],
  [17, "ext2fs"],
  [27, "ZFS"],
]);

/**
 * A BSD disklabel.
 *
 * @param kind "bsd" counts from its own partition when `isFreeBsd`, and else from the start of the disk; the others always do.
 * @param label The sectors from the one before the label on.
 * @param origin Where `label` lies: bytes from the start of the device that the offsets are to count from.
 */
export function decodeBsdLabel(
  kind: TableKind & ("bsd" | "netbsd" | "openbsd"),
  label: Uint8Array,
  origin: number,
  isFreeBsd: boolean,
  note: LabelPlace["note"],
): Label | undefined {
  if (label.length < BSD_LABEL_AT + bsd_disklabel.$size) return undefined;
  const view = viewOf(label);
  if (bsd_disklabel.d_magic(view, BSD_LABEL_AT) !== BSD_MAGIC) return undefined;
  if (bsd_disklabel.d_magic2(view, BSD_LABEL_AT) !== BSD_MAGIC) return undefined;
  const offset = origin + BSD_LABEL_AT;
  const where = { format: kind, structure: "disklabel", offset };
  const stated = bsd_disklabel.d_npartitions(view, BSD_LABEL_AT);
  const first = BSD_LABEL_AT + bsd_disklabel.$size;
  const room = Math.floor((label.length - first) / bsd_partition.$size);
  const count = Math.min(stated, room, MAX_SLOTS);
  if (count < stated) {
    note(TABLE_COUNT, `the label counts ${stated} partitions; ${count} are looked at`, {
      ...where,
      field: "d_npartitions",
    });
  }
  if (count === stated && xorWords(view, BSD_LABEL_AT, bsd_disklabel.$size + count * bsd_partition.$size) !== 0) {
    note(TABLE_CHECKSUM, "the words of the label do not give zero", { ...where, field: "d_checksum" });
  }
  // Where "c" begins is where the others count from: FreeBSD has written labels both ways.
  const base =
    isFreeBsd && count > WHOLE_SLOT ? bsd_partition.p_offset(view, first + WHOLE_SLOT * bsd_partition.$size) : 0;
  const entries: LabelEntry[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const at = first + slot * bsd_partition.$size;
    const sectors = bsd_partition.p_size(view, at);
    if (slot === WHOLE_SLOT || sectors === 0) continue;
    const sector = bsd_partition.p_offset(view, at) - base;
    if (sector < 0) {
      note(TABLE_NESTED_OUTSIDE, `partition ${slot + 1} begins ${-sector} sectors before what it lies in`, {
        ...where,
        field: "p_offset",
        offset: origin + at,
      });
      continue;
    }
    const type = bsd_partition.p_fstype(view, at);
    entries.push({
      number: slot + 1,
      start: sector * SECTOR,
      length: sectors * SECTOR,
      type: { id: String(type), name: FS_TYPES.get(type) },
      offset: origin + at,
    });
  }
  const used = [{ offset, length: first - BSD_LABEL_AT + count * bsd_partition.$size }];
  return { kind, offset, sectorSize: SECTOR, slots: count, entries, used };
}

/** DragonFly's label of 64 bits. */
export async function readDisklabel64({ start, note }: LabelPlace): Promise<Label | undefined> {
  const first = BSD_LABEL_AT + disklabel64.$size;
  const end = first + DISKLABEL64_SLOTS * disklabel64_partition.$size;
  if (start.length < end) return undefined;
  const view = viewOf(start);
  if (disklabel64.d_magic(view, BSD_LABEL_AT) !== DISKLABEL64_MAGIC) return undefined;
  const where = { format: "dfly", structure: "disklabel64", offset: BSD_LABEL_AT };
  const stated = disklabel64.d_npartitions(view, BSD_LABEL_AT);
  const count = Math.min(stated, DISKLABEL64_SLOTS);
  if (count < stated) {
    note(TABLE_COUNT, `the label counts ${stated} partitions; it has room for ${count}`, {
      ...where,
      field: "d_npartitions",
    });
  }
  if (crc32(start.subarray(BSD_LABEL_AT + 8, end)) !== disklabel64.d_crc(view, BSD_LABEL_AT)) {
    note(TABLE_CHECKSUM, "the checksum of the label does not match", { ...where, field: "d_crc" });
  }
  const entries: LabelEntry[] = [];
  for (let slot = 0; slot < count; slot += 1) {
    const at = first + slot * disklabel64_partition.$size;
    const place = placeOf(view, at);
    if (place === undefined) {
      note(TABLE_NESTED_OUTSIDE, `partition ${slot + 1} lies past byte 2^53`, { ...where, offset: at });
      continue;
    }
    if (place.length === 0) continue;
    const type = disklabel64_partition.p_fstype(view, at);
    entries.push({
      number: slot + 1,
      ...place,
      type: { id: String(type), name: FS_TYPES.get(type) },
      offset: at,
    });
  }
  return {
    kind: "dfly",
    offset: BSD_LABEL_AT,
    sectorSize: SECTOR,
    slots: DISKLABEL64_SLOTS,
    entries,
    used: [{ offset: BSD_LABEL_AT, length: end - BSD_LABEL_AT }],
  };
}

function placeOf(view: DataView, at: number): { start: number; length: number } | undefined {
  try {
    return { start: disklabel64_partition.p_boffset(view, at), length: disklabel64_partition.p_bsize(view, at) };
  } catch (error) {
    if (!isImageError(error)) throw error;
    return undefined;
  }
}
