/** VMDK extents after VMware's "Virtual Disk Format 5.0"; seSparse as QEMU reads it. */
import { deflateSync } from "node:zlib";
import { FileBytes } from "./bytes.js";

const SECTOR = 512;

export interface SparseOptions {
  /** Bytes. */
  readonly capacity: number;
  readonly grainSize?: number;
  readonly grains?: ReadonlyMap<number, Uint8Array | "zero">;
  readonly descriptor?: string;
  readonly flags?: number;
  /** Stream optimized: grains in zlib streams with markers, the directory at the end. */
  readonly compressed?: boolean;
  /** What is stored for a compressed grain instead of its own stream. */
  readonly streams?: ReadonlyMap<number, Uint8Array>;
}

export interface SparseLayout {
  readonly file: Uint8Array;
  readonly directory: number;
  readonly table: number;
  /** By grain, where it is stored. */
  readonly grains: ReadonlyMap<number, number>;
  /** Of the header in force. */
  readonly header: number;
}

/** Hosted sparse extents: section "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents". */
export function buildSparse(options: SparseOptions): SparseLayout {
  const { capacity, grainSize = 65536, grains = new Map<number, Uint8Array | "zero">(), compressed = false } = options;
  const tables = Math.ceil(capacity / (512 * grainSize));
  const file = new FileBytes();
  file.bytes(SECTOR, new Uint8Array(20 * SECTOR)).text(SECTOR, options.descriptor ?? "");
  const header = (gdOffset: bigint): Uint8Array => {
    const flags = options.flags ?? (compressed ? 0x30001 : 0x5);
    const out = new FileBytes()
      .text(0, "KDMV")
      .le(4, 4, compressed ? 3 : 1)
      .le(8, 4, flags);
    out.le(12, 8, capacity / SECTOR).le(20, 8, grainSize / SECTOR);
    if (options.descriptor !== undefined) out.le(28, 8, 1).le(36, 8, 20);
    out.le(44, 4, 512).le(56, 8, gdOffset).le(64, 8, 128);
    return out
      .text(73, "\n \r\n")
      .le(77, 2, compressed ? 1 : 0)
      .finish(SECTOR);
  };
  const layOut = (): { directory: number; table: number } => {
    const directory = file.end(SECTOR);
    const table = directory + Math.ceil((tables * 4) / SECTOR) * SECTOR;
    for (let index = 0; index < tables; index += 1) file.le(directory + index * 4, 4, (table + index * 2048) / SECTOR);
    file.bytes(table, new Uint8Array(tables * 2048));
    return { directory, table };
  };
  const stored = new Map<number, number>();
  const store = (grain: number, data: Uint8Array): void => {
    const at = file.end(compressed ? SECTOR : grainSize);
    stored.set(grain, at);
    if (!compressed) {
      file.bytes(at, new Uint8Array(grainSize)).bytes(at, data);
      return;
    }
    const packed = options.streams?.get(grain) ?? deflateSync(data);
    file
      .le(at, 8, (grain * grainSize) / SECTOR)
      .le(at + 8, 4, packed.length)
      .bytes(at + 12, packed);
  };
  const fill = (table: number): void => {
    for (const [grain, data] of grains)
      file.le(table + grain * 4, 4, data === "zero" ? 1 : stored.get(grain)! / SECTOR);
  };
  const storeAll = (): void => {
    for (const [grain, data] of grains) if (data !== "zero") store(grain, data);
  };
  if (!compressed) {
    const { directory, table } = layOut();
    storeAll();
    fill(table);
    file.bytes(0, header(BigInt(directory / SECTOR)));
    return { file: file.finish(file.end(SECTOR)), directory, table, grains: stored, header: 0 };
  }
  file.bytes(0, header(0xffff_ffff_ffff_ffffn));
  storeAll();
  const { directory, table } = layOut();
  fill(table);
  const footer = file.end(SECTOR) + SECTOR;
  // Footer marker: type 3. The end-of-stream marker is a sector of zeros.
  file
    .le(footer - SECTOR, 8, 1)
    .le(footer - SECTOR + 12, 4, 3)
    .bytes(footer, header(BigInt(directory / SECTOR)));
  file.bytes(footer + SECTOR, new Uint8Array(SECTOR));
  return { file: file.finish(), directory, table, grains: stored, header: footer };
}

/** ESX Server sparse extents: section "ESX Server Sparse Extents". */
export function buildCowd(capacity: number, grains: ReadonlyMap<number, Uint8Array>, grainSize = SECTOR): Uint8Array {
  const tables = Math.ceil(capacity / (4096 * grainSize));
  const file = new FileBytes()
    .text(0, "COWD")
    .le(4, 4, 1)
    .le(8, 4, 3)
    .le(12, 4, capacity / SECTOR);
  file
    .le(16, 4, grainSize / SECTOR)
    .le(20, 4, 4)
    .le(24, 4, tables);
  const table = 4 * SECTOR + Math.ceil((tables * 4) / SECTOR) * SECTOR;
  file.bytes(table, new Uint8Array(tables * 16384));
  for (let index = 0; index < tables; index += 1) file.le(4 * SECTOR + index * 4, 4, (table + index * 16384) / SECTOR);
  for (const [grain, data] of grains) {
    const at = file.end(SECTOR);
    file
      .bytes(at, new Uint8Array(grainSize))
      .bytes(at, data)
      .le(table + grain * 4, 4, at / SECTOR);
  }
  return file.finish(file.end(SECTOR));
}

/** seSparse: grains of 4 KiB, tables of 4096 entries of 64 bits. */
export function buildSeSparse(
  capacity: number,
  grains: ReadonlyMap<number, Uint8Array | "zero" | "unmapped">,
): Uint8Array {
  const tables = Math.ceil(capacity / (4096 * 4096));
  const directorySectors = Math.ceil((tables * 8) / SECTOR);
  const tablesAt = 2 + directorySectors;
  const grainsAt = Math.ceil((tablesAt + tables * 64) / 8) * 8;
  const file = new FileBytes()
    .le(0, 8, 0xcafebaben)
    .le(8, 8, 0x2_0000_0001n)
    .le(16, 8, capacity / SECTOR);
  file.le(24, 8, 8).le(32, 8, 64).le(80, 8, 1).le(88, 8, 1);
  file
    .le(128, 8, 2)
    .le(136, 8, directorySectors)
    .le(144, 8, tablesAt)
    .le(152, 8, tables * 64)
    .le(192, 8, grainsAt);
  file.le(SECTOR, 8, 0xcafecafen);
  for (let index = 0; index < tables; index += 1) {
    file.le(2 * SECTOR + index * 8, 8, 0x1000_0000_0000_0000n | BigInt(index));
  }
  file.bytes(tablesAt * SECTOR, new Uint8Array(tables * 64 * SECTOR));
  let next = 0;
  for (const [grain, data] of grains) {
    const entry = tablesAt * SECTOR + grain * 8;
    if (data === "zero") file.le(entry, 8, 0x2000_0000_0000_0000n);
    else if (data === "unmapped") file.le(entry, 8, 0x1000_0000_0000_0000n);
    else {
      // The number's low 12 bits are stored in bits 48 to 59, the rest from bit 0 on.
      file.le(entry, 8, (3n << 60n) | (BigInt(next & 0xfff) << 48n) | BigInt(next >> 12));
      file.bytes(grainsAt * SECTOR + next * 4096, new Uint8Array(4096)).bytes(grainsAt * SECTOR + next * 4096, data);
      next += 1;
    }
  }
  return file.finish(file.end(SECTOR));
}

export interface DescriptorOptions {
  readonly createType?: string;
  readonly cid?: string;
  readonly parentCid?: string;
  readonly parent?: string;
  readonly extents: readonly string[];
}

export function descriptorText(options: DescriptorOptions): string {
  const { createType = "twoGbMaxExtentSparse", cid = "12345678", parentCid = "ffffffff", parent, extents } = options;
  return [
    "# Disk DescriptorFile",
    "version=1",
    `CID=${cid}`,
    `parentCID=${parentCid}`,
    `createType="${createType}"`,
    ...(parent === undefined ? [] : [`parentFileNameHint="${parent}"`]),
    "",
    "# Extent description",
    ...extents,
    "",
    "# The Disk Data Base",
    "#DDB",
    'ddb.adapterType = "ide"',
    "",
  ].join("\n");
}
