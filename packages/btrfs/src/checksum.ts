import { crc32c, equalBytes, ImageError } from "@guestprobe/block";
import { unsupported } from "./place.js";

/** One checksum type of a volume. */
export interface Checksum {
  /** As btrfs-progs names it: "crc32c", "xxhash64", "sha256", "blake2". */
  readonly name: string;
  /** Bytes stored. */
  readonly size: number;
  /** The bytes that are stored for `data`. */
  of(data: Uint8Array): Uint8Array;
}

/** Whether `stored`, which may be longer, begins with the checksum of `data`. */
export function checksumMatches(checksum: Checksum, stored: Uint8Array, data: Uint8Array): boolean {
  return equalBytes(stored.subarray(0, checksum.size), checksum.of(data));
}

const CRC32C: Checksum = {
  name: "crc32c",
  size: 4,
  of(data) {
    const sum = crc32c(data);
    return Uint8Array.of(sum, sum >>> 8, sum >>> 16, sum >>> 24);
  },
};

/**
 * The checksum of `csum_type`. The rarer ones are WebAssembly, loaded when a volume needs them.
 *
 * @throws ImageError `unsupported` for a type that is not known, or where WebAssembly may not be compiled.
 */
export async function loadChecksum(type: number, offset: number): Promise<Checksum> {
  if (type === 0) return CRC32C;
  if (type > 3) {
    throw unsupported(`checksum type ${type} is not known`, {
      structure: "btrfs_super_block",
      field: "csum_type",
      offset,
    });
  }
  const { createBLAKE2b, createSHA256, createXXHash64 } = await import("./hashes.js");
  try {
    if (type === 1) {
      const hasher = await createXXHash64();
      // The library gives the canonical, big-endian form; the disk holds the number little-endian.
      return { name: "xxhash64", size: 8, of: (data) => hasher.init().update(data).digest("binary").reverse() };
    }
    const hasher = type === 2 ? await createSHA256() : await createBLAKE2b(256);
    const name = type === 2 ? "sha256" : "blake2";
    return { name, size: 32, of: (data) => hasher.init().update(data).digest("binary") };
  } catch (cause) {
    // A mistake of a program must not pass for a volume that is not supported.
    if (cause instanceof TypeError) throw cause;
    throw new ImageError("unsupported", "the checksum needs WebAssembly, which cannot be loaded here", {
      format: "btrfs",
      cause,
    });
  }
}
