import { decodeText } from "@guestprobe/block";
import { LE, struct, u16, u32, viewOf } from "@guestprobe/block/struct";

/** A section of a PE file; offset and size in bytes of the file. */
export interface PeSection {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface PeImage {
  /** 0x8664 for x86-64, 0x14c for i386. */
  readonly machine: number;
  readonly sections: readonly PeSection[];
}

/** PE Format, "COFF File Header" behind the signature, and "Section Table"; little-endian. */
const coff = struct("coff_header", 24, LE, {
  signature: u32(0), // "PE\0\0"
  machine: u16(4),
  number_of_sections: u16(6),
  size_of_optional_header: u16(20),
});
const sectionHeader = struct("section_header", 40, LE, { size_of_raw_data: u32(16), pointer_to_raw_data: u32(20) });

const SIGNATURE = 0x0000_4550;
/** The format's own bound for images. */
const MAX_SECTIONS = 96;

/** The sections of an EFI program; undefined when it is none. Sections that do not lie within the file are left out. */
export function readPe(bytes: Uint8Array): PeImage | undefined {
  if (bytes.length < 0x40 || bytes[0] !== 0x4d || bytes[1] !== 0x5a) return undefined;
  const view = viewOf(bytes);
  const at = view.getUint32(0x3c, true);
  if (at + coff.$size > bytes.length || coff.signature(view, at) !== SIGNATURE) return undefined;
  const first = at + coff.$size + coff.size_of_optional_header(view, at);
  const sections: PeSection[] = [];
  for (let index = 0; index < Math.min(coff.number_of_sections(view, at), MAX_SECTIONS); index += 1) {
    const header = first + index * sectionHeader.$size;
    if (header + sectionHeader.$size > bytes.length) break;
    const name = decodeText(bytes.subarray(header, header + 8)).replace(/\0+$/, "");
    const offset = sectionHeader.pointer_to_raw_data(view, header);
    const size = sectionHeader.size_of_raw_data(view, header);
    if (offset + size <= bytes.length) sections.push({ name, offset, size });
  }
  return { machine: coff.machine(view, at), sections };
}
