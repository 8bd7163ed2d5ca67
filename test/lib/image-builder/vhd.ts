/** VHD images after the "Virtual Hard Disk Image Format Specification" 1.0. */
import { FileBytes } from "./bytes.js";

export interface VhdBlock {
  readonly data: Uint8Array;
  /** Sectors that are present; all of them unless given. */
  readonly present?: (sector: number) => boolean;
}

export interface VhdOptions {
  readonly size: number;
  readonly kind?: "fixed" | "dynamic" | "differencing";
  readonly blockSize?: number;
  readonly blocks?: ReadonlyMap<number, VhdBlock>;
  readonly creator?: string;
  /** Cylinders, heads, sectors per track. */
  readonly geometry?: readonly [number, number, number];
  readonly uniqueId?: Uint8Array;
  readonly parent?: {
    readonly uniqueId: Uint8Array;
    readonly name: string;
    /** By platform code. */
    readonly locators?: readonly { readonly code: string; readonly data: Uint8Array }[];
  };
}

export interface VhdLayout {
  readonly file: Uint8Array;
  readonly header: number;
  readonly bat: number;
  readonly footer: number;
}

const TYPES = { fixed: 2, dynamic: 3, differencing: 4 };

/** The ones' complement of the sum of all bytes but the four of the checksum itself. */
function seal(data: Uint8Array, at: number): Uint8Array {
  data.fill(0, at, at + 4);
  const sum = data.reduce((total, byte) => total + byte, 0);
  new DataView(data.buffer, data.byteOffset).setUint32(at, ~sum >>> 0);
  return data;
}

/** Recomputes the checksum of a footer or a dynamic header that a test changed. */
export function sealVhd(file: Uint8Array, at: number, kind: "footer" | "header"): void {
  seal(file.subarray(at, at + (kind === "footer" ? 512 : 1024)), kind === "footer" ? 64 : 36);
}

function footer(options: VhdOptions): Uint8Array {
  const { kind = "dynamic", size, creator = "win ", geometry = [0, 0, 0] } = options;
  const out = new FileBytes().text(0, "conectix").be(8, 4, 2).be(12, 4, 0x10000);
  out
    .be(16, 8, kind === "fixed" ? -1n : 512)
    .be(24, 4, 500_000_000)
    .text(28, creator)
    .be(32, 4, 0x60001);
  out.be(40, 8, size).be(48, 8, size).be(56, 2, geometry[0]).be(58, 1, geometry[1]).be(59, 1, geometry[2]);
  out.be(60, 4, TYPES[kind]).bytes(68, options.uniqueId ?? Uint8Array.from({ length: 16 }, (_, n) => n + 1));
  return seal(out.finish(512), 64);
}

export function buildVhd(options: VhdOptions): VhdLayout {
  const { kind = "dynamic", size, blockSize = 2 << 20, blocks = new Map<number, VhdBlock>(), parent } = options;
  const file = new FileBytes();
  if (kind === "fixed") {
    file.bytes(0, new Uint8Array(size));
    for (const [index, { data }] of blocks) file.bytes(index * blockSize, data);
    file.bytes(size, footer(options));
    return { file: file.finish(), header: 0, bat: 0, footer: size };
  }
  const entries = Math.ceil(size / blockSize);
  const bat = 1536;
  file.bytes(0, footer(options)).bytes(bat, new Uint8Array(Math.ceil((entries * 4) / 512) * 512).fill(0xff));
  const header = new FileBytes().text(0, "cxsparse").be(8, 8, -1n).be(16, 8, bat).be(24, 4, 0x10000);
  header.be(28, 4, entries).be(32, 4, blockSize);
  if (parent !== undefined) {
    header.bytes(40, parent.uniqueId);
    for (const [index, char] of Array.from(parent.name).entries()) header.be(64 + index * 2, 2, char.charCodeAt(0));
    for (const [index, { code, data }] of (parent.locators ?? []).entries()) {
      const at = file.end(512);
      file.bytes(at, new Uint8Array(Math.ceil(data.length / 512) * 512)).bytes(at, data);
      const entry = 576 + index * 24;
      header
        .text(entry, code)
        .be(entry + 4, 4, 512)
        .be(entry + 8, 4, data.length)
        .be(entry + 16, 8, at);
    }
  }
  file.bytes(512, seal(header.finish(1024), 36));
  const bitmapSize = Math.ceil(blockSize / 512 / 8 / 512) * 512;
  for (const [index, { data, present = () => true }] of blocks) {
    const at = file.end(512);
    file.be(bat + index * 4, 4, at / 512);
    const bitmap = new Uint8Array(bitmapSize);
    for (let sector = 0; sector < blockSize / 512; sector += 1) {
      if (present(sector)) bitmap[sector >> 3]! |= 0x80 >> (sector & 7);
    }
    file
      .bytes(at, bitmap)
      .bytes(at + bitmapSize, new Uint8Array(blockSize))
      .bytes(at + bitmapSize, data);
  }
  const end = file.end(512);
  file.bytes(end, footer(options));
  return { file: file.finish(), header: 512, bat, footer: end };
}
