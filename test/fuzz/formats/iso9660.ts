import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/iso9660/layout";
import { AnatomyBuilder, type Dissect, renamed } from "../lib/spots.js";

type Table = Parameters<AnatomyBuilder["add"]>[0];

/** What follows the header of a system use entry. */
const SYSTEM_USE: Readonly<Record<string, Table>> = {
  CE: layout.susp_ce,
  SP: layout.susp_sp,
  PX: layout.rrip_px,
  PN: layout.rrip_pn,
  CL: layout.rrip_cl,
  PL: layout.rrip_cl,
  ZF: layout.rrip_zf,
};

/** Volume descriptors, the boot catalogue, path tables, and the directories of each tree with their system use entries. */
export const dissectIso9660: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const { SECTOR, iso_primary_descriptor: vd, iso_primary_descriptor_m: vdBig, boot_record } = layout;
  for (let at = layout.FIRST_DESCRIPTOR * SECTOR; at + SECTOR <= image.length; at += SECTOR) {
    const type = vd.type(view, at);
    if (type === layout.VD_BOOT) {
      found.add(boot_record, at);
      const catalog = boot_record.catalog(view, at) * SECTOR;
      for (let entry = 0; entry < 4; entry += 1)
        found.add(layout.boot_entry, catalog + entry * layout.boot_entry.$size);
    } else if (type === layout.VD_PRIMARY || type === layout.VD_SUPPLEMENTARY) {
      found.add(vd, at).add(renamed(vdBig, "iso_primary_descriptor_m"), at, true);
      found.words(
        "path table",
        vd.type_l_path_table(view, at) * SECTOR,
        Math.min(vd.path_table_size(view, at), 256),
        2,
      );
      addTree(found, view, at + vd.$fields.root_directory_record.offset);
    } else break;
  }
  return found;
};

function addRecord(found: AnatomyBuilder, at: number): void {
  found
    .add(layout.iso_directory_record, at)
    .add(renamed(layout.iso_directory_record_m, "iso_directory_record_m"), at, true);
}

function addTree(found: AnatomyBuilder, view: DataView, root: number): void {
  const { SECTOR, iso_directory_record: record } = layout;
  addRecord(found, root);
  const seen = new Set<number>();
  const ahead = [root];
  for (let directory = ahead.pop(); directory !== undefined; directory = ahead.pop()) {
    const start = record.extent(view, directory) * SECTOR;
    const end = Math.min(start + record.size(view, directory), found.image.length);
    if (seen.has(start)) continue;
    seen.add(start);
    for (let at = start; at + record.$size <= end; ) {
      const length = found.image[at]!;
      if (length < record.$size) {
        at += SECTOR - (at % SECTOR);
        continue;
      }
      addRecord(found, at);
      const name = record.name_len(view, at);
      addSystemUse(found, view, at + record.$size + name + (1 - (name % 2)), at + length);
      // The first two, of one byte, are the directory itself and the one above.
      if ((record.flags(view, at) & layout.FLAG_DIRECTORY) !== 0 && name > 1) ahead.push(at);
      at += length;
    }
  }
}

function addSystemUse(found: AnatomyBuilder, view: DataView, start: number, end: number, depth = 0): void {
  const { susp_entry, susp_ce, SECTOR } = layout;
  for (let at = start; at + susp_entry.$size <= end; ) {
    const length = susp_entry.length(view, at);
    if (length < susp_entry.$size) return;
    const signature = Buffer.from(susp_entry.signature(view, at)).toString("latin1");
    found.add(susp_entry, at);
    const table = SYSTEM_USE[signature];
    if (table !== undefined) found.add(table, at);
    // Names, links and times are texts and flags.
    else found.words(signature, at + susp_entry.$size, length - susp_entry.$size, 1);
    if (signature === "CE" && depth < 4) {
      const area = susp_ce.extent(view, at) * SECTOR + susp_ce.offset(view, at);
      addSystemUse(found, view, area, Math.min(area + susp_ce.size(view, at), found.image.length), depth + 1);
    }
    at += length;
  }
}
