import { type BlockDevice, equalBytes, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ForeignFormat, ImageFormat } from "./types.js";

/** What a file looks like. */
export interface DetectedImage {
  /** "raw" when nothing else matches. */
  readonly format: ImageFormat | ForeignFormat;
  /** Every signature that is there, `format` first; empty for raw. "mbr" is the boot signature of a raw disk. */
  readonly matches: readonly (ImageFormat | ForeignFormat | "mbr")[];
}

interface Signature {
  readonly format: ImageFormat | ForeignFormat;
  readonly at: number;
  readonly bytes: Uint8Array;
}

// By hand: `Uint8Array.from` goes through an iterator, and this runs at every start.
function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
const sign = (format: ImageFormat | ForeignFormat, at: number, bytes: Uint8Array): Signature => ({ format, at, bytes });

/** By the specification of each format; a file is what the first match says. */
const SIGNATURES: readonly Signature[] = [
  sign("qcow", 0, Uint8Array.of(0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1)),
  sign("qcow2", 0, Uint8Array.of(0x51, 0x46, 0x49, 0xfb)),
  sign("vhdx", 0, ascii("vhdxfile")),
  sign("vhd", 0, ascii("conectix")),
  sign("vmdk", 0, ascii("KDMV")),
  sign("vmdk", 0, ascii("COWD")),
  sign("vmdk", 0, ascii("# Disk DescriptorFile")),
  sign("vmdk", 0, Uint8Array.of(0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0)), // seSparse
  sign("vdi", 0x40, Uint8Array.of(0x7f, 0x10, 0xda, 0xbe)),
  sign("qed", 0, ascii("QED\0")),
  sign("parallels", 0, ascii("WithoutFreeSpace")),
  sign("parallels", 0, ascii("WithouFreSpacExt")),
  sign("xz", 0, Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)),
  sign("zstd", 0, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)),
  sign("gzip", 0, Uint8Array.of(0x1f, 0x8b, 8)),
];
const BZIP2_BLOCK = Uint8Array.of(0x31, 0x41, 0x59, 0x26, 0x53, 0x59);
const FOOTER = ascii("conectix");

/**
 * Looks at the first sector, and at the last for the footer of a fixed VHD. A signature at the front counts before one
 * at the end.
 */
export async function detectImage(device: BlockDevice, signal?: AbortSignal): Promise<DetectedImage> {
  const [head, tail] = await Promise.all([
    readUpTo(device, 0, 512, signal),
    readUpTo(device, Math.max(0, device.size - 512), 512, signal),
  ]);
  const matches: (ImageFormat | ForeignFormat | "mbr")[] = [];
  const found = SIGNATURES.find(({ at, bytes }) => equalBytes(head.subarray(at, at + bytes.length), bytes));
  if (found !== undefined) matches.push(found.format);
  else if (isBzip2(head)) matches.push("bzip2");
  // Virtual PC before 2004 wrote footers of 511 bytes, which end at the same place.
  const footer = [0, 1].some((at) => equalBytes(tail.subarray(at, at + FOOTER.length), FOOTER));
  if (footer && device.size > 512 && !matches.includes("vhd")) matches.push("vhd");
  if (matches.length === 0) return { format: "raw", matches };
  const format = matches[0] as ImageFormat | ForeignFormat;
  const bootSignature = head.length === 512 && viewOf(head).getUint16(510) === 0x55aa;
  // A fixed VHD is a raw disk with a footer, boot sector and all; anything else has no business having both.
  if (bootSignature && found !== undefined) matches.push("mbr");
  return { format, matches };
}

/** "BZh", a block size, and the magic of a block: the first three bytes alone are too little. */
function isBzip2(head: Uint8Array): boolean {
  return (
    equalBytes(head.subarray(0, 3), ascii("BZh")) &&
    head[3]! >= 0x31 &&
    head[3]! <= 0x39 &&
    equalBytes(head.subarray(4, 10), BZIP2_BLOCK)
  );
}
