import { LE } from "@guestprobe/block/struct";
import { type ElfImage, EM_386, EM_X86_64, PT_LOAD } from "./elf.js";
import type { XenNotes } from "./xen-notes.js";

export type Arch = "i386" | "x86_64";

/** Whether a loader takes an ELF file, and what it says when it does not. */
export interface Judgement {
  readonly ok: boolean;
  /** One sentence; of GRUB, the words of its error message. */
  readonly reason: string;
}

const yes = (reason: string): Judgement => ({ ok: true, reason });
const no = (reason: string): Judgement => ({ ok: false, reason });

/** The architecture that Xen knows the file by. */
export function archOf(elf: ElfImage): Arch | undefined {
  if (elf.endian !== LE) return undefined;
  if (elf.machine === EM_X86_64 && elf.bits === 64) return "x86_64";
  return elf.machine === EM_386 && elf.bits === 32 ? "i386" : undefined;
}

const KNOWN_FEATURES: ReadonlySet<string> = new Set([
  "writable_page_tables",
  "writable_descriptor_tables",
  "auto_translated_physmap",
  "supervisor_mode_kernel",
  "pae_pgdir_above_4gb",
  "mmu_pt_update_preserve_ad",
  "highmem_assist",
  "gnttab_map_avail_bits",
  "hvm_callback_vector",
  "hvm_safe_pvclock",
  "hvm_pirqs",
  "dom0",
  "grant_map_identity",
  "memory_op_vnode_supported",
  "ARM_SMCCC_supported",
  "linux_rsdp_unrestricted",
]);

/** Whether the toolstack starts it as a PV guest (Xen, libelf-dominfo.c, elf_xen_note_check). */
export function judgePv(elf: ElfImage, notes: XenNotes | undefined): Judgement {
  const arch = archOf(elf);
  if (arch === undefined) return no(`machine ${elf.machine}, ${elf.bits} bits: not a kernel for x86`);
  if (notes === undefined) return no("no Xen notes");
  const generic = notes.loader?.startsWith("generic") === true;
  const linux = notes.guestOs?.startsWith("linux") === true;
  if (!generic && !linux) return no("neither a LOADER note of generic nor a GUEST_OS note of linux");
  if (notes.xenVersion?.startsWith("xen-3.0") !== true) return no("no XEN_VERSION note of xen-3.0");
  for (const word of (notes.features ?? "").split("|")) {
    if (!word.startsWith("!")) continue;
    if (word === "!dom0") return no("it requires to be domain 0");
    if (!KNOWN_FEATURES.has(word.slice(1))) return no(`it requires the unknown feature ${word.slice(1)}`);
  }
  if (notes.paddrOffset !== undefined && notes.virtBase === undefined) return no("PADDR_OFFSET without VIRT_BASE");
  if (!elf.segments.some(({ type }) => type === PT_LOAD)) return no("nothing to load");
  if (arch === "i386" && !isPae(notes)) return no("32 bits without PAE, which no current hypervisor runs");
  return yes(arch === "i386" ? "xen-3.0-x86_32p" : "xen-3.0-x86_64");
}

function isPae({ paeMode }: XenNotes): boolean {
  return paeMode !== undefined && /^(yes|bimodal)/.test(paeMode);
}

/** Whether the toolstack starts it as a PVH guest: the entry point is all that it asks for. */
export function judgePvh(elf: ElfImage, notes: XenNotes | undefined): Judgement {
  if (archOf(elf) === undefined) return no(`machine ${elf.machine}, ${elf.bits} bits: not a kernel for x86`);
  return notes?.phys32Entry === undefined ? no("no PHYS32_ENTRY note") : yes("hvm-3.0-x86_32");
}

/** Whether the PV build of GRUB hands over to it (GRUB 2.06, loader/i386/xen.c and xen_fileXX.c). */
export function judgeGrubPv(elf: ElfImage, notes: XenNotes | undefined, loader: Arch): Judgement {
  const arch = archOf(elf);
  if (arch === undefined) return no("not xen image");
  if (notes === undefined) return no("no XEN note found");
  if (notes.loader !== undefined && notes.loader !== "generic") return no("invalid loader");
  if (arch !== loader || (arch === "i386" && !isPae(notes))) {
    // GRUB prints its own number of what it found: 1 for i386 without PAE, 2 with, 4 for x86_64.
    return no(`incompatible architecture: ${arch === "x86_64" ? 4 : isPae(notes) ? 2 : 1}`);
  }
  // Its segments are read one after another (kern/elfXX.c, grub_elfXX_load).
  const cut = elf.segments.some(({ type, offset, filesz }) => type === PT_LOAD && offset + filesz > elf.size);
  if (cut) return no("premature end of file");
  return yes(arch);
}
