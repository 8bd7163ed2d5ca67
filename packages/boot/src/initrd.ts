import { decodeText } from "@guestprobe/block";
import { type Compression, compressionOf } from "./payload.js";

/** One archive of a ramdisk. */
export interface InitrdPart {
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly kind: Compression | "cpio";
  /** An early archive that holds processor microcode. */
  readonly microcode: boolean;
}

export interface Initrd {
  /** In order. What follows a compressed archive is not looked for: its end shows only once it is unpacked. */
  readonly parts: readonly InitrdPart[];
  /** Where something begins that is no archive; undefined when there is none. */
  readonly strangeAt: number | undefined;
}

export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/** Bounds of a ramdisk's plain archives; a distribution's early archive has a handful of members. */
const MAX_MEMBERS = 20_000;
const MAX_PARTS = 64;
/** Longest run of zeros between archives that is skipped, bytes. */
const MAX_PADDING = 1 << 20;
const HEADER = 110;

/**
 * Recognises what a ramdisk is made of. Linux, Documentation/driver-api/early-userspace/buffer-format.rst: archives, plain or
 * compressed, one after another with zeros between them.
 *
 * @param read Gives the bytes of the file, fewer at its end.
 */
export async function recogniseInitrd(size: number, read: ReadAt): Promise<Initrd> {
  const parts: InitrdPart[] = [];
  let at = 0;
  while (at < size && parts.length < MAX_PARTS) {
    const head = await read(at, HEADER);
    if (isCpio(head)) {
      const archive = await walkCpio(size, at, read);
      parts.push({ offset: at, kind: "cpio", microcode: archive.microcode });
      if (archive.end === undefined) return { parts, strangeAt: undefined };
      const next = await skipZeros(size, archive.end, read);
      if (next === undefined) return { parts, strangeAt: undefined };
      at = next;
      continue;
    }
    const compression = compressionOf(head);
    if (compression === undefined) return { parts, strangeAt: at };
    parts.push({ offset: at, kind: compression, microcode: false });
    return { parts, strangeAt: undefined };
  }
  return { parts, strangeAt: undefined };
}

function isCpio(bytes: Uint8Array): boolean {
  return /^07070[12]/.test(decodeText(bytes.subarray(0, 6)));
}

interface Archive {
  /** Where its last member ends; undefined when it is cut. */
  readonly end: number | undefined;
  readonly microcode: boolean;
}

async function walkCpio(size: number, start: number, read: ReadAt): Promise<Archive> {
  let at = start;
  let microcode = false;
  for (let member = 0; member < MAX_MEMBERS; member += 1) {
    const head = await read(at, HEADER + 64);
    if (head.length < HEADER || !isCpio(head)) break;
    const field = (index: number): number =>
      Number.parseInt(decodeText(head.subarray(6 + index * 8, 14 + index * 8)), 16);
    const fileSize = field(6);
    const nameSize = field(11);
    if (!Number.isInteger(fileSize) || !Number.isInteger(nameSize)) break;
    const name = decodeText(head.subarray(HEADER, HEADER + Math.min(nameSize, 64))).replace(/\0.*$/s, "");
    const data = Math.ceil((at + HEADER + nameSize) / 4) * 4;
    at = Math.ceil((data + fileSize) / 4) * 4;
    if (at > size) break;
    if (name === "TRAILER!!!") return { end: at, microcode };
    microcode ||= name.startsWith("kernel/x86/microcode/");
  }
  return { end: undefined, microcode };
}

async function skipZeros(size: number, start: number, read: ReadAt): Promise<number | undefined> {
  for (let at = start; at < size && at - start < MAX_PADDING; ) {
    const bytes = await read(at, 4096);
    if (bytes.length === 0) return undefined;
    const found = bytes.findIndex((byte) => byte !== 0);
    if (found >= 0) return at + found;
    at += bytes.length;
  }
  return undefined;
}
