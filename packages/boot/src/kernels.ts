import { type FindingKind, ImageError, isImageError } from "@guestprobe/block";
import { isBzImage, PAYLOAD_PROTOCOL } from "./bzimage.js";
import { isElf } from "./elf.js";
import { KERNEL_ARCH, KERNEL_NOT_PV, KERNEL_NOT_PVH, KERNEL_REFUSED, KERNEL_UNPACKABLE } from "./findings.js";
import type { GuestView } from "./guest.js";
import { type Arch, judgeGrubPv, judgePv, judgePvh } from "./judge.js";
import { type InspectOptions, inspectKernel, type Kernel } from "./kernel.js";
import { type Compression, compressionOf } from "./payload.js";
import { readPe } from "./pe.js";

/** A kernel is not larger than this, bytes; the toolstack's own bound is 1 GiB. */
const MAX_KERNEL_FILE = 128 << 20;
/** What tells a kernel from anything else lies in front, a multiboot header included. Bytes. */
const HEAD = 16 << 10;

/** A kernel file of the guest. */
export interface KernelFile {
  /** All of it; of a file that is no kernel, its head. */
  readonly bytes: Uint8Array;
  /** Bytes. */
  readonly size: number;
  readonly kernel: Kernel;
}

/** Kernels of one guest; each is read and unpacked once, whoever asks. */
export class Kernels {
  readonly #view: GuestView;
  readonly #known = new Map<string, Promise<KernelFile | ImageError>>();

  readonly #options: InspectOptions;

  constructor(view: GuestView, options: InspectOptions = {}) {
    this.#view = view;
    this.#options = options;
  }

  /** The file, or why it could not be read here. */
  get(device: string, path: string): Promise<KernelFile | ImageError> {
    const key = `(${device})${path}`;
    const known = this.#known.get(key) ?? this.#load(device, path);
    this.#known.set(key, known);
    return known;
  }

  async #load(device: string, path: string): Promise<KernelFile | ImageError> {
    try {
      const size = (await this.#view.world.exists(device, path))?.size ?? 0;
      const head = (await this.#view.readRange(device, path, 0, Math.min(size, HEAD))) ?? new Uint8Array();
      const isKernel = isElf(head) || isBzImage(head) || readPe(head) !== undefined || compressionOf(head) === "gzip";
      if (!isKernel) return { bytes: head, size, kernel: await inspectKernel(head) };
      if (size > MAX_KERNEL_FILE) {
        return new ImageError("limit", `a kernel of ${size} bytes, ${MAX_KERNEL_FILE} at most are read`, {
          format: "kernel",
        });
      }
      const bytes = (await this.#view.readRange(device, path, 0, size)) ?? head;
      return { bytes, size, kernel: await inspectKernel(bytes, this.#options) };
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      return error;
    }
  }
}

/** What a loader says to a kernel. */
export interface LoadAnswer {
  readonly ok: boolean;
  /** Its message, in GRUB's words for GRUB. */
  readonly message: string;
  readonly kind: FindingKind | undefined;
  /** What the message does not say: how the kernel is packed, what its notes lack. */
  readonly detail?: string;
  /** There was nothing in the file. */
  readonly empty?: boolean;
  /** The answer rests on something that could not be read here. */
  readonly unknown?: ImageError | undefined;
}

const taken: LoadAnswer = { ok: true, message: "", kind: undefined };
const refused = (message: string, kind: FindingKind): LoadAnswer => ({ ok: false, message, kind });

const GRUB_PV_UNPACKS: readonly Compression[] = ["gzip", "xz", "lzo"];
/** Errors that say that we could not look, not that the file is bad. */
const OUR_LIMITS: readonly string[] = ["limit", "unsupported", "io"];

/** GRUB for PV: `linux` and `multiboot` are the same loader (GRUB 2.06, loader/i386/xen.c). */
export function grubPvLoads({ bytes, kernel }: KernelFile, arch: Arch): LoadAnswer {
  if (kernel.kind === "bzImage") {
    if ((kernel.setup?.protocol ?? PAYLOAD_PROTOCOL) < PAYLOAD_PROTOCOL) {
      return refused("version too old for xen boot", KERNEL_REFUSED);
    }
    if (kernel.compression === undefined || !GRUB_PV_UNPACKS.includes(kernel.compression)) {
      const detail = `its payload is packed by ${kernel.compression ?? "nothing that is known"}`;
      return { ...refused("not xen image", KERNEL_UNPACKABLE), detail };
    }
  }
  if (kernel.elf === undefined) {
    if (kernel.error !== undefined && OUR_LIMITS.includes(kernel.error.code))
      return { ...taken, unknown: kernel.error };
    // A file too short for a setup header is told apart from one with another content.
    const message =
      kernel.kind === "unknown" && bytes.length >= 0x250 ? "version too old for xen boot" : "not xen image";
    return { ...refused(message, KERNEL_REFUSED), empty: bytes.length === 0 };
  }
  const judged = judgeGrubPv(kernel.elf, kernel.notes, arch);
  if (judged.ok) return taken;
  if (judged.reason.startsWith("incompatible")) return refused(judged.reason, KERNEL_ARCH);
  return refused(judged.reason, judged.reason.startsWith("premature") ? KERNEL_REFUSED : KERNEL_NOT_PV);
}

const MULTIBOOT_MAGIC = 0x1bad_b002;

/** GRUB for PVH: the ordinary loaders of i386 (GRUB 2.06, loader/i386/linux.c and multiboot.c). */
export function grubPvhLoads(command: string, { bytes, kernel }: KernelFile): LoadAnswer {
  if (command.startsWith("multiboot")) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + 12 <= Math.min(bytes.length, 8192); at += 4) {
      if (view.getUint32(at, true) === MULTIBOOT_MAGIC) return taken;
    }
    return refused("no multiboot header found", KERNEL_REFUSED);
  }
  if (kernel.kind === "bzImage") return taken;
  return refused(bytes.length < 0x250 ? "premature end of file" : "invalid magic number", KERNEL_REFUSED);
}

/** The toolstack, and pv-grub, which has its loader inside. */
export function toolstackLoads({ bytes, kernel }: KernelFile, container: "pv" | "pvh"): LoadAnswer {
  if (bytes.length === 0) return refused("the file is empty", KERNEL_REFUSED);
  if (kernel.elf === undefined) {
    if (kernel.error !== undefined && OUR_LIMITS.includes(kernel.error.code))
      return { ...taken, unknown: kernel.error };
    if (kernel.kind === "bzImage" && kernel.compression === undefined) {
      return refused("unknown compression format", KERNEL_UNPACKABLE);
    }
    return refused(kernel.error?.message ?? "no kernel that the domain builder knows", KERNEL_REFUSED);
  }
  const judged = container === "pv" ? judgePv(kernel.elf, kernel.notes) : judgePvh(kernel.elf, kernel.notes);
  return judged.ok ? taken : refused(judged.reason, container === "pv" ? KERNEL_NOT_PV : KERNEL_NOT_PVH);
}
