import { alignUp, type BlockDevice, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { bitmapRuns } from "../bitmap.js";
import type { Layer } from "../layer.js";
import { readTable } from "../tables.js";
import type { VhdDynamicHeader } from "./footer.js";
import { BAT_UNUSED, SECTOR } from "./layout.js";

/** Entries of the table that one step looks at. */
const ENTRIES_AT_ONCE = 4096;
/** Most bytes of a block whose bitmap one step looks at. */
const STEP = 32 << 20;

/**
 * Walks the block allocation table of a dynamic or differencing disk. A block starts with a bitmap of its sectors: a
 * clear bit means that the sector was never written, and so is the parent's, or zero.
 */
export function batLocator(file: BlockDevice, tables: BlockDevice, header: VhdDynamicHeader): Layer["locate"] {
  const { blockSize } = header;
  const bitmapSize = alignUp(blockSize / SECTOR / 8, SECTOR);

  return async (offset, length, signal) => {
    const first = Math.floor(offset / blockSize);
    const count = Math.min(Math.floor((offset + length - 1) / blockSize) - first + 1, ENTRIES_AT_ONCE);
    const at = header.tableOffset + first * 4;
    const structure = "block allocation table";
    const view = viewOf(await readTable(tables, at, count * 4, { format: "vhd", structure }, signal));
    let absent = 0;
    while (absent < count && view.getUint32(absent * 4) === BAT_UNUSED) absent += 1;
    if (absent > 0) {
      return [{ kind: "absent", length: Math.min(length, (first + absent) * blockSize - offset) }];
    }
    const inside = offset - first * blockSize;
    const take = Math.min(length, blockSize - inside, STEP);
    const block = view.getUint32(0) * SECTOR;
    const place = { format: "vhd", structure, offset: at };
    if (block === 0) throw new ImageError("corrupt", `block ${first} lies on the footer's copy`, place);
    const data = block + bitmapSize;
    if (data >= file.size) {
      const reason = `block ${first} at byte ${block} lies past the end of the file at ${file.size}`;
      throw new ImageError("past-end", reason, place);
    }
    const firstSector = Math.floor(inside / SECTOR);
    const lastSector = Math.floor((inside + take - 1) / SECTOR);
    const from = Math.floor(firstSector / 8);
    const bits = await readTable(tables, block + from, Math.floor(lastSector / 8) - from + 1, place, signal);
    // One bit a sector, the first of a byte on top.
    const isSet = (sector: number): boolean => ((bits[(sector >> 3) - from]! >> (7 - (sector & 7))) & 1) === 1;
    return bitmapRuns({ sectorSize: SECTOR, isSet }, inside, take, (start, size) => {
      const available = file.size - data - start;
      if (available <= 0) {
        throw new ImageError("past-end", `block ${first} at byte ${block} passes the end of the file`, place);
      }
      return { kind: "stored", device: file, offset: data + start, length: Math.min(size, available) };
    });
  };
}
