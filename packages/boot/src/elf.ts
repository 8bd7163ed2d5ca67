import { ImageError } from "@guestprobe/block";
import { BE, type Endian, LE, struct, u8, u16, u32, u64, u64big, viewOf } from "@guestprobe/block/struct";

export const EM_386 = 3;
export const EM_X86_64 = 62;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const SHT_NOTE = 7;
const SHT_NOBITS = 8;

/** A program header. Offsets and sizes in bytes; addresses are bigint, since kernels live in the top half of 2^64. */
export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly filesz: number;
  readonly vaddr: bigint;
  readonly paddr: bigint;
  readonly memsz: bigint;
}

/** A section header. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

/** An ELF file: its header and its two tables. Segments and sections may still point past the end of the file. */
export interface ElfImage {
  /** From the start of the file, and perhaps not to its end. */
  readonly bytes: Uint8Array;
  /** Of the whole file, bytes. */
  readonly size: number;
  readonly bits: 32 | 64;
  readonly endian: Endian;
  /** `e_machine`: 3 for i386, 62 for x86-64. */
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

/** A kernel has a few segments and a few hundred sections; more than this is no kernel. */
const MAX_HEADERS = 4096;
const FORMAT = "elf";

/** The tables of one class and byte order. System V ABI, "Object Files"; all offsets from the structure's start. */
function layout(bits: 32 | 64, endian: Endian) {
  if (bits === 32) {
    return {
      ehdr: struct("Elf32_Ehdr", 52, endian, {
        e_machine: u16(18),
        e_entry: u32(24),
        e_phoff: u32(28),
        e_shoff: u32(32),
        e_phentsize: u16(42),
        e_phnum: u16(44),
        e_shentsize: u16(46),
        e_shnum: u16(48),
        e_shstrndx: u16(50),
      }),
      phdr: struct("Elf32_Phdr", 32, endian, {
        p_type: u32(0),
        p_offset: u32(4),
        p_vaddr: u32(8),
        p_paddr: u32(12),
        p_filesz: u32(16),
        p_memsz: u32(20),
      }),
      shdr: struct("Elf32_Shdr", 40, endian, {
        sh_name: u32(0),
        sh_type: u32(4),
        sh_offset: u32(16),
        sh_size: u32(20),
      }),
    };
  }
  return {
    ehdr: struct("Elf64_Ehdr", 64, endian, {
      e_machine: u16(18),
      e_entry: u64big(24),
      e_phoff: u64(32),
      e_shoff: u64(40),
      e_phentsize: u16(54),
      e_phnum: u16(56),
      e_shentsize: u16(58),
      e_shnum: u16(60),
      e_shstrndx: u16(62),
    }),
    phdr: struct("Elf64_Phdr", 56, endian, {
      p_type: u32(0),
      p_offset: u64(8),
      p_vaddr: u64big(16),
      p_paddr: u64big(24),
      p_filesz: u64(32),
      p_memsz: u64big(40),
    }),
    shdr: struct("Elf64_Shdr", 64, endian, { sh_name: u32(0), sh_type: u32(4), sh_offset: u64(24), sh_size: u64(32) }),
  };
}

const LAYOUTS = {
  32: { [LE]: layout(32, LE), [BE]: layout(32, BE) },
  64: { [LE]: layout(64, LE), [BE]: layout(64, BE) },
};

const ident = struct("e_ident", 16, LE, { EI_CLASS: u8(4), EI_DATA: u8(5) });

/** Whether the bytes begin as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads the header and the tables of an ELF file of either class and byte order. System V ABI, chapter 4.
 *
 * @param size Bytes of the whole file, when `bytes` are its first ones alone.
 * @throws ImageError `not-this-format` without the magic; `corrupt` for headers that cannot be.
 */
export function parseElf(bytes: Uint8Array, size = bytes.length): ElfImage {
  if (!isElf(bytes)) {
    throw new ImageError("not-this-format", "no ELF magic", { format: FORMAT, structure: "e_ident", offset: 0 });
  }
  const view = viewOf(bytes);
  const corrupt = (reason: string, structure: string, field: string, offset: number): ImageError =>
    new ImageError("corrupt", reason, { format: FORMAT, structure, field, offset });
  if (bytes.length < 16) throw corrupt(`cut after ${bytes.length} bytes`, "e_ident", "EI_CLASS", bytes.length);
  const bits = ({ 1: 32, 2: 64 } as const)[ident.EI_CLASS(view, 0)];
  const endian = ({ 1: LE, 2: BE } as const)[ident.EI_DATA(view, 0)];
  if (bits === undefined) throw corrupt(`class ${bytes[4]} is neither 1 nor 2`, "e_ident", "EI_CLASS", 4);
  if (endian === undefined) throw corrupt(`byte order ${bytes[5]} is neither 1 nor 2`, "e_ident", "EI_DATA", 5);
  const { ehdr, phdr, shdr } = LAYOUTS[bits][endian];
  if (bytes.length < ehdr.$size) throw corrupt(`cut after ${bytes.length} bytes`, ehdr.$name, "e_ident", bytes.length);

  /** A table of headers, once it is known to lie within the file. */
  const table = (kind: "ph" | "sh", least: number): number[] => {
    const [at, entry, count] =
      kind === "ph"
        ? [ehdr.e_phoff(view, 0), ehdr.e_phentsize(view, 0), ehdr.e_phnum(view, 0)]
        : [ehdr.e_shoff(view, 0), ehdr.e_shentsize(view, 0), ehdr.e_shnum(view, 0)];
    if (count === 0 || at === 0) return [];
    if (entry < least) throw corrupt(`${entry} bytes, at least ${least} expected`, ehdr.$name, `e_${kind}entsize`, 0);
    if (count > MAX_HEADERS) throw corrupt(`${count} headers, ${MAX_HEADERS} at most`, ehdr.$name, `e_${kind}num`, 0);
    if (at + entry * count > bytes.length) {
      throw corrupt(`the table ends at byte ${at + entry * count} of ${bytes.length}`, ehdr.$name, `e_${kind}off`, at);
    }
    return Array.from({ length: count }, (_, index) => at + index * entry);
  };
  const segments = table("ph", phdr.$size).map((at) => ({
    type: phdr.p_type(view, at),
    offset: phdr.p_offset(view, at),
    filesz: phdr.p_filesz(view, at),
    vaddr: BigInt(phdr.p_vaddr(view, at)),
    paddr: BigInt(phdr.p_paddr(view, at)),
    memsz: BigInt(phdr.p_memsz(view, at)),
  }));
  // A file cut after its last segment has lost its sections, and is loaded all the same.
  const sectionsAt = ehdr.e_shoff(view, 0) + ehdr.e_shentsize(view, 0) * ehdr.e_shnum(view, 0);
  const raw = (sectionsAt > bytes.length ? [] : table("sh", shdr.$size)).map((at) => ({
    nameAt: shdr.sh_name(view, at),
    type: shdr.sh_type(view, at),
    offset: shdr.sh_offset(view, at),
    size: shdr.sh_size(view, at),
  }));
  const strings = raw[ehdr.e_shstrndx(view, 0)];
  const sections = raw.map(({ nameAt, type, offset, size }) => ({
    name: strings === undefined ? "" : nameIn(bytes, strings.offset + nameAt, strings.offset + strings.size),
    type,
    offset,
    size: type === SHT_NOBITS ? 0 : size,
  }));
  return {
    bytes,
    size,
    bits,
    endian,
    machine: ehdr.e_machine(view, 0),
    entry: BigInt(ehdr.e_entry(view, 0)),
    segments,
    sections,
  };
}

/** Bytes of a section's name. */
const MAX_NAME = 256;

function nameIn(bytes: Uint8Array, at: number, end: number): string {
  const limit = Math.min(end, bytes.length, at + MAX_NAME);
  let name = "";
  for (let index = at; index < limit && bytes[index] !== 0; index += 1) name += String.fromCharCode(bytes[index]!);
  return name;
}

/** The bytes that a segment or a section has in the file, cut at the file's end. */
export function contentOf(
  elf: ElfImage,
  { offset, size }: { readonly offset: number; readonly size: number },
): Uint8Array {
  return elf.bytes.subarray(Math.min(offset, elf.bytes.length), Math.min(offset + size, elf.bytes.length));
}
