import { type ElfImage, isElf, PT_NOTE } from "./elf.js";

/** What a verdict needs of the ELF file in a payload: its head and its notes. */
export interface KernelExcerpt {
  /** Bytes of the whole file. */
  readonly size: number;
  /** Bytes of it up to its last note. */
  readonly length: number;
  readonly pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

/**
 * Keeps what was found in a payload for the next time that the same bytes come: unpacking is most of what a verdict costs,
 * and a thousand guests hold the same few kernels. Whoever implements it tells payloads apart by a cryptographic digest of
 * all of their bytes, for guests may try to pass one kernel off as another.
 */
export interface PayloadCache {
  get(payload: Uint8Array): Promise<KernelExcerpt | undefined>;
  put(payload: Uint8Array, excerpt: KernelExcerpt): Promise<void>;
}

/** More bytes of notes than any kernel has; what holds more is unpacked each time. */
const MAX_NOTES = 64 << 10;

/** The part of a file that says what kind of kernel it is; undefined when that is much. */
export function excerptOf({ bytes, size, segments, sections }: ElfImage, head: number): KernelExcerpt | undefined {
  // Sections that lie in front of the notes are not in an excerpt, and would be read as zeros.
  if (sections.length > 0 && bytes.length > head) return undefined;
  const notes = segments.filter(({ type, filesz }) => type === PT_NOTE && filesz > 0);
  if (notes.reduce((sum, { filesz }) => sum + filesz, 0) > MAX_NOTES) return undefined;
  const areas = [{ offset: 0, filesz: Math.min(head, bytes.length) }, ...notes];
  const pieces = areas.map(({ offset, filesz }) => ({ offset, bytes: bytes.subarray(offset, offset + filesz) }));
  return { size, length: bytes.length, pieces };
}

/**
 * The file again, with zeros for what was left out; undefined for what cannot be an excerpt.
 *
 * @param limit Bytes that a kernel may have.
 */
export function fromExcerpt({ size, length, pieces }: KernelExcerpt, limit: number): Uint8Array | undefined {
  if (!(Number.isInteger(length) && length >= 0 && length <= size && size <= limit)) return undefined;
  const bytes = new Uint8Array(length);
  for (const piece of pieces) {
    if (!(piece.offset >= 0 && piece.offset + piece.bytes.length <= length)) return undefined;
    bytes.set(piece.bytes, piece.offset);
  }
  return isElf(bytes) ? bytes : undefined;
}
