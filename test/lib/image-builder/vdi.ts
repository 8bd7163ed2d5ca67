/** VDI images after VirtualBox' VDICore.h. */
import { FileBytes } from "./bytes.js";

export interface VdiOptions {
  readonly size: number;
  readonly blockSize?: number;
  /** 1 dynamic, 2 static, 3 undo, 4 differencing. */
  readonly type?: number;
  readonly blocks?: ReadonlyMap<number, Uint8Array | "zero">;
  readonly uuid?: string;
  readonly linkage?: string;
  /** Bytes in front of the data of each block. */
  readonly extra?: number;
}

export const VDI_AT = { map: 512, data: 1024 };

export function buildVdi(options: VdiOptions): Uint8Array {
  const { size, blockSize = 1 << 20, type = 1, blocks = new Map<number, Uint8Array | "zero">(), extra = 0 } = options;
  const count = Math.ceil(size / blockSize);
  const dataAt = Math.ceil((VDI_AT.map + count * 4) / 512) * 512;
  const file = new FileBytes().text(0, "<<< by hand >>>\n").le(0x40, 4, 0xbeda107f).le(0x44, 4, 0x10001);
  file.le(0x48, 4, 0x190).le(0x4c, 4, type).le(0x154, 4, VDI_AT.map).le(0x158, 4, dataAt).le(0x168, 4, 512);
  file.le(0x170, 8, size).le(0x178, 4, blockSize).le(0x17c, 4, extra).le(0x180, 4, count);
  file.guid(0x188, options.uuid ?? "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
  if (options.linkage !== undefined) file.guid(0x1a8, options.linkage);
  file.bytes(VDI_AT.map, new Uint8Array(count * 4).fill(0xff));
  let next = 0;
  for (const [index, data] of blocks) {
    if (data === "zero") file.le(VDI_AT.map + index * 4, 4, 0xfffffffe);
    else {
      const at = dataAt + next * (blockSize + extra) + extra;
      file
        .bytes(at, new Uint8Array(blockSize))
        .bytes(at, data)
        .le(VDI_AT.map + index * 4, 4, next);
      next += 1;
    }
  }
  file.le(0x184, 4, next);
  return file.finish(Math.max(file.end(512), dataAt));
}
