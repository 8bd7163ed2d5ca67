import { decodeText } from "@guestprobe/block";
import { BE, LE, struct, u32, viewOf } from "@guestprobe/block/struct";
import { contentOf, type ElfImage, PT_NOTE, SHT_NOTE } from "./elf.js";

/** What a kernel tells Xen about itself. Xen, public/elfnote.h. Texts as they are stored, numbers as unsigned. */
export interface XenNotes {
  /** Where they were found: the toolstack asks in this order. */
  readonly source: "PT_NOTE" | "SHT_NOTE" | "__xen_guest";
  readonly entry?: bigint;
  readonly hypercallPage?: bigint;
  readonly virtBase?: bigint;
  readonly paddrOffset?: bigint;
  readonly xenVersion?: string;
  readonly guestOs?: string;
  readonly guestVersion?: string;
  readonly loader?: string;
  readonly paeMode?: string;
  readonly features?: string;
  readonly bsdSymtab?: string;
  readonly hvStartLow?: bigint;
  readonly suspendCancel?: bigint;
  readonly initP2m?: bigint;
  readonly modStartPfn?: bigint;
  readonly supportedFeatures?: bigint;
  readonly phys32Entry?: bigint;
  /** The last note is cut off by the end of its segment; what is there of it was used. */
  readonly truncated?: true;
}

type NoteName = Exclude<keyof XenNotes, "source" | "truncated">;

const NOTES: ReadonlyMap<number, { readonly name: NoteName; readonly kind: "text" | "number" }> = new Map([
  [1, { name: "entry", kind: "number" }],
  [2, { name: "hypercallPage", kind: "number" }],
  [3, { name: "virtBase", kind: "number" }],
  [4, { name: "paddrOffset", kind: "number" }],
  [5, { name: "xenVersion", kind: "text" }],
  [6, { name: "guestOs", kind: "text" }],
  [7, { name: "guestVersion", kind: "text" }],
  [8, { name: "loader", kind: "text" }],
  [9, { name: "paeMode", kind: "text" }],
  [10, { name: "features", kind: "text" }],
  [11, { name: "bsdSymtab", kind: "text" }],
  [12, { name: "hvStartLow", kind: "number" }],
  [14, { name: "suspendCancel", kind: "number" }],
  [15, { name: "initP2m", kind: "number" }],
  [16, { name: "modStartPfn", kind: "number" }],
  [17, { name: "supportedFeatures", kind: "number" }],
  [18, { name: "phys32Entry", kind: "number" }],
]);

/** Elf32_Nhdr; the 64-bit one is the same, and Xen pads name and description to 4 bytes in both. */
const nhdr = {
  [LE]: struct("Elf_Nhdr", 12, LE, { n_namesz: u32(0), n_descsz: u32(4), n_type: u32(8) }),
  [BE]: struct("Elf_Nhdr", 12, BE, { n_namesz: u32(0), n_descsz: u32(4), n_type: u32(8) }),
};

/** The toolstack's own bounds (Xen, xen/common/libelf/libelf-dominfo.c). */
const MAX_NOTES = 65536;
const MAX_TEXT = 4096;

/** Xen's notes; undefined when there are none. */
export function readXenNotes(elf: ElfImage): XenNotes | undefined {
  const inSegments = elf.segments
    .filter(({ type, offset }) => type === PT_NOTE && offset !== 0)
    .map(({ offset, filesz }) => contentOf(elf, { offset, size: filesz }));
  const inSections = elf.sections.filter(({ type }) => type === SHT_NOTE).map((section) => contentOf(elf, section));
  for (const [source, areas] of [
    ["PT_NOTE", inSegments],
    ["SHT_NOTE", inSections],
  ] as const) {
    const found: Partial<Record<NoteName, bigint | string>> = {};
    let truncated = false;
    let count = 0;
    for (const area of areas) {
      for (const note of walkNotes(elf, area)) {
        count += 1;
        if (count > MAX_NOTES) break;
        const known = NOTES.get(note.type);
        if (!note.isXen || known === undefined) continue;
        truncated ||= note.truncated;
        found[known.name] = known.kind === "text" ? textOf(note.desc) : numberOf(note.desc, elf.endian === LE);
      }
    }
    if (Object.keys(found).length > 0)
      return { source, ...found, ...(truncated ? { truncated: true } : {}) } as XenNotes;
  }
  const section = elf.sections.find(({ name }) => name === "__xen_guest");
  return section === undefined ? undefined : readGuestSection(textOf(contentOf(elf, section), 65536));
}

interface Note {
  readonly type: number;
  readonly isXen: boolean;
  readonly desc: Uint8Array;
  readonly truncated: boolean;
}

function* walkNotes(elf: ElfImage, area: Uint8Array): Generator<Note> {
  const header = nhdr[elf.endian];
  const view = viewOf(area);
  let at = 0;
  while (at + header.$size <= area.length) {
    const namesz = header.n_namesz(view, at);
    const descsz = header.n_descsz(view, at);
    const name = at + header.$size;
    const desc = name + Math.ceil(namesz / 4) * 4;
    if (desc > area.length) return;
    const end = desc + descsz;
    yield {
      type: header.n_type(view, at),
      isXen:
        namesz === 4 && area[name] === 0x58 && area[name + 1] === 0x65 && area[name + 2] === 0x6e && !area[name + 3],
      desc: area.subarray(desc, Math.min(end, area.length)),
      truncated: end > area.length,
    };
    at = desc + Math.ceil(descsz / 4) * 4;
  }
}

function textOf(bytes: Uint8Array, limit = MAX_TEXT): string {
  const end = bytes.indexOf(0);
  return decodeText(bytes.subarray(0, Math.min(end < 0 ? bytes.length : end, limit)));
}

/** Numbers are as wide as their description says, 4 or 8 bytes; anything else reads as 0, as the toolstack does. */
function numberOf(bytes: Uint8Array, little: boolean): bigint {
  const view = viewOf(bytes);
  if (bytes.length >= 8) return view.getBigUint64(0, little);
  return bytes.length >= 4 ? BigInt(view.getUint32(0, little)) : 0n;
}

const PAGE = 4096n;

/** The text form that notes replaced: `KEY=VALUE,KEY=VALUE`. */
function readGuestSection(text: string): XenNotes {
  const found: Partial<Record<NoteName, bigint | string>> = {};
  const number = (value: string): bigint => (/^(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(value) ? BigInt(value) : 0n);
  for (const pair of text.split(",").slice(0, 64)) {
    const [key, value = ""] = pair.split(/=(.*)/s) as [string, string?];
    if (key === "LOADER") found.loader = value;
    else if (key === "GUEST_OS") found.guestOs = value;
    else if (key === "GUEST_VER") found.guestVersion = value;
    else if (key === "XEN_VER") found.xenVersion = value;
    else if (key === "PAE") found.paeMode = value === "" ? "yes" : value;
    else if (key === "BSD_SYMTAB") found.bsdSymtab = "yes";
    else if (key === "FEATURES") found.features = value;
    else if (key === "VIRT_BASE") found.virtBase = number(value);
    else if (key === "VIRT_ENTRY") found.entry = number(value);
    else if (key === "ELF_PADDR_OFFSET") found.paddrOffset = number(value);
    else if (key === "HYPERCALL_PAGE") found.hypercallPage = number(value) * PAGE;
  }
  return { source: "__xen_guest", ...found } as XenNotes;
}
