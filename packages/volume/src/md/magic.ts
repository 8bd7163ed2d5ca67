import { type Endian, LE, viewOf } from "@guestprobe/block/struct";
import { MD_SB_MAGIC } from "./layout.js";

/**
 * `major_version` of the superblock that `data` begin with, if it is in this byte order; undefined without the magic. These two words
 * lie in the same place in every version. Each device is asked for them, and few need the tables of the other fields.
 */
export function majorVersionOf(data: Uint8Array, endian: Endian): number | undefined {
  if (data.length < 8) return undefined;
  const view = viewOf(data);
  const little = endian === LE;
  return view.getUint32(0, little) === MD_SB_MAGIC ? view.getUint32(4, little) : undefined;
}
