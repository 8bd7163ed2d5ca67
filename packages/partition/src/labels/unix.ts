/** Tables of workstations: Sun on SPARC and on PCs, and SGI. */
import { viewOf } from "@guestprobe/block/struct";
import { TABLE_CHECKSUM } from "../findings.js";
import {
  DVH_MAGIC,
  DVH_PARTITIONS,
  DVH_SLOTS,
  dvh_header,
  dvh_partition,
  SUN_INFOS,
  SUN_MAGIC,
  SUN_SLICES,
  SUN_SLOTS,
  SUNPC_SLICES,
  SUNPC_SLOTS,
  sun_info,
  sun_label,
  sun_slice,
  sunpc_label,
  sunpc_slice,
} from "../layout-labels.js";
import { type Label, type LabelEntry, type LabelPlace, sumWords, xorWords } from "./label.js";

const SECTOR = 512;
/** The tag of the slice that is the whole disk. */
const SUN_WHOLE = 5;

const SUN_TAGS: ReadonlyMap<number, string> = new Map([
  [1, "boot"],
  [2, "root"],
  [3, "swap"],
  [4, "usr"],
  [5, "whole disk"],
  [6, "stand"],
  [7, "var"],
  [8, "home"],
  [9, "alternate sectors"],
  [0x82, "Linux swap"],
  [0x83, "Linux"],
  [0x8e, "Linux LVM"],
  [0xfd, "Linux RAID"],
]);

const sunType = (tag: number) => ({ id: `0x${tag.toString(16).padStart(2, "0")}`, name: SUN_TAGS.get(tag) });

/** A Sun label. Its magic has two bytes, so only with its checksum it is one. */
export async function readSun({ start }: LabelPlace): Promise<Label | undefined> {
  if (start.length < SECTOR) return undefined;
  const view = viewOf(start);
  if (sun_label.magic(view, 0) !== SUN_MAGIC || xorWords(view, 0, SECTOR) !== 0) return undefined;
  const cylinder = sun_label.ntrks(view, 0) * sun_label.nsect(view, 0);
  const entries: LabelEntry[] = [];
  for (let slot = 0; slot < SUN_SLOTS; slot += 1) {
    const tag = sun_info.id(view, SUN_INFOS + slot * sun_info.$size);
    const at = SUN_SLICES + slot * sun_slice.$size;
    const sectors = sun_slice.num_sectors(view, at);
    if (tag === 0 || tag === SUN_WHOLE || sectors === 0) continue;
    entries.push({
      number: slot + 1,
      start: sun_slice.start_cylinder(view, at) * cylinder * SECTOR,
      length: sectors * SECTOR,
      type: sunType(tag),
      offset: at,
    });
  }
  const used = [{ offset: 0, length: SECTOR }];
  return { kind: "sun", offset: 0, sectorSize: SECTOR, slots: SUN_SLOTS, entries, used };
}

/** The label of Solaris on PCs, in sector 1 of its partition. */
export async function readSunPc({ start }: LabelPlace): Promise<Label | undefined> {
  if (start.length < 2 * SECTOR) return undefined;
  const view = viewOf(start);
  if (sunpc_label.magic(view, SECTOR) !== SUN_MAGIC || xorWords(view, SECTOR, SECTOR) !== 0) return undefined;
  const entries: LabelEntry[] = [];
  for (let slot = 0; slot < SUNPC_SLOTS; slot += 1) {
    const at = SECTOR + SUNPC_SLICES + slot * sunpc_slice.$size;
    const tag = sunpc_slice.p_tag(view, at);
    const sectors = sunpc_slice.p_size(view, at);
    if (tag === 0 || tag === SUN_WHOLE || sectors === 0) continue;
    entries.push({
      number: slot + 1,
      start: sunpc_slice.p_start(view, at) * SECTOR,
      length: sectors * SECTOR,
      type: sunType(tag),
      offset: at,
    });
  }
  const used = [{ offset: SECTOR, length: SECTOR }];
  return { kind: "sunpc", offset: SECTOR, sectorSize: SECTOR, slots: SUNPC_SLOTS, entries, used };
}

const DVH_TYPES: ReadonlyMap<number, string> = new Map([
  [0, "volume header"],
  [3, "raw"],
  [6, "volume"],
  [7, "EFS"],
  [10, "XFS"],
  [0x82, "Linux swap"],
  [0x83, "Linux"],
]);
/** Slot of the whole disk. */
const DVH_WHOLE = 10;

/** An SGI volume header. */
export async function readDvh({ start, note }: LabelPlace): Promise<Label | undefined> {
  if (start.length < SECTOR) return undefined;
  const view = viewOf(start);
  if (dvh_header.vh_magic(view, 0) !== DVH_MAGIC) return undefined;
  if (sumWords(view, 0, SECTOR) !== 0) {
    note(TABLE_CHECKSUM, "the words of the header do not add up to zero", {
      format: "dvh",
      structure: "volume_header",
      field: "vh_csum",
      offset: 0,
    });
  }
  const entries: LabelEntry[] = [];
  for (let slot = 0; slot < DVH_SLOTS; slot += 1) {
    const at = DVH_PARTITIONS + slot * dvh_partition.$size;
    const sectors = dvh_partition.pt_nblks(view, at);
    if (sectors === 0 || slot === DVH_WHOLE) continue;
    const type = dvh_partition.pt_type(view, at);
    entries.push({
      number: slot + 1,
      start: dvh_partition.pt_firstlbn(view, at) * SECTOR,
      length: sectors * SECTOR,
      type: { id: String(type), name: DVH_TYPES.get(type) },
      offset: at,
    });
  }
  const used = [{ offset: 0, length: SECTOR }];
  return { kind: "dvh", offset: 0, sectorSize: SECTOR, slots: DVH_SLOTS, entries, used };
}
