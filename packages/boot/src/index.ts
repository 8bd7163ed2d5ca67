export { type BzImage, isBzImage, parseBzImage } from "./bzimage.js";
export type { VerdictOptions } from "./courses.js";
export { type ElfImage, type ElfSection, type ElfSegment, parseElf } from "./elf.js";
export type { KernelExcerpt, PayloadCache } from "./excerpt.js";
export { BOOT_FINDINGS } from "./findings.js";
export { type GrubSetup, setupOfImage } from "./grub-run.js";
export type { GuestView, GuestVolume } from "./guest.js";
export { type GrubModule, type GrubObject, type HostImage, hostScript, parseHostImage } from "./host-image.js";
export { type Initrd, type InitrdPart, recogniseInitrd } from "./initrd.js";
export { type Arch, archOf, type Judgement, judgeGrubPv, judgePv, judgePvh } from "./judge.js";
export { type InspectOptions, inspectKernel, type Kernel } from "./kernel.js";
export { Kernels } from "./kernels.js";
export { type Compression, compressionOf, MAX_KERNEL_BYTES, type Unpacked, unpackPayload } from "./payload.js";
export { type PeImage, type PeSection, readPe } from "./pe.js";
export { type Cell, type HostProfile, type Loader, type Mode, PROFILES, profileById } from "./profiles.js";
export { readTar, type TarFile } from "./tar.js";
export { bootVerdict } from "./verdict.js";
export type {
  Answer,
  Attempt,
  ChainLink,
  CheckedInitrd,
  CheckedKernel,
  Reference,
  Verdict,
} from "./verdict-types.js";
export { readXenNotes, type XenNotes } from "./xen-notes.js";
export { parseXlDisk, type XlDisk } from "./xl-disk.js";
export { parseXlGuest, type XlGuest } from "./xl-guest.js";
export { parseXlSyntax, type XlValue } from "./xl-syntax.js";
