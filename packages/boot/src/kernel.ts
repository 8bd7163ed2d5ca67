import { type ImageError, isImageError } from "@guestprobe/block";
import { type BzImage, isBzImage, parseBzImage } from "./bzimage.js";
import { type ElfImage, isElf, PT_NOTE, parseElf } from "./elf.js";
import { excerptOf, fromExcerpt, type PayloadCache } from "./excerpt.js";
import { type Arch, archOf, judgePv, judgePvh } from "./judge.js";
import { type Compression, compressionOf, MAX_KERNEL_BYTES, unpackGzip, unpackPayload } from "./payload.js";
import { readPe } from "./pe.js";
import { readXenNotes, type XenNotes } from "./xen-notes.js";

/** A kernel file, taken apart as far as it goes. */
export interface Kernel {
  readonly kind: "bzImage" | "elf" | "gzip-elf" | "efi" | "unknown";
  readonly setup: BzImage | undefined;
  /** Of a bzImage's payload, or of the whole file. */
  readonly compression: Compression | undefined;
  /** The ELF file inside, or the file itself. */
  readonly elf: ElfImage | undefined;
  readonly notes: XenNotes | undefined;
  readonly arch: Arch | undefined;
  /** First word of the version string. */
  readonly release: string | undefined;
  /** An EFI program too, as almost all kernels are. */
  readonly efiStub: boolean;
  /** Names of the sections of an EFI program; a unified kernel image has ".linux". */
  readonly sections: readonly string[];
  /** Whether the toolstack could start what is inside as PV or PVH; undefined when it could not be looked at. */
  readonly pv: boolean | undefined;
  readonly pvh: boolean | undefined;
  /** Why the inside could not be looked at. */
  readonly error: ImageError | undefined;
}

export interface InspectOptions {
  /** Unpack a payload to its end and compare its checksums, even where the notes come long before. */
  readonly whole?: boolean | undefined;
  /** Asked before a payload is unpacked, and told afterwards; not with `whole`. */
  readonly cache?: PayloadCache | undefined;
}

/**
 * Takes a kernel file apart: its kind, its compression, and the Xen notes of the ELF file inside. Damage inside is kept
 * in `error`, and does not throw.
 */
export async function inspectKernel(bytes: Uint8Array, options: InspectOptions = {}): Promise<Kernel> {
  const pe = readPe(bytes);
  const sections = pe?.sections.map(({ name }) => name) ?? [];
  const outer = { efiStub: pe !== undefined, sections };
  const unknown: Kernel = {
    ...outer,
    kind: pe === undefined ? "unknown" : "efi",
    setup: undefined,
    compression: undefined,
    elf: undefined,
    notes: undefined,
    arch: undefined,
    release: undefined,
    pv: undefined,
    pvh: undefined,
    error: undefined,
  };
  let known: Kernel = unknown;
  try {
    if (isElf(bytes)) {
      known = { ...unknown, kind: "elf" };
      return { ...known, ...inside(bytes) };
    }
    if (isBzImage(bytes)) {
      known = { ...unknown, kind: "bzImage" };
      const setup = parseBzImage(bytes);
      const arch = setup.is64 ? "x86_64" : "i386";
      known = { ...known, setup, arch, release: setup.version?.split(" ")[0] };
      if (setup.payload === undefined) return known;
      const payload = bytes.subarray(setup.payload.offset, setup.payload.offset + setup.payload.length);
      known = { ...known, compression: compressionOf(payload) };
      return { ...known, ...(await insidePayload(payload, options)) };
    }
    if (compressionOf(bytes) === "gzip") {
      known = { ...unknown, compression: "gzip" };
      const unpacked = await unpackGzip(bytes);
      return isElf(unpacked) ? { ...known, kind: "gzip-elf", ...inside(unpacked) } : known;
    }
  } catch (error) {
    if (!isImageError(error)) throw error;
    return { ...known, error };
  }
  return known;
}

type Inside = Pick<Kernel, "elf" | "notes" | "arch" | "pv" | "pvh">;

/** Where an ELF file keeps its header and, of all kernels, the table of its segments. Bytes. */
const ELF_HEAD = 16 << 10;

/** Unpacks no further than the notes, which linkers put behind code and constants, a third of the way into a kernel. */
async function insidePayload(payload: Uint8Array, { whole = false, cache }: InspectOptions): Promise<Inside> {
  if (!whole) {
    const known = await cache?.get(payload);
    const kept = known === undefined ? undefined : fromExcerpt(known, MAX_KERNEL_BYTES);
    if (kept !== undefined) return inside(kept, known!.size);
    const head = await unpackPayload(payload, ELF_HEAD);
    const enough = endOfNotes(head.bytes);
    if (enough !== undefined && enough <= head.size) {
      const { bytes, size } = enough <= head.bytes.length ? head : await unpackPayload(payload, enough);
      const found = inside(bytes, size);
      // Where segments hold no note of Xen's, sections are asked, and their table is at the very end.
      if (found.notes?.source === "PT_NOTE") {
        const excerpt = found.elf === undefined ? undefined : excerptOf(found.elf, ELF_HEAD);
        if (excerpt !== undefined) await cache?.put(payload, excerpt);
        return found;
      }
    }
  }
  const { bytes } = await unpackPayload(payload);
  return inside(bytes);
}

/** Byte after the last segment of notes; undefined when the head alone does not tell. */
function endOfNotes(head: Uint8Array): number | undefined {
  try {
    const notes = parseElf(head).segments.filter(({ type }) => type === PT_NOTE);
    return notes.length === 0 ? undefined : Math.max(...notes.map(({ offset, filesz }) => offset + filesz));
  } catch (error) {
    if (!isImageError(error)) throw error;
    return undefined;
  }
}

function inside(bytes: Uint8Array, size = bytes.length): Inside {
  const elf = parseElf(bytes, size);
  const notes = readXenNotes(elf);
  return { elf, notes, arch: archOf(elf), pv: judgePv(elf, notes).ok, pvh: judgePvh(elf, notes).ok };
}
