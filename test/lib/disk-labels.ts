/** Writes the partition tables for which no tool is packaged, field by field from the headers of their systems. */

/** One partition; sectors of 512 bytes. */
export interface LabelPart {
  /** From 1. */
  readonly slot: number;
  readonly start: number;
  readonly sectors: number;
  readonly type?: number;
}

const SECTOR = 512;
const viewOf = (disk: Uint8Array, sector: number): DataView =>
  new DataView(disk.buffer, disk.byteOffset + sector * SECTOR);

/** A BSD disklabel in the sector after `sector`. NetBSD, sys/disklabel.h. */
export function putBsd(
  disk: Uint8Array,
  parts: readonly LabelPart[],
  { sector = 0, slots = 8, whole = 0 }: { sector?: number; slots?: number; whole?: number } = {},
): void {
  const view = viewOf(disk, sector + 1);
  view.setUint32(0, 0x82564557, true);
  view.setUint32(0x28, SECTOR, true);
  view.setUint32(0x84, 0x82564557, true);
  view.setUint16(0x8a, slots, true);
  const all: LabelPart[] = [{ slot: 3, start: whole, sectors: disk.length / SECTOR - whole, type: 0 }, ...parts];
  for (const { slot, start, sectors, type = 7 } of all) {
    const at = 148 + (slot - 1) * 16;
    view.setUint32(at, sectors, true);
    view.setUint32(at + 4, start, true);
    view.setUint8(at + 12, type);
  }
  let sum = 0;
  for (let at = 0; at < 148 + slots * 16; at += 2) sum ^= view.getUint16(at, true);
  view.setUint16(0x88, sum, true);
}

/** An Apple partition map of blocks of this size; its own entry is not added. */
export function putApple(disk: Uint8Array, parts: readonly LabelPart[], blockSize = SECTOR): void {
  const head = viewOf(disk, 0);
  head.setUint16(0, 0x4552);
  head.setUint16(2, blockSize);
  for (const { slot, start, sectors } of parts) {
    const view = new DataView(disk.buffer, disk.byteOffset + slot * blockSize);
    view.setUint16(0, 0x504d);
    view.setUint32(4, parts.length);
    view.setUint32(8, (start * SECTOR) / blockSize);
    view.setUint32(12, (sectors * SECTOR) / blockSize);
    disk.set(new TextEncoder().encode(`part ${slot}`), slot * blockSize + 16);
    disk.set(new TextEncoder().encode("Apple_UNIX_SVR2"), slot * blockSize + 48);
  }
}

/** The VTOC of Solaris on PCs, in the sector after `sector`. illumos, sys/dklabel.h. */
export function putSunPc(disk: Uint8Array, parts: readonly LabelPart[], sector = 0): void {
  const view = viewOf(disk, sector + 1);
  for (const { slot, start, sectors, type = 2 } of parts) {
    const at = 72 + (slot - 1) * 12;
    view.setUint16(at, type, true);
    view.setUint32(at + 4, start, true);
    view.setUint32(at + 8, sectors, true);
  }
  view.setUint16(508, 0xdabe, true);
  let sum = 0;
  for (let at = 0; at < SECTOR; at += 2) sum ^= view.getUint16(at, true);
  view.setUint16(510, sum, true);
}

const BIT_REFLECTED = 0xedb88320;
function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? BIT_REFLECTED : 0);
  }
  return ~crc >>> 0;
}

/** DragonFly's disklabel64. sys/disklabel64.h. */
export function putDragonFly(disk: Uint8Array, parts: readonly LabelPart[], sector = 0): void {
  const view = viewOf(disk, sector + 1);
  view.setUint32(0, 0xc4464c59, true);
  view.setUint32(12, 16, true);
  for (const { slot, start, sectors, type = 7 } of parts) {
    const at = 200 + (slot - 1) * 64;
    view.setBigUint64(at, BigInt(start * SECTOR), true);
    view.setBigUint64(at + 8, BigInt(sectors * SECTOR), true);
    view.setUint8(at + 16, type);
  }
  const from = (sector + 1) * SECTOR;
  view.setUint32(4, crc32(disk.subarray(from + 8, from + 200 + 16 * 64)), true);
}

/** Plan 9's lines of text. */
export function putPlan9(disk: Uint8Array, parts: readonly LabelPart[], sector = 0): void {
  const text = parts.map(({ slot, start, sectors }) => `part fs${slot} ${start} ${start + sectors}\n`).join("");
  disk.set(new TextEncoder().encode(text), (sector + 1) * SECTOR);
}

/** Linux's table on an Acorn disk, in `cylinder` of 2 heads and 8 sectors. Linux, block/partitions/acorn.c. */
export function putAcorn(disk: Uint8Array, parts: readonly LabelPart[], cylinder: number): void {
  const boot = viewOf(disk, 6);
  boot.setUint8(0x1c1, 8);
  boot.setUint8(0x1c2, 2);
  boot.setUint8(0x1fc, 9);
  boot.setUint16(0x1fd, cylinder, true);
  let sum = 0;
  for (let at = 0; at < SECTOR - 1; at += 1) sum = (sum & 0xff) + (sum >> 8) + boot.getUint8(at);
  boot.setUint8(0x1ff, sum & 0xff);
  const table = viewOf(disk, cylinder * 16);
  for (const { slot, start, sectors } of parts) {
    const at = (slot - 1) * 12;
    table.setUint32(at, slot === 2 ? 0xdeafab1e : 0xdeafa1de, true);
    table.setUint32(at + 4, start - cylinder * 16, true);
    table.setUint32(at + 8, sectors, true);
  }
}

/** Amiga blocks: the head in sector `at`, its partitions in the sectors after it; one cylinder has 16 sectors. */
export function putAmiga(disk: Uint8Array, parts: readonly LabelPart[], at = 2, next?: readonly number[]): void {
  const close = (view: DataView): void => {
    let sum = 0;
    for (let word = 0; word < SECTOR; word += 4) sum = (sum + view.getUint32(word)) >>> 0;
    view.setUint32(8, -sum >>> 0);
  };
  const head = viewOf(disk, at);
  head.setUint32(0, 0x5244534b);
  head.setUint32(4, 128);
  head.setUint32(0x10, SECTOR);
  head.setUint32(0x1c, parts.length === 0 ? 0xffffffff : at + 1);
  close(head);
  for (const [index, { start, sectors }] of parts.entries()) {
    const view = viewOf(disk, at + 1 + index);
    view.setUint32(0, 0x50415254);
    view.setUint32(4, 128);
    view.setUint32(0x10, next?.[index] ?? (index + 1 < parts.length ? at + 2 + index : 0xffffffff));
    view.setUint8(0x24, 3);
    for (const [letter, char] of [..."DH0"].entries())
      view.setUint8(0x25 + letter, char.charCodeAt(0) + (letter === 2 ? index : 0));
    view.setUint32(0x8c, 2);
    view.setUint32(0x94, 8);
    view.setUint32(0xa4, start / 16);
    view.setUint32(0xa8, (start + sectors) / 16 - 1);
    view.setUint32(0xc0, 0x444f5303);
    close(view);
  }
}
