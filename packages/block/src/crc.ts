import { WASM } from "./crc32c-wasm.js";
import { viewOf } from "./struct.js";
import { compileWasm } from "./wasm.js";

/** Tables for slicing by sixteen: table[n][b] is the CRC of byte b followed by n zero bytes. Reflected polynomial. */
function makeTables(polynomial: number): Int32Array {
  const tables = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}

/** From this many bytes on WebAssembly is faster even for who has to make an array for it. */
const LONG = 1024;
/** Below this many bytes the view that longer ones are read through costs more than it gains. */
const SHORT = 256;

/** Runs the bare register over bytes `from` to `to`: no inversion at either end. Signed in, signed out. */
function update(tables: Int32Array, register: number, data: Uint8Array, from: number, to: number): number {
  if (to - from >= SHORT) return updateView(tables, register, viewOf(data), from, to);
  let crc = register;
  for (let at = from; at < to; at += 1) crc = (crc >>> 8) ^ tables[(crc ^ data[at]!) & 0xff]!;
  return crc;
}

/** As `update`; sixteen bytes at a time, then four, then one. */
function updateView(tables: Int32Array, register: number, view: DataView, from: number, to: number): number {
  let crc = register;
  let at = from;
  for (const end = to - 15; at < end; at += 16) {
    const a = crc ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    const c = view.getInt32(at + 8, true);
    const d = view.getInt32(at + 12, true);
    crc =
      tables[0xf00 + (a & 0xff)]! ^
      tables[0xe00 + ((a >>> 8) & 0xff)]! ^
      tables[0xd00 + ((a >>> 16) & 0xff)]! ^
      tables[0xc00 + (a >>> 24)]! ^
      tables[0xb00 + (b & 0xff)]! ^
      tables[0xa00 + ((b >>> 8) & 0xff)]! ^
      tables[0x900 + ((b >>> 16) & 0xff)]! ^
      tables[0x800 + (b >>> 24)]! ^
      tables[0x700 + (c & 0xff)]! ^
      tables[0x600 + ((c >>> 8) & 0xff)]! ^
      tables[0x500 + ((c >>> 16) & 0xff)]! ^
      tables[0x400 + (c >>> 24)]! ^
      tables[0x300 + (d & 0xff)]! ^
      tables[0x200 + ((d >>> 8) & 0xff)]! ^
      tables[0x100 + ((d >>> 16) & 0xff)]! ^
      tables[d >>> 24]!;
  }
  for (const end = to - 3; at < end; at += 4) crc = updateWord(tables, crc, view.getInt32(at, true));
  for (; at < to; at += 1) crc = (crc >>> 8) ^ tables[(crc ^ view.getUint8(at)) & 0xff]!;
  return crc;
}

/** As `update`, over the four bytes of a little-endian word. */
function updateWord(tables: Int32Array, register: number, word: number): number {
  const low = register ^ word;
  return (
    tables[0x300 + (low & 0xff)]! ^
    tables[0x200 + ((low >>> 8) & 0xff)]! ^
    tables[0x100 + ((low >>> 16) & 0xff)]! ^
    tables[low >>> 24]!
  );
}

const CASTAGNOLI = 0x82f63b78;

/** What assembly/crc32c.ts exports. */
interface Crc32cExports {
  readonly memory: WebAssembly.Memory;
  readonly DATA: WebAssembly.Global<"i32">;
  readonly ROOM: WebAssembly.Global<"i32">;
  readonly REGISTERS: WebAssembly.Global<"i32">;
  readonly RECORDS: WebAssembly.Global<"i32">;
  readonly EXPECTED: WebAssembly.Global<"i32">;
  makeTables(polynomial: number): void;
  update(register: number, length: number): number;
  clear(at: number, bytes: number, count: number, size: number): void;
  areAsExpected(count: number, size: number): number;
  updateRecords(count: number, size: number): void;
}

/** Bytes of each record that are taken as zeros, from byte `at` of it: where its checksum stands. */
export interface Gap {
  readonly at: number;
  readonly size: number;
}

/** CRC-32C with the tables in hand: those of WebAssembly, where there is any. */
interface Crc32c {
  readonly tables: Int32Array;
  /** As `update`, for ranges that are not short. */
  update(register: number, data: Uint8Array, from: number, to: number): number;
  /** As `crc32cOfRecords`; undefined where it cannot. */
  updateRecords(
    data: Uint8Array,
    size: number,
    gaps: readonly Gap[],
    registers: Int32Array,
    expected: Int32Array | undefined,
  ): boolean | undefined;
}

/** V8 takes milliseconds to make `updateView` fast, which is longer than a small disk takes; WebAssembly is fast at once. */
function makeCrc32c(): Crc32c {
  let wasm: Crc32cExports;
  try {
    wasm = new WebAssembly.Instance(compileWasm(WASM)).exports as unknown as Crc32cExports;
  } catch {
    // A content policy forbids it, the processor or the browser has no SIMD, or there is no room for its memory.
    const tables = makeTables(CASTAGNOLI);
    return {
      tables,
      update: (register, data, from, to) => updateView(tables, register, viewOf(data), from, to),
      updateRecords: () => undefined,
    };
  }
  wasm.makeTables(CASTAGNOLI);
  const start = wasm.DATA.value;
  const room = wasm.ROOM.value;
  const memory = new Uint8Array(wasm.memory.buffer);
  const kept = new Int32Array(wasm.memory.buffer, wasm.REGISTERS.value, wasm.RECORDS.value);
  const wanted = new Int32Array(wasm.memory.buffer, wasm.EXPECTED.value, wasm.RECORDS.value);
  const place = (data: Uint8Array, count: number, size: number, gaps: readonly Gap[]): void => {
    memory.set(data.subarray(0, count * size), start);
    for (const gap of gaps) wasm.clear(gap.at, gap.size, count, size);
  };
  return {
    tables: new Int32Array(wasm.memory.buffer, 0, 16 * 256),
    update(register, data, from, to) {
      let crc = register;
      for (let at = from; at < to; at += room) {
        const end = Math.min(to, at + room);
        memory.set(data.subarray(at, end), start);
        crc = wasm.update(crc, end - at);
      }
      return crc;
    },
    updateRecords(data, size, gaps, registers, expected) {
      const count = registers.length;
      if (size % 8 !== 0 || count > kept.length || count * size > room) return undefined;
      place(data, count, size, gaps);
      kept.set(registers);
      if (expected !== undefined) {
        wanted.set(expected);
        if (wasm.areAsExpected(count, size) !== 0) {
          registers.set(expected);
          return true;
        }
        place(data, count, size, gaps);
      }
      wasm.updateRecords(count, size);
      for (let n = 0; n < count; n += 1) registers[n] = kept[n]!;
      return false;
    },
  };
}

let ieee: Int32Array | undefined;
let castagnoli: Crc32c | undefined;

/** Data of this many bytes is worth the loading of Node's zlib, which sums fifteen times as fast; so is as much in pieces. */
const LARGE = 64 << 10;
const MUCH = 1 << 20;
/** Below this many bytes a call into Node takes longer than the sum. */
const WORTH_A_CALL = 512;

type Sum = (data: Uint8Array, seed: number) => number;
interface NodeProcess {
  getBuiltinModule?(id: string): { readonly crc32?: Sum } | undefined;
}

let native: Sum | undefined | "unknown" = "unknown";
/** Bytes that were summed without it. */
let summed = 0;

/** The sum of Node's zlib, where there is one: asked for without an import, so that bundles for browsers stay free of it. */
function nativeCrc32(length: number): Sum | undefined {
  if (length < WORTH_A_CALL) return undefined;
  if (native === "unknown") {
    summed += length;
    if (length < LARGE && summed < MUCH) return undefined;
    native = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.("node:zlib")?.crc32;
  }
  return native;
}

/** CRC-32 (IEEE 802.3, as in GPT, gzip and zlib's crc32), inverted at both ends. `seed` is an earlier result. */
export function crc32(data: Uint8Array, seed = 0): number {
  const sum = nativeCrc32(data.length);
  if (sum !== undefined) return sum(data, seed >>> 0);
  ieee ??= makeTables(0xedb88320);
  return ~update(ieee, ~seed, data, 0, data.length) >>> 0;
}

/**
 * The bare CRC-32C register (Castagnoli), with no inversion: what the kernel's `crc32c_le` computes, as ext4 (seed
 * 0xffffffff, result as it is) uses it. Of `data` bytes `from` to `to`: a view of a part would cost more than the sum
 * of an inode.
 */
export function crc32cRaw(data: Uint8Array, register: number, from = 0, to = data.length): number {
  castagnoli ??= makeCrc32c();
  if (to - from >= SHORT) return castagnoli.update(register | 0, data, from, to) >>> 0;
  return update(castagnoli.tables, register | 0, data, from, to) >>> 0;
}

/** As `crc32cRaw`, of bytes `from` to `to` of a view: for who has one, it takes half of the time of short ranges. */
export function crc32cOfView(view: DataView, register: number, from: number, to: number): number {
  castagnoli ??= makeCrc32c();
  if (to - from >= LONG) {
    const data = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return castagnoli.update(register | 0, data, from, to) >>> 0;
  }
  return updateView(castagnoli.tables, register | 0, view, from, to) >>> 0;
}

/** The bare CRC-32C register over the four bytes of a little-endian word: what seeds most checksums of ext4. */
export function crc32cWord(value: number, register: number): number {
  castagnoli ??= makeCrc32c();
  return updateWord(castagnoli.tables, register | 0, value) >>> 0;
}

/**
 * The bare CRC-32C registers over records of `size` bytes that lie one behind the other, each with its gaps as zeros: what
 * a table of inodes takes, four at a time, in a third of the time of one after the other.
 *
 * @param data The records, as many as there are registers.
 * @param registers Where each record's sum starts; afterwards the sums, signed.
 * @param expected What the sums should be. Whether they all are is found by one sum, in less than half of the time of
 *   theirs; a record that is not sees to it that they are not, and two such would hide each other once in 2^32 times.
 * @returns Whether all are known to be as expected: who keeps that need not compare each.
 */
export function crc32cOfRecords(
  data: Uint8Array,
  size: number,
  gaps: readonly Gap[],
  registers: Int32Array<ArrayBuffer>,
  expected?: Int32Array<ArrayBuffer>,
): boolean {
  castagnoli ??= makeCrc32c();
  const known = castagnoli.updateRecords(data, size, gaps, registers, expected);
  if (known !== undefined) return known;
  const record = new Uint8Array(size);
  for (let n = 0; n < registers.length; n += 1) {
    record.set(data.subarray(n * size, (n + 1) * size));
    for (const { at, size: length } of gaps) record.fill(0, at, at + length);
    registers[n] = crc32cRaw(record, registers[n]!) | 0;
  }
  return expected?.every((sum, n) => sum === registers[n]) ?? false;
}

/** CRC-32C inverted at both ends, as in iSCSI, btrfs, XFS and VHDX. `seed` is an earlier result. */
export function crc32c(data: Uint8Array, seed = 0): number {
  return ~crc32cRaw(data, ~seed) >>> 0;
}
