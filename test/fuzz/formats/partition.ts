import { crc32 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/partition/layout";
import { AnatomyBuilder, type Dissect, fieldBytes } from "../lib/spots.js";

const SECTOR = 512;
const MBR_SIGNATURE_AT = 510;

/** Every sector that ends in the signature of an MBR, both GPT headers with their entries, and the labels of other machines. */
export const dissectPartitions: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  for (let at = 0; at + SECTOR <= image.length; at += SECTOR) {
    if (view.getUint16(at + MBR_SIGNATURE_AT, true) === layout.MBR_SIGNATURE) {
      found.add(layout.mbr, at);
      for (let slot = 0; slot < layout.MBR_SLOTS; slot += 1) {
        found.add(layout.mbr_entry, at + layout.MBR_ENTRIES + slot * layout.mbr_entry.$size);
      }
    }
    addLabels(found, view, at);
    const isGpt = layout.GPT_SIGNATURE.every((byte, index) => image[at + index] === byte);
    if (isGpt) addGpt(found, view, at);
  }
  return found;
};

function addGpt(found: AnatomyBuilder, view: DataView, at: number): void {
  const { gpt_header, gpt_entry } = layout;
  found.add(gpt_header, at);
  const entries = gpt_header.PartitionEntryLBA(view, at) * SECTOR;
  const count = gpt_header.NumberOfPartitionEntries(view, at);
  const size = gpt_header.SizeOfPartitionEntry(view, at);
  for (let slot = 0; slot < count; slot += 1) found.add(gpt_entry, entries + slot * size);
  const word = (value: number): Uint8Array => fieldBytes({ size: 4, big: false }, BigInt(value));
  found.seal(entries, count * size, (data, write) =>
    write(
      at + gpt_header.$fields.PartitionEntryArrayCRC32.offset,
      word(crc32(data.subarray(entries, entries + count * size))),
    ),
  );
  found.seal(at, SECTOR, (data, write) => {
    const length = Math.min(SECTOR, Math.max(92, gpt_header.HeaderSize(viewOf(data), at)));
    const copy = data.slice(at, at + length);
    copy.fill(0, 16, 20);
    write(at + 16, word(crc32(copy)));
  });
}

/** Slots of a table that are taken: the others are read by the same code. */
const SLOTS = 4;

function addLabels(found: AnatomyBuilder, view: DataView, at: number): void {
  const slots = (table: Parameters<AnatomyBuilder["add"]>[0], start: number, big: boolean): void => {
    for (let slot = 0; slot < SLOTS; slot += 1) found.add(table, start + slot * table.$size, big);
  };
  const [little, big] = [view.getUint32(at, true), view.getUint32(at)];
  if (little === layout.BSD_MAGIC) {
    found.add(layout.bsd_disklabel, at);
    slots(layout.bsd_partition, at + layout.bsd_disklabel.$size, false);
    found.seal(at, SECTOR, (data, write) => {
      const [now, field] = [viewOf(data), layout.bsd_disklabel.$fields.d_checksum.offset];
      const count = Math.min(layout.bsd_disklabel.d_npartitions(now, at), 22);
      let sum = now.getUint16(at + field, true);
      for (let n = 0; n < layout.bsd_disklabel.$size + count * 16; n += 2) sum ^= now.getUint16(at + n, true);
      write(at + field, fieldBytes({ size: 2, big: false }, BigInt(sum)));
    });
  } else if (little === layout.DISKLABEL64_MAGIC) {
    found.add(layout.disklabel64, at);
    slots(layout.disklabel64_partition, at + layout.disklabel64.$size, false);
    const end = at + layout.disklabel64.$size + layout.DISKLABEL64_SLOTS * layout.disklabel64_partition.$size;
    found.seal(at, end - at, (data, write) =>
      write(at + 4, fieldBytes({ size: 4, big: false }, BigInt(crc32(data.subarray(at + 8, end))))),
    );
  } else if (big >>> 16 === layout.APPLE_DDM_SIGNATURE) found.add(layout.apple_ddm, at, true);
  else if (big >>> 16 === layout.APPLE_PM_SIGNATURE) found.add(layout.apple_partition, at, true);
  else if (big === layout.AMIGA_RDSK || big === layout.AMIGA_PART) {
    found.add(big === layout.AMIGA_RDSK ? layout.amiga_rdb : layout.amiga_partition, at, true);
    found.seal(at, SECTOR, (data, write) => {
      let sum = -viewOf(data).getUint32(at + 8);
      for (let n = 0; n < SECTOR; n += 4) sum += viewOf(data).getUint32(at + n);
      write(at + 8, fieldBytes({ size: 4, big: true }, BigInt(-sum)));
    });
  } else if (big === layout.DVH_MAGIC) {
    found.add(layout.dvh_header, at, true);
    slots(layout.dvh_partition, at + layout.DVH_PARTITIONS, true);
  } else if (view.getUint16(at + 508) === layout.SUN_MAGIC) {
    found.add(layout.sun_label, at, true);
    slots(layout.sun_info, at + layout.SUN_INFOS, true);
    slots(layout.sun_slice, at + layout.SUN_SLICES, true);
    found.seal(at, SECTOR, (data, write) =>
      write(at + 510, fieldBytes({ size: 2, big: true }, words(data, at, false))),
    );
  } else if (view.getUint16(at + 508, true) === layout.SUN_MAGIC) {
    found.add(layout.sunpc_label, at);
    slots(layout.sunpc_slice, at + layout.SUNPC_SLICES, false);
    found.seal(at, SECTOR, (data, write) =>
      write(at + 510, fieldBytes({ size: 2, big: false }, words(data, at, true))),
    );
  } else if (little === layout.ACORN_NATIVE || little === layout.ACORN_SWAP) slots(layout.acorn_entry, at, false);
  if (at === layout.ACORN_BOOT_AT) {
    found.add(layout.acorn_boot, at);
    found.seal(at, SECTOR, (data, write) => {
      let sum = 0;
      for (let n = 0; n < SECTOR - 1; n += 1) sum = (sum & 0xff) + (sum >> 8) + data[at + n]!;
      write(at + SECTOR - 1, Uint8Array.of(sum));
    });
  }
}

/** All words of a sector but the last one, added up by exclusive or. */
function words(data: Uint8Array, at: number, little: boolean): bigint {
  let sum = 0;
  for (let n = 0; n < SECTOR - 2; n += 2) sum ^= viewOf(data).getUint16(at + n, little);
  return BigInt(sum);
}
