/** Lets the differential suite show blkid each device that the tests of signatures make in memory. */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { isZero } from "@guestprobe/block";

/** Bytes that are not zero, and where. */
export type Piece = readonly [at: number, data: Uint8Array];
type Listener = (size: number, pieces: readonly Piece[]) => Promise<void>;

let listener: Listener | undefined;

/** Takes every device from now on. */
export function onDevice(take: Listener): void {
  listener = take;
}

/** To be called with each device that is looked at. */
export async function deviceIsSeen(size: number, ...pieces: readonly Piece[]): Promise<void> {
  await listener?.(size, pieces);
}

const CHUNK = 1 << 16;

/** The device as a file, with holes where it has zeros. */
export function writeDevice(file: string, size: number, pieces: readonly Piece[]): void {
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, size);
  for (const [at, data] of pieces) {
    for (let from = 0; from < data.length; from += CHUNK) {
      const part = data.subarray(from, from + CHUNK);
      if (!isZero(part)) writeSync(descriptor, part, 0, part.length, at + from);
    }
  }
  closeSync(descriptor);
}
