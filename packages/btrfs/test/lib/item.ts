import { viewOf } from "@guestprobe/block/struct";
import type { ItemBytes } from "../../src/node.js";

/** All of `data` as the data of an item, which lies at byte `offset` of the device. */
export function itemBytes(data: Uint8Array, offset: number): ItemBytes {
  return { view: viewOf(data), bytes: data, start: 0, size: data.length, offset };
}
