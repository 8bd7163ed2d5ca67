import type { Arch } from "./judge.js";
import type { Compression } from "./payload.js";

/** A fact, and where it is written. */
export interface Cell<T> {
  readonly value: T;
  readonly source: string;
}

export type Loader = "grub" | "pv-grub" | "pygrub" | "toolstack";
export type Mode = "pv" | "pvh" | "pygrub" | "direct";

/** A way in which hosts boot guests. */
export interface HostProfile {
  readonly id: string;
  readonly title: string;
  readonly mode: Mode;
  readonly loader: Loader;
  /** How the domain runs: what the kernel must be capable of. */
  readonly container: "pv" | "pvh";
  readonly arch: Arch;
  /** GRUB's script; undefined for other loaders. */
  readonly script?: Cell<string>;
  readonly prefix?: Cell<string>;
  /** Compressions of a kernel that it gets along with. */
  readonly unpacks: Cell<readonly Compression[] | "any, the kernel unpacks itself">;
  /** Which boot files it looks for. */
  readonly looksFor: Cell<string>;
  /** What of the disks it can read. */
  readonly reads: Cell<string>;
  /** Commands of guests' configurations that it lacks. */
  readonly lacks: Cell<readonly string[]>;
}

const GRUB_SOURCE = "GRUB 2.06, grub-core/loader/i386/xen.c, xen_file.c and io/{gzio,xzio,lzopio}.c";
const GRUB_PV_UNPACKS: Cell<readonly Compression[]> = { value: ["gzip", "xz", "lzo"], source: GRUB_SOURCE };
const GRUB_PVH_UNPACKS = {
  value: "any, the kernel unpacks itself",
  source: "GRUB 2.06, grub-core/loader/i386/linux.c: the setup code is loaded as it is",
} as const;
const GRUB_READS: Cell<string> = {
  value:
    "every partition map and file system of GRUB 2, LVM2 and md; no encrypted volumes, no thin or snapshot volumes",
  source: "modules of Debian's grub-xen-host 2.06-13; `guestprobe host` lists them",
};
const GRUB_PV_LACKS: Cell<readonly string[]> = {
  value: ["blscfg", "chainloader", "linux16", "initrd16", "linuxefi", "initrdefi", "multiboot2", "module2"],
  source: "modules of Debian's grub-x86_64-xen.bin 2.06-13",
};
const GRUB_PVH_LACKS: Cell<readonly string[]> = {
  value: ["blscfg", "chainloader", "linuxefi", "initrdefi"],
  source: "modules of Debian's grub-i386-xen_pvh.bin 2.06-13",
};
const LIBXC_UNPACKS: Cell<readonly Compression[]> = {
  value: ["gzip", "bzip2", "xz", "zstd", "lzma", "lzo", "lz4"],
  source: "Xen 4.17, tools/libs/guest/xg_dom_bzimageloader.c, with all decompressors built in",
};

const chainload = (path: string): string => `if search -s -f ${path} ; then
	echo "Chainloading (\${root})${path}"
	multiboot "${path}"
	boot
fi
`;
const read = (command: string, path: string): string => `if search -s -f ${path} ; then
	echo "Reading (\${root})${path}"
	${command} ${path}
fi
`;
const CONFIGS = read("configfile", "/boot/grub/grub.cfg") + read("configfile", "/grub/grub.cfg");
const pvbootOf = (arch: Arch): string =>
  chainload(`/boot/xen/pvboot-${arch}.elf`) + chainload(`/xen/pvboot-${arch}.elf`);

const MEMDISK_PREFIX = "(memdisk)/boot/grub";
const debianPrefix: Cell<string> = { value: MEMDISK_PREFIX, source: "prefix inside Debian's images" };

interface GrubParts {
  readonly id: string;
  readonly title: string;
  readonly mode: "pv" | "pvh";
  readonly arch: Arch;
  readonly script: Cell<string>;
  readonly prefix: Cell<string>;
  readonly looksFor: Cell<string>;
}

function grub(parts: GrubParts): HostProfile {
  const pv = parts.mode === "pv";
  return {
    ...parts,
    loader: "grub",
    container: parts.mode,
    unpacks: pv ? GRUB_PV_UNPACKS : GRUB_PVH_UNPACKS,
    reads: GRUB_READS,
    lacks: pv ? GRUB_PV_LACKS : GRUB_PVH_LACKS,
  };
}

const XEN_BLOG = "Xen project blog, 7 January 2015, Using GRUB 2 as a bootloader for Xen PV guests";
const BITFOLK = "BitFolk, users mailing list, February 2017: order pvboot, grub.cfg, menu.lst";
const PROTOCOL = "Xen, docs/misc/x86-xenpv-bootloader.pandoc";

/** The ways to boot that are known by name. The first of a mode is its default. */
export const PROFILES: readonly HostProfile[] = [
  grub({
    id: "debian-pv",
    title: "Debian's PV image, 64 bits (grub-x86_64-xen.bin)",
    mode: "pv",
    arch: "x86_64",
    script: {
      value: pvbootOf("x86_64") + CONFIGS,
      source: "grub.cfg in the memdisk of Debian's grub-x86_64-xen.bin 2.06-13, step by step",
    },
    prefix: debianPrefix,
    looksFor: { value: "pvboot-x86_64.elf, then grub.cfg; each below /boot, then at the top", source: PROTOCOL },
  }),
  grub({
    id: "debian-pv-i386",
    title: "Debian's PV image, 32 bits (grub-i386-xen.bin)",
    mode: "pv",
    arch: "i386",
    script: {
      value: pvbootOf("i386") + CONFIGS,
      source: "grub.cfg in the memdisk of Debian's grub-i386-xen.bin 2.06-13, step by step",
    },
    prefix: debianPrefix,
    looksFor: { value: "pvboot-i386.elf, then grub.cfg; each below /boot, then at the top", source: PROTOCOL },
  }),
  grub({
    id: "debian-pvh",
    title: "Debian's PVH image (grub-i386-xen_pvh.bin)",
    mode: "pvh",
    arch: "i386",
    script: { value: CONFIGS, source: "grub.cfg in the memdisk of Debian's grub-i386-xen_pvh.bin 2.06-13" },
    prefix: debianPrefix,
    looksFor: { value: "grub.cfg alone: there is no chainload under PVH", source: "Debian bug 776450" },
  }),
  grub({
    id: "bitfolk-pv",
    title: "four steps: pvboot of either width, grub.cfg, menu.lst",
    mode: "pv",
    arch: "x86_64",
    script: {
      value:
        pvbootOf("x86_64") +
        pvbootOf("i386") +
        CONFIGS +
        read("legacy_configfile", "/boot/grub/menu.lst") +
        read("legacy_configfile", "/grub/menu.lst"),
      source: BITFOLK,
    },
    prefix: { value: MEMDISK_PREFIX, source: BITFOLK },
    looksFor: { value: "pvboot of both widths, grub.cfg, menu.lst; two places each", source: BITFOLK },
  }),
  grub({
    id: "xen-recipe-disk",
    title: "GRUB that reads one fixed configuration",
    mode: "pv",
    arch: "x86_64",
    script: { value: "normal (xen/xvda,msdos1)/boot/grub/grub.cfg\n", source: XEN_BLOG },
    prefix: { value: "(xen/xvda,msdos1)/boot/grub", source: XEN_BLOG },
    looksFor: { value: "/boot/grub/grub.cfg on the first partition of xvda", source: XEN_BLOG },
  }),
  grub({
    id: "xen-recipe-search",
    title: "GRUB with a memdisk that searches for grub.cfg",
    mode: "pv",
    arch: "x86_64",
    script: { value: CONFIGS, source: XEN_BLOG },
    prefix: { value: MEMDISK_PREFIX, source: XEN_BLOG },
    looksFor: { value: "grub.cfg below /boot, then at the top", source: XEN_BLOG },
  }),
  {
    id: "pv-grub",
    title: "pv-grub, GRUB legacy as a PV guest",
    mode: "pv",
    loader: "pv-grub",
    container: "pv",
    arch: "x86_64",
    unpacks: {
      value: LIBXC_UNPACKS.value,
      source: "Xen 4.17, stubdom/grub: the domain builder inside, as in the toolstack",
    },
    looksFor: { value: "the file that `extra` names: (hd0,0)/boot/grub/menu.lst", source: "Xen wiki, PvGrub" },
    reads: {
      value: "ext2, ext3, ext4, btrfs, XFS, FAT, ReiserFS, ISO 9660; DOS partitions",
      source: "Xen, stubdom/grub.patches",
    },
    lacks: { value: ["grub.cfg"], source: "it reads menu.lst alone" },
  },
  {
    id: "pygrub",
    title: "pygrub, run by the toolstack in domain 0",
    mode: "pygrub",
    loader: "pygrub",
    container: "pv",
    arch: "x86_64",
    unpacks: LIBXC_UNPACKS,
    looksFor: {
      value: "grub.cfg, extlinux.conf, menu.lst, grub.conf in fixed places",
      source: "Xen 4.17, tools/pygrub/src/pygrub, class Grub",
    },
    reads: {
      value: "ext2, ext3, ext4, FAT, ISO 9660, ReiserFS, UFS, XFS version 4; four DOS partitions, GPT, whole disks",
      source: "Xen 4.17, tools/libfsimage and tools/pygrub/src/pygrub",
    },
    lacks: { value: ["search", "if", "submenus", "blscfg"], source: "Xen 4.17, tools/pygrub/src/GrubConf.py" },
  },
  {
    id: "direct-pv",
    title: "the toolstack, with the guest's kernel taken out beforehand, as PV",
    mode: "direct",
    loader: "toolstack",
    container: "pv",
    arch: "x86_64",
    unpacks: LIBXC_UNPACKS,
    looksFor: { value: "what grub.cfg or menu.lst of the guest would start", source: "man xl.cfg, kernel and ramdisk" },
    reads: GRUB_READS,
    lacks: { value: [], source: "no configuration is read on the host" },
  },
  {
    id: "direct-pvh",
    title: "the toolstack, with the guest's kernel taken out beforehand, as PVH",
    mode: "direct",
    loader: "toolstack",
    container: "pvh",
    arch: "x86_64",
    unpacks: LIBXC_UNPACKS,
    looksFor: { value: "what grub.cfg or menu.lst of the guest would start", source: "man xl.cfg, kernel and ramdisk" },
    reads: GRUB_READS,
    lacks: { value: [], source: "no configuration is read on the host" },
  },
];

export function profileById(id: string): HostProfile | undefined {
  return PROFILES.find((profile) => profile.id === id);
}

/** The script that stands for direct boot: what the guest's own configuration would start. */
export const GUEST_CONFIGS =
  CONFIGS +
  read("configfile", "/boot/grub2/grub.cfg") +
  read("configfile", "/grub2/grub.cfg") +
  read("legacy_configfile", "/boot/grub/menu.lst") +
  read("legacy_configfile", "/grub/menu.lst");
