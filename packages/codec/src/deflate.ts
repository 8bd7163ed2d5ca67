import { capacityOf, checkLength, handOver, tooLong } from "./bound.js";
import { withInflater } from "./inflate.js";
import type { DecodeOptions, OutputBound } from "./types.js";

const FORMAT = "deflate";

/**
 * A raw DEFLATE stream (RFC 1951), with neither header nor checksum: the clusters of qcow2. Bytes after the end of the
 * stream are not looked at: such a stream is stored in whole sectors.
 *
 * @throws ImageError `corrupt`, `limit`, `unsupported`, `aborted`, `invalid-argument`, as every decoder here.
 */
export function decodeDeflate(src: Uint8Array, bound: OutputBound, options: DecodeOptions = {}): Uint8Array {
  const capacity = capacityOf(bound, FORMAT);
  return withInflater(FORMAT, src, options.signal, (inflater) => {
    const result = inflater.run(0, capacity, "exact" in bound);
    if (result === undefined) throw tooLong(bound, FORMAT, 0);
    checkLength(result.out.length, bound, FORMAT, result.end);
    return handOver(result.out, options.into);
  });
}
