import { type BlockDevice, checkRange, ImageError } from "@guestprobe/block";
import { quoteName } from "./name.js";
import type { ReferenceKind } from "./types.js";

const WORD: Readonly<Record<ReferenceKind, string>> = {
  backing: "backing file",
  extent: "extent",
  "data-file": "data file",
};

/** "backing file "base.img"": what is missing, for messages. */
export function describeReference(name: string, kind: ReferenceKind): string {
  return `${WORD[kind]} ${quoteName(name)}`;
}

/**
 * Stands in for a file that was not supplied, or that could not be opened: it has a size, and reading it rejects with
 * `io`, the code for bytes that the host did not deliver.
 */
export function missingDevice(name: string, kind: ReferenceKind, size: number, cause?: ImageError): BlockDevice {
  const why = cause === undefined ? "was not supplied" : `cannot be opened: ${cause.message}`;
  return {
    size,
    async read(offset, length) {
      checkRange(size, offset, length);
      throw new ImageError("io", `these bytes lie in the ${describeReference(name, kind)}, which ${why}`, {
        offset,
        cause,
      });
    },
  };
}
