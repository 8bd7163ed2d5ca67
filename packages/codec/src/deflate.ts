import { allocationFor, capacityOf, checkLength, corrupt, tooLong } from "./bound.js";
import { isTooLarge, nodeOptions, nodeZlib, owned } from "./inflate.js";
import { inflateRaw } from "./inflate-raw.js";
import type { OutputBound } from "./types.js";

const FORMAT = "deflate";

/**
 * A raw DEFLATE stream (RFC 1951), with neither header nor checksum: the clusters of qcow2. Bytes after the end of the
 * stream are not looked at: such a stream is stored in whole sectors. By Node's zlib where there is one, else by
 * `decodeDeflatePortable`.
 *
 * @throws ImageError `corrupt`, `limit`, `invalid-argument`, as every decoder here.
 */
export function decodeDeflate(src: Uint8Array, bound: OutputBound): Uint8Array {
  if (nodeZlib === undefined) return decodeDeflatePortable(src, bound);
  const capacity = capacityOf(bound, FORMAT);
  let result: ReturnType<typeof nodeZlib.inflateRawSync>;
  try {
    result = nodeZlib.inflateRawSync(src, nodeOptions(allocationFor(bound, capacity, src.length * 1032)));
  } catch (cause) {
    if (isTooLarge(cause)) throw tooLong(bound, FORMAT, 0);
    throw corrupt(FORMAT, "stream is damaged or truncated", 0, { cause });
  }
  const out = owned(result.buffer);
  checkLength(out.length, bound, FORMAT);
  return out;
}

/** The same without Node. */
export function decodeDeflatePortable(src: Uint8Array, bound: OutputBound): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  const result = inflateRaw(FORMAT, src, 0, capacity, "exact" in bound);
  if (result === undefined) throw tooLong(bound, FORMAT, 0);
  checkLength(result.out.length, bound, FORMAT);
  return result.out;
}
