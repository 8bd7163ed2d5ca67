import type { BlockDevice } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { JBD2_MAGIC_NUMBER } from "./layout-jbd2.js";

/** Where a newer copy of a block lies. */
export interface BlockCopy {
  /** Bytes from the start of the device. */
  readonly offset: number;
  /** Its first four bytes are the journal's magic, stored as zeros so that the copy does not look like a log block. */
  readonly isEscaped: boolean;
}

/**
 * The device with newer copies of some blocks in place of the old ones. Nothing is written, and no copy is held in
 * memory: each is read where the journal has it.
 *
 * @param copies By block number.
 */
export function overlayDevice(
  device: BlockDevice,
  blockSize: number,
  copies: ReadonlyMap<number, BlockCopy>,
): BlockDevice {
  const covered = (offset: number, length: number): number[] => {
    const blocks: number[] = [];
    const end = Math.ceil((offset + length) / blockSize);
    for (let block = Math.floor(offset / blockSize); block < end; block += 1) if (copies.has(block)) blocks.push(block);
    return blocks;
  };

  const readCopy = async ({ offset, isEscaped }: BlockCopy, signal: AbortSignal | undefined): Promise<Uint8Array> => {
    const data = await device.read(offset, blockSize, signal);
    if (!isEscaped) return data;
    const restored = data.slice();
    viewOf(restored).setUint32(0, JBD2_MAGIC_NUMBER);
    return restored;
  };

  const readOver = async (
    offset: number,
    length: number,
    blocks: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> => {
    const [base, ...newer] = await Promise.all([
      device.read(offset, length, signal),
      ...blocks.map((block) => readCopy(copies.get(block)!, signal)),
    ]);
    const result = base.slice();
    for (const [n, data] of newer.entries()) {
      const at = blocks[n]! * blockSize;
      const from = Math.max(offset, at);
      const to = Math.min(offset + length, at + blockSize);
      result.set(data.subarray(from - at, to - at), from - offset);
    }
    return result;
  };

  return {
    size: device.size,
    sectorSize: device.sectorSize,
    read(offset, length, signal) {
      const blocks = covered(offset, length);
      return blocks.length === 0 ? device.read(offset, length, signal) : readOver(offset, length, blocks, signal);
    },
    peek(offset, length) {
      return covered(offset, length).length === 0 ? device.peek?.(offset, length) : undefined;
    },
  };
}
