import { decodeText, ImageError, isImageError } from "@guestprobe/block";
import { BE, type Endian, LE, struct, u32, u64, viewOf } from "@guestprobe/block/struct";
import { contentOf, type ElfImage, PT_LOAD, parseElf } from "./elf.js";
import { type Arch, archOf } from "./judge.js";
import { readTar, type TarFile } from "./tar.js";
import { readXenNotes, type XenNotes } from "./xen-notes.js";

/** A module inside a GRUB image. */
export interface GrubModule {
  readonly name: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly size: number;
}

/** A GRUB image for Xen, taken apart. */
export interface HostImage {
  readonly elf: ElfImage;
  readonly arch: Arch;
  readonly platform: "xen" | "xen_pvh";
  readonly notes: XenNotes | undefined;
  /** Where the modules' area starts, bytes. */
  readonly modulesAt: number;
  readonly modules: readonly GrubModule[];
  /** `$prefix` at the start; undefined when none is embedded. */
  readonly prefix: string | undefined;
  /** The embedded configuration, run before anything else. */
  readonly config: string | undefined;
  /** Where each object lies, for whoever wants to compare. */
  readonly objects: readonly GrubObject[];
  readonly memdisk: readonly TarFile[];
}

export interface GrubObject {
  readonly type: "elf" | "memdisk" | "config" | "prefix" | "pubkey" | "dtb" | "other";
  /** Of the object's content, bytes from the start of the file. */
  readonly offset: number;
  readonly size: number;
}

/** GRUB 2.06, include/grub/kernel.h: struct grub_module_info32, grub_module_info64, grub_module_header. */
const infoFor = {
  [LE]: {
    32: struct("grub_module_info32", 12, LE, { magic: u32(0), offset: u32(4), size: u32(8) }),
    64: struct("grub_module_info64", 24, LE, { magic: u32(0), offset: u64(8), size: u64(16) }),
  },
  [BE]: {
    32: struct("grub_module_info32", 12, BE, { magic: u32(0), offset: u32(4), size: u32(8) }),
    64: struct("grub_module_info64", 24, BE, { magic: u32(0), offset: u64(8), size: u64(16) }),
  },
} satisfies Record<Endian, unknown>;
const moduleHeader = struct("grub_module_header", 8, LE, { type: u32(0), size: u32(4) });

const MAGIC = 0x676d_696d; // "mimg"
const TYPES: readonly GrubObject["type"][] = ["elf", "memdisk", "config", "prefix", "pubkey", "dtb"];
const MAX_OBJECTS = 4096;
const FORMAT = "grub-image";

/**
 * Reads a GRUB image made for Xen, as `grub-mkimage -O x86_64-xen` and its kin make them. The modules are found at the
 * start of a loaded segment: the magic also occurs inside code, so it is never searched for.
 *
 * @throws ImageError `not-this-format` for what is no ELF file or holds no modules; `corrupt` for damage.
 */
export function parseHostImage(bytes: Uint8Array): HostImage {
  const elf = parseElf(bytes);
  const arch = archOf(elf);
  if (arch === undefined) {
    throw new ImageError("not-this-format", `an ELF file for machine ${elf.machine}, not for x86`, { format: FORMAT });
  }
  const start = modulesStart(elf);
  if (start === undefined) {
    throw new ImageError("not-this-format", "no segment or section begins with GRUB's modules", { format: FORMAT });
  }
  const notes = readXenNotes(elf);
  const objects = readObjects(elf, start);
  const text = (type: GrubObject["type"]): string | undefined => {
    const object = objects.find((each) => each.type === type);
    return object === undefined ? undefined : decodeText(untilNul(contentOf(elf, object)));
  };
  const memdisk = objects.find(({ type }) => type === "memdisk");
  return {
    elf,
    arch,
    // An image for PVH has its entry point and nothing for PV.
    platform: notes?.phys32Entry !== undefined && notes.xenVersion === undefined ? "xen_pvh" : "xen",
    notes,
    modulesAt: start,
    modules: objects
      .filter(({ type }) => type === "elf")
      .map((object) => ({ ...object, name: moduleName(elf, object) })),
    prefix: text("prefix"),
    config: text("config"),
    objects,
    memdisk: memdisk === undefined ? [] : readTar(contentOf(elf, memdisk)),
  };
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Whether the bytes at `at` are a modules' area that fits the file. */
function fits({ bytes, bits, endian }: ElfImage, at: number): boolean {
  const info = infoFor[endian][bits];
  if (at + info.$size > bytes.length) return false;
  return info.magic(viewOf(bytes), at) === MAGIC;
}

function modulesStart(elf: ElfImage): number | undefined {
  const segment = elf.segments.find(({ type, offset }) => type === PT_LOAD && fits(elf, offset));
  return segment?.offset ?? elf.sections.find(({ name, offset }) => name === "mods" && fits(elf, offset))?.offset;
}

function readObjects(elf: ElfImage, start: number): GrubObject[] {
  const info = infoFor[elf.endian][elf.bits];
  const view = viewOf(elf.bytes);
  const corrupt = (structure: string, field: string, offset: number, reason: string): ImageError =>
    new ImageError("corrupt", reason, { format: FORMAT, structure, field, offset });
  const end = start + info.size(view, start);
  if (end > elf.bytes.length) {
    throw corrupt(info.$name, "size", start, `the modules end at byte ${end} of ${elf.bytes.length}`);
  }
  const objects: GrubObject[] = [];
  let at = start + info.offset(view, start);
  while (at < end) {
    if (objects.length === MAX_OBJECTS) throw corrupt(info.$name, "size", start, `more than ${MAX_OBJECTS} objects`);
    if (at + moduleHeader.$size > end) throw corrupt(moduleHeader.$name, "size", at, "cut off");
    const size = moduleHeader.size(view, at);
    if (size < moduleHeader.$size || at + size > end) {
      throw corrupt(moduleHeader.$name, "size", at, `${size} bytes, ${end - at} are left`);
    }
    const type = TYPES[moduleHeader.type(view, at)] ?? "other";
    objects.push({ type, offset: at + moduleHeader.$size, size: size - moduleHeader.$size });
    at += size;
  }
  return objects;
}

/** A module's own name; one that is damaged has none. */
function moduleName(elf: ElfImage, object: GrubObject): string {
  try {
    const module = parseElf(contentOf(elf, object));
    const section = module.sections.find(({ name }) => name === ".modname");
    return section === undefined ? "" : decodeText(untilNul(contentOf(module, section)));
  } catch (error) {
    if (!isImageError(error)) throw error;
    return "";
  }
}

/** The script that decides what is booted: what the embedded configuration leads to, or that itself. */
export function hostScript({
  config,
  memdisk,
}: HostImage): { readonly name: string; readonly text: string } | undefined {
  const inMemdisk = memdisk.find(({ name }) => config?.includes(`(memdisk)/${name}`));
  if (inMemdisk !== undefined) return { name: `(memdisk)/${inMemdisk.name}`, text: decodeText(inMemdisk.bytes) };
  return config === undefined ? undefined : { name: "embedded", text: config };
}
