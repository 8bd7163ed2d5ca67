import { crc32 } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/partition/layout";
import { AnatomyBuilder, type Dissect, fieldBytes } from "../lib/spots.js";

const SECTOR = 512;
const MBR_SIGNATURE_AT = 510;

/** Every sector that ends in the signature of an MBR, and both GPT headers with their entries. */
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
