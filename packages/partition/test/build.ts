import { crc32 } from "@guestprobe/block";

/** Fields of one MBR entry; sectors. */
export interface EntrySpec {
  readonly status?: number;
  readonly type?: number;
  readonly start?: number;
  readonly sectors?: number;
}

/** A disk of zeros that tables are written into. */
export function disk(sectors: number, sectorSize = 512): Uint8Array {
  return new Uint8Array(sectors * sectorSize);
}

/** Writes the four entries of an MBR or an extended boot record, and 55 AA, at `lba`. */
export function putMbr(
  image: Uint8Array,
  entries: readonly EntrySpec[],
  { lba = 0, sectorSize = 512, id = 0 }: { lba?: number; sectorSize?: number; id?: number } = {},
): void {
  const view = new DataView(image.buffer, image.byteOffset + lba * sectorSize, 512);
  view.setUint32(440, id, true);
  for (const [index, { status = 0, type = 0x83, start = 0, sectors = 0 }] of entries.entries()) {
    const at = 446 + 16 * index;
    view.setUint8(at, status);
    view.setUint8(at + 4, type);
    view.setUint32(at + 8, start, true);
    view.setUint32(at + 12, sectors, true);
  }
  view.setUint8(510, 0x55);
  view.setUint8(511, 0xaa);
}

export interface GptEntrySpec {
  /** Slot from 1. */
  readonly slot: number;
  readonly first: number | bigint;
  readonly last: number | bigint;
  readonly name?: string;
  readonly attributes?: bigint;
}

export interface GptSpec {
  readonly sectorSize?: number;
  readonly entrySize?: number;
  readonly count?: number;
  /** Entries that the array on disk holds; by default `count`. */
  readonly room?: number;
  readonly entries?: readonly GptEntrySpec[];
  readonly protective?: boolean;
  readonly backup?: boolean;
  /** Changes a header before its checksum is computed. */
  readonly edit?: (header: DataView, which: "primary" | "backup") => void;
}

/** Linux file system data, as its sixteen bytes lie on disk. */
export const LINUX_TYPE = Uint8Array.of(
  0xaf,
  0x3d,
  0xc6,
  0x0f,
  0x83,
  0x84,
  0x72,
  0x47,
  0x8e,
  0x79,
  0x3d,
  0x69,
  0xd8,
  0x47,
  0x7d,
  0xe4,
);

/** Writes a GPT, by default with its protective MBR and its backup. UEFI Specification 2.10, section 5.3. */
export function putGpt(image: Uint8Array, spec: GptSpec = {}): void {
  const { sectorSize = 512, entrySize = 128, count = 128, entries = [], protective = true, backup = true } = spec;
  const sectors = Math.floor(image.length / sectorSize);
  const array = new Uint8Array((spec.room ?? count) * entrySize);
  const arraySectors = Math.ceil(array.length / sectorSize);
  const entryView = new DataView(array.buffer);
  for (const entry of entries) {
    const at = (entry.slot - 1) * entrySize;
    array.set(LINUX_TYPE, at);
    array.fill(entry.slot, at + 16, at + 32);
    entryView.setBigUint64(at + 32, BigInt(entry.first), true);
    entryView.setBigUint64(at + 40, BigInt(entry.last), true);
    entryView.setBigUint64(at + 48, entry.attributes ?? 0n, true);
    for (const [index, unit] of [...(entry.name ?? "")].entries()) {
      entryView.setUint16(at + 56 + 2 * index, unit.charCodeAt(0), true);
    }
  }
  if (protective) putMbr(image, [{ type: 0xee, start: 1, sectors: Math.min(sectors - 1, 0xffffffff) }], { sectorSize });
  const lastUsable = sectors - arraySectors - 2;
  const put = (which: "primary" | "backup", lba: number, other: number, arrayLba: number): void => {
    const header = new DataView(new ArrayBuffer(sectorSize));
    for (const [index, char] of [..."EFI PART"].entries()) header.setUint8(index, char.charCodeAt(0));
    header.setUint32(8, 0x10000, true);
    header.setUint32(12, 92, true);
    header.setBigUint64(24, BigInt(lba), true);
    header.setBigUint64(32, BigInt(other), true);
    header.setBigUint64(40, BigInt(2 + arraySectors), true);
    header.setBigUint64(48, BigInt(Math.max(0, lastUsable)), true);
    for (let at = 0; at < 16; at += 1) header.setUint8(56 + at, 0xd0 + at);
    header.setBigUint64(72, BigInt(arrayLba), true);
    header.setUint32(80, count, true);
    header.setUint32(84, entrySize, true);
    header.setUint32(88, crc32(array), true);
    spec.edit?.(header, which);
    header.setUint32(16, 0, true);
    header.setUint32(16, crc32(new Uint8Array(header.buffer, 0, 92)), true);
    image.set(array, arrayLba * sectorSize);
    image.set(new Uint8Array(header.buffer), lba * sectorSize);
  };
  put("primary", 1, sectors - 1, 2);
  if (backup) put("backup", sectors - 1, 1, sectors - 1 - arraySectors);
}
