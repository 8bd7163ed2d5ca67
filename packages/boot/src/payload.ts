import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type CodecName, inlineDecompressor } from "@guestprobe/codec";

/** How kernels and ramdisks are compressed. "lzo" is the lzop container, "lz4" the legacy frame. */
export type Compression = "gzip" | "bzip2" | "xz" | "zstd" | "lzma" | "lzo" | "lz4";

/** Magic bytes, in the order in which the toolstack compares them (Xen, xg_dom_bzimageloader.c). */
const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["lzma", [0x5d, 0x00]],
  ["lzo", [0x89, 0x4c, 0x5a, 0x4f, 0x00]],
  ["lz4", [0x02, 0x21]],
];

const CODECS: Readonly<Record<Compression, CodecName>> = {
  gzip: "gzip",
  bzip2: "bzip2",
  xz: "xz",
  zstd: "zstd",
  lzma: "lzma",
  lzo: "lzop",
  lz4: "lz4-legacy",
};

/** What compressed the bytes, by their magic; undefined for nothing known. */
export function compressionOf(bytes: Uint8Array, at = 0): Compression | undefined {
  return MAGIC.find(([, magic]) => magic.every((byte, index) => bytes[at + index] === byte))?.[0];
}

/**
 * Bytes that a kernel may unpack to. The toolstack goes to 1 GiB; a distribution's kernel has 70 MiB, and what is far
 * beyond that is more likely made to exhaust memory.
 */
export const MAX_KERNEL_BYTES = 160 << 20;

/** A payload, unpacked. */
export interface Unpacked {
  /** From its start; of what is larger, no less than was asked for. */
  readonly bytes: Uint8Array;
  /** Bytes that it unpacks to; where it was not unpacked to its end, as many as it claims. */
  readonly size: number;
}

/**
 * Unpacks the payload of a bzImage. The stream's structure is checked to its end, whatever `enough` says.
 *
 * @param enough Bytes from the start that are needed; all unless given.
 * @param signal Looked at while it is unpacked, too.
 * @throws ImageError `unsupported` when it is not compressed by anything known; `limit` when it is larger than
 *   `MAX_KERNEL_BYTES`; `aborted`; what the decoders throw.
 */
export async function unpackPayload(payload: Uint8Array, enough?: number, signal?: AbortSignal): Promise<Unpacked> {
  const compression = compressionOf(payload);
  if (compression === undefined) {
    throw new ImageError("unsupported", "the payload is not compressed by anything known", { format: "bzimage" });
  }
  if (payload.length < 8) throw new ImageError("corrupt", "the payload is too short", { format: "bzimage" });
  // Linux appends the unpacked size, 4 bytes, to all but gzip, which ends in the same number by itself.
  const size = viewOf(payload).getUint32(payload.length - 4, true);
  if (size > MAX_KERNEL_BYTES) {
    throw new ImageError("limit", `the kernel claims ${size} bytes unpacked, ${MAX_KERNEL_BYTES} at most are tried`, {
      format: "bzimage",
      offset: payload.length - 4,
    });
  }
  const stream = compression === "gzip" ? payload : payload.subarray(0, payload.length - 4);
  const options = { trailing: "ignore", enough, signal } as const;
  const bytes = await inlineDecompressor.decode(CODECS[compression], stream, { max: size }, options);
  return { bytes, size: bytes.length === enough ? size : bytes.length };
}

/** Unpacks a file that is compressed as a whole, within the same bound. */
export function unpackGzip(bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
  return inlineDecompressor.decode("gzip", bytes, { max: MAX_KERNEL_BYTES }, { trailing: "ignore", signal });
}
