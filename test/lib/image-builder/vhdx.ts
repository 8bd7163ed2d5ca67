/** VHDX images after [MS-VHDX]. */
import { crc32c } from "@guestprobe/block";
import { FileBytes } from "./bytes.js";

const MIB = 1 << 20;
/** Where this builder puts things; the format leaves it free from 1 MiB on. */
export const VHDX_AT = { log: MIB, metadata: 2 * MIB, bat: 3 * MIB, blocks: 4 * MIB };

export interface VhdxBlock {
  /** Payload states of section 2.5.1.1. */
  readonly state: number;
  readonly data?: Uint8Array;
  /** State 7: which sectors of the block are present. */
  readonly present?: (sector: number) => boolean;
}

export type LogDescriptor =
  | { readonly kind: "data"; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: "zero"; readonly offset: number; readonly length: number };

export interface LogEntryOptions {
  /** Bytes from the start of the log. */
  readonly at: number;
  readonly tail: number;
  readonly sequence: bigint;
  readonly descriptors: readonly LogDescriptor[];
  readonly flushed?: number;
  readonly last?: number;
}

export interface VhdxOptions {
  readonly size: number;
  readonly blockSize?: number;
  readonly sectorSize?: number;
  readonly fixed?: boolean;
  readonly blocks?: ReadonlyMap<number, VhdxBlock>;
  readonly parent?: Readonly<Record<string, string>>;
  readonly dataWriteGuid?: string;
  readonly log?: readonly LogEntryOptions[];
  /** Sequence numbers of the two headers. */
  readonly sequences?: readonly [number, number];
}

export const LOG_GUID = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9";

/** Writes the CRC-32C of `length` bytes from `at`, at byte `at + 4`, which counts as zero. */
export function sealVhdx(file: Uint8Array, at: number, length: number): void {
  file.fill(0, at + 4, at + 8);
  new DataView(file.buffer, file.byteOffset).setUint32(at + 4, crc32c(file.subarray(at, at + length)), true);
}

/** Section 2.3.1: one entry, ready to be stored at `at` of the log. */
export function buildLogEntry(options: LogEntryOptions): Uint8Array {
  const { tail, sequence, descriptors } = options;
  const head = Math.ceil((64 + descriptors.length * 32) / 4096) * 4096;
  const pages = descriptors.filter((descriptor) => descriptor.kind === "data").length;
  const length = head + pages * 4096;
  const out = new FileBytes().text(0, "loge").le(8, 4, length).le(12, 4, tail).le(16, 8, sequence);
  out.le(24, 4, descriptors.length).guid(32, LOG_GUID);
  out.le(48, 8, options.flushed ?? 4 * MIB).le(56, 8, options.last ?? 4 * MIB);
  let page = head;
  for (const [index, descriptor] of descriptors.entries()) {
    const at = 64 + index * 32;
    out.le(at + 16, 8, descriptor.offset).le(at + 24, 8, sequence);
    if (descriptor.kind === "zero") {
      out.text(at, "zero").le(at + 8, 8, descriptor.length);
      continue;
    }
    const { data } = descriptor;
    out
      .text(at, "desc")
      .bytes(at + 4, data.subarray(4092))
      .bytes(at + 8, data.subarray(0, 8));
    out
      .text(page, "data")
      .le(page + 4, 4, sequence >> 32n)
      .bytes(page + 8, data.subarray(8, 4092));
    out.le(page + 4092, 4, sequence & 0xffff_ffffn);
    page += 4096;
  }
  const entry = out.finish(length);
  sealVhdx(entry, 0, length);
  return entry;
}

export function buildVhdx(options: VhdxOptions): Uint8Array {
  const { size, blockSize = MIB, sectorSize = 512, blocks = new Map<number, VhdxBlock>(), parent } = options;
  const file = new FileBytes().text(0, "vhdxfile").utf16le(8, "by hand");
  const [first, second] = options.sequences ?? [7, 8];
  for (const [at, sequence] of [
    [65536, first],
    [131072, second],
  ] as const) {
    file.text(at, "head").le(at + 8, 8, sequence);
    file.guid(at + 32, options.dataWriteGuid ?? "11111111-2222-3333-4444-555555555555");
    if (options.log !== undefined) file.guid(at + 48, LOG_GUID);
    file
      .le(at + 66, 2, 1)
      .le(at + 68, 4, MIB)
      .le(at + 72, 8, VHDX_AT.log);
  }
  for (const at of [196608, 262144]) {
    file.text(at, "regi").le(at + 8, 4, 2);
    file.guid(at + 16, "2DC27766-F623-4200-9D64-115E9BFD4A08").le(at + 32, 8, VHDX_AT.bat);
    file.le(at + 40, 4, MIB).le(at + 44, 4, 1);
    file.guid(at + 48, "8B7CA206-4790-4B9A-B8FE-575F050F886E").le(at + 64, 8, VHDX_AT.metadata);
    file.le(at + 72, 4, MIB).le(at + 76, 4, 1);
  }
  const flags = (options.fixed ? 1 : 0) | (parent === undefined ? 0 : 2);
  const items: (readonly [string, number, Uint8Array])[] = [
    ["CAA16737-FA36-4D43-B3B6-33F0AA44E76B", 4, new FileBytes().le(0, 4, blockSize).le(4, 4, flags).finish()],
    ["2FA54224-CD1B-4876-B211-5DBED83BF4B8", 6, new FileBytes().le(0, 8, size).finish()],
    ["BECA12AB-B2E6-4523-93EF-C309E000C746", 6, new FileBytes().guid(0, LOG_GUID).finish()],
    ["8141BF1D-A96F-4709-BA47-F233A8FAAB5F", 6, new FileBytes().le(0, 4, sectorSize).finish()],
    ["CDA348C7-445D-4471-9CC9-E9885251C556", 6, new FileBytes().le(0, 4, 4096).finish()],
  ];
  if (parent !== undefined) items.push(["A8D35F2D-B30B-454D-ABF7-D3D84834AB0C", 4, parentLocator(parent)]);
  const table = VHDX_AT.metadata;
  file.text(table, "metadata").le(table + 10, 2, items.length);
  let offset = 65536;
  for (const [index, [id, bits, data]] of items.entries()) {
    const at = table + 32 + index * 32;
    file
      .guid(at, id)
      .le(at + 16, 4, offset)
      .le(at + 20, 4, data.length)
      .le(at + 24, 4, bits);
    file.bytes(table + offset, data);
    offset += Math.ceil(data.length / 8) * 8;
  }
  file.bytes(VHDX_AT.blocks - 1, Uint8Array.of(0));

  const ratio = (2 ** 23 * sectorSize) / blockSize;
  const bitmaps = new Map<number, Uint8Array>();
  for (const [index, { state, data, present }] of blocks) {
    const entry = VHDX_AT.bat + (index + Math.floor(index / ratio)) * 8;
    if (data === undefined) {
      file.le(entry, 8, state);
      continue;
    }
    const at = file.end(MIB);
    file
      .bytes(at, new Uint8Array(blockSize))
      .bytes(at, data)
      .le(entry, 8, BigInt(at) | BigInt(state));
    if (present === undefined) continue;
    const chunk = Math.floor(index / ratio);
    const bitmap = bitmaps.get(chunk) ?? new Uint8Array(MIB);
    bitmaps.set(chunk, bitmap);
    const base = ((index % ratio) * blockSize) / sectorSize;
    for (let sector = 0; sector < blockSize / sectorSize; sector += 1) {
      if (present(sector)) bitmap[(base + sector) >> 3]! |= 1 << ((base + sector) & 7);
    }
  }
  for (const [chunk, bitmap] of bitmaps) {
    const at = file.end(MIB);
    file.bytes(at, bitmap).le(VHDX_AT.bat + (chunk * (ratio + 1) + ratio) * 8, 8, BigInt(at) | 6n);
  }
  for (const entry of options.log ?? []) {
    const data = buildLogEntry(entry);
    // The log is a ring.
    const room = Math.min(data.length, MIB - entry.at);
    file.bytes(VHDX_AT.log + entry.at, data.subarray(0, room)).bytes(VHDX_AT.log, data.subarray(room));
  }
  const image = file.finish(file.end(MIB));
  for (const at of [65536, 131072]) sealVhdx(image, at, 4096);
  for (const at of [196608, 262144]) sealVhdx(image, at, 65536);
  return image;
}

/** Section 2.6.2.6. */
function parentLocator(pairs: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(pairs);
  const out = new FileBytes().guid(0, "B04AEFB7-D19E-4A81-B789-25B8E9445913").le(18, 2, entries.length);
  let text = 20 + entries.length * 12;
  for (const [index, [key, value]] of entries.entries()) {
    const at = 20 + index * 12;
    out.le(at, 4, text).le(at + 4, 4, text + key.length * 2);
    out.le(at + 8, 2, key.length * 2).le(at + 10, 2, value.length * 2);
    out.utf16le(text, key + value);
    text += (key.length + value.length) * 2;
  }
  return out.finish();
}
