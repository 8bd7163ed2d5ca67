import { WASM } from "./crc32c-wasm.js";
import { compileWasm } from "./wasm.js";

/** Tables for slicing by eight: table[n][b] is the CRC of byte b followed by n zero bytes. Reflected polynomial. */
function makeTables(polynomial: number): Int32Array {
  const tables = new Int32Array(8 * 256);
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

/** Runs the bare register over bytes `from` to `to`: no inversion at either end. Signed in, signed out. */
function update(tables: Int32Array, register: number, data: Uint8Array, from: number, to: number): number {
  let crc = register;
  let at = from;
  for (const end = to - 7; at < end; at += 8) {
    const low = crc ^ (data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24));
    crc =
      tables[0x700 + (low & 0xff)]! ^
      tables[0x600 + ((low >>> 8) & 0xff)]! ^
      tables[0x500 + ((low >>> 16) & 0xff)]! ^
      tables[0x400 + (low >>> 24)]! ^
      tables[0x300 + data[at + 4]!]! ^
      tables[0x200 + data[at + 5]!]! ^
      tables[0x100 + data[at + 6]!]! ^
      tables[data[at + 7]!]!;
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ tables[(crc ^ data[at]!) & 0xff]!;
  return crc;
}

const CASTAGNOLI = 0x82f63b78;
/** Fewer bytes than this are summed here: handing them over costs more. */
const FEW = 128;

/** What assembly/crc32c.ts exports. */
interface Crc32cExports {
  readonly memory: WebAssembly.Memory;
  readonly DATA: WebAssembly.Global<"i32">;
  readonly ROOM: WebAssembly.Global<"i32">;
  makeTables(polynomial: number): void;
  update(register: number, length: number): number;
}

/** CRC-32C with the tables in hand: those of WebAssembly, where there is any. */
interface Crc32c {
  readonly tables: Int32Array;
  /** Runs the bare register over many bytes. */
  update(register: number, data: Uint8Array, from: number, to: number): number;
}

function makeCrc32c(): Crc32c {
  let wasm: Crc32cExports;
  try {
    wasm = new WebAssembly.Instance(compileWasm(WASM)).exports as unknown as Crc32cExports;
  } catch {
    // A content policy forbids it, or there is no room for its memory.
    const tables = makeTables(CASTAGNOLI);
    return { tables, update: (register, data, from, to) => update(tables, register, data, from, to) };
  }
  wasm.makeTables(CASTAGNOLI);
  const start = wasm.DATA.value;
  const room = wasm.ROOM.value;
  const memory = new Uint8Array(wasm.memory.buffer);
  return {
    tables: new Int32Array(wasm.memory.buffer, 0, start / 4),
    update(register, data, from, to) {
      let crc = register;
      for (let at = from; at < to; at += room) {
        const end = Math.min(to, at + room);
        memory.set(data.subarray(at, end), start);
        crc = wasm.update(crc, end - at);
      }
      return crc;
    },
  };
}

let ieee: Int32Array | undefined;
let castagnoli: Crc32c | undefined;

/** CRC-32 (IEEE 802.3, as in GPT, gzip and zlib's crc32), inverted at both ends. `seed` is an earlier result. */
export function crc32(data: Uint8Array, seed = 0): number {
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
  if (to - from >= FEW) return castagnoli.update(register | 0, data, from, to) >>> 0;
  return update(castagnoli.tables, register | 0, data, from, to) >>> 0;
}

/** CRC-32C inverted at both ends, as in iSCSI, btrfs, XFS and VHDX. `seed` is an earlier result. */
export function crc32c(data: Uint8Array, seed = 0): number {
  return ~crc32cRaw(data, ~seed) >>> 0;
}
