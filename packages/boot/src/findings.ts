import type { FindingKind, Severity } from "@guestprobe/block";

const kind = (
  code: string,
  severity: Severity,
  title: string,
  explanation: string,
  ...next: string[]
): FindingKind => ({ code, severity, title, explanation, next });

export const NOTHING_FOUND = kind(
  "boot-nothing-found",
  "error",
  "The host's loader finds nothing to boot",
  "None of the files that the loader looks for is on a volume that it can read. A person at the console would see a " +
    "prompt, or the domain would not be built at all.",
  "Debian: install a kernel and run `update-grub`, which writes /boot/grub/grub.cfg",
  "see which files are there: `guestprobe search IMAGE`",
);
export const PVBOOT_EMPTY = kind(
  "boot-pvboot-empty",
  "warning",
  "The guest's own loader is an empty file",
  "Hosts look for it by name alone and try to load it before anything else. GRUB prints an error and goes on with the " +
    "next step, which then decides.",
  "Debian: `apt-get install --reinstall grub-xen` and `grub-install --target=x86_64-xen`",
  "or remove the file",
);
export const PVBOOT_BROKEN = kind(
  "boot-pvboot-broken",
  "warning",
  "The guest's own loader is no file that GRUB can hand over to",
  "GRUB hands over to ELF files of its own width with Xen notes alone. It prints an error and goes on with the next step.",
  "Debian: `apt-get install --reinstall grub-xen` and `grub-install --target=x86_64-xen`",
  "or remove the file",
);
export const PVBOOT_OTHER_ARCH = kind(
  "boot-pvboot-other-arch",
  "note",
  "The guest has a loader of its own, for the other width only",
  "A PV loader cannot change between 32 and 64 bits: this host passes the file over.",
  "Debian: `grub-install --target=x86_64-xen` (or i386-xen) for the host's width",
  "or nothing: the loader goes on to grub.cfg",
);
export const KERNEL_ARCH = kind(
  "boot-kernel-arch",
  "error",
  "The kernel has another width than the loader",
  "Under PV the width of the domain is that of the host's loader; it cannot be changed when the kernel is loaded.",
  "ask for a host loader of the kernel's width, or use PVH",
  "Debian: install linux-image-amd64 on a 64-bit host",
);
export const KERNEL_UNPACKABLE = kind(
  "boot-kernel-unpackable",
  "error",
  "This loader cannot unpack the kernel",
  "GRUB for PV unpacks the kernel itself, and knows gzip, xz and lzo alone. A kernel packed by zstd, lz4, lzma or bzip2 " +
    "is `not xen image' to it. The toolstack (pygrub, direct boot) knows all of them, and under PVH the kernel unpacks itself.",
  'boot the guest as PVH: `type="pvh"` and the host\'s grub-i386-xen_pvh.bin',
  "Debian: use linux-image-amd64 (xz) in place of linux-image-cloud-amd64 (lz4)",
  "or build the kernel with CONFIG_KERNEL_XZ=y or CONFIG_KERNEL_GZIP=y",
);
export const KERNEL_NOT_PV = kind(
  "boot-kernel-not-pv",
  "error",
  "The kernel cannot run as a PV guest",
  "It has no Xen notes for PV: it was built without CONFIG_XEN_PV.",
  "boot the guest as PVH, or install a kernel with CONFIG_XEN_PV=y",
);
export const KERNEL_NOT_PVH = kind(
  "boot-kernel-not-pvh",
  "error",
  "The kernel cannot run as a PVH guest",
  "It has no PHYS32_ENTRY note: it was built without CONFIG_PVH.",
  "boot the guest as PV, or install a kernel with CONFIG_PVH=y",
);
export const KERNEL_REFUSED = kind(
  "boot-kernel-refused",
  "error",
  "The loader refuses the kernel",
  "The file is no kernel in a form that this loader takes, or it is damaged.",
  "Debian: `apt-get install --reinstall linux-image-$(uname -r)`",
  "Fedora: `dnf reinstall kernel-core`",
  "SUSE: `zypper install --force kernel-default`",
  "Arch: `pacman -S linux`",
  "Alpine: `apk fix linux-virt`",
);
export const KERNEL_MISSING = kind(
  "boot-kernel-missing",
  "error",
  "The kernel that the entry names is not there",
  "The configuration is older than what is in /boot, or it names the file as seen from another volume.",
  "Debian: `update-grub`",
  "Fedora, SUSE: `grub2-mkconfig -o /boot/grub2/grub.cfg`",
  "Arch, Alpine: `grub-mkconfig -o /boot/grub/grub.cfg`",
);
export const INITRD_MISSING = kind(
  "boot-initrd-missing",
  "error",
  "A ramdisk that the entry names is not there",
  "GRUB prints an error and starts the kernel without it; most kernels then find no root.",
  "Debian: `update-initramfs -c -k all`, then `update-grub`",
  "Fedora, SUSE: `dracut --regenerate-all --force`",
  "Arch: `mkinitcpio -P`",
  "Alpine: `mkinitfs`",
);
export const INITRD_STRANGE = kind(
  "boot-initrd-strange",
  "warning",
  "A ramdisk does not begin as one",
  "It is neither a cpio archive nor compressed by anything that kernels unpack. The loader takes it all the same; the kernel " +
    "will not.",
  "Debian: `update-initramfs -u -k all`",
  "Fedora, SUSE: `dracut --regenerate-all --force`",
  "Arch: `mkinitcpio -P`",
  "Alpine: `mkinitfs`",
);
export const COMMAND_MISSING = kind(
  "boot-command-missing",
  "warning",
  "The configuration uses a command that this loader does not have",
  "The loader prints an error and goes on as if the command had succeeded. With blscfg, which Fedora's GRUB has and " +
    "Debian's has not, the menu stays without its entries.",
  "Fedora: `GRUB_ENABLE_BLSCFG=false` in /etc/default/grub, then `grub2-mkconfig -o /boot/grub2/grub.cfg`",
  "or install the guest's own GRUB as /boot/xen/pvboot-x86_64.elf: `grub-mkstandalone -O x86_64-xen`",
);
export const FILE_HIDDEN = kind(
  "boot-file-hidden",
  "warning",
  "A boot file is on a volume that the loader cannot read",
  "Linux reads the volume, the loader's driver refuses it, because of a feature that it does not know. To the loader the " +
    "device holds no file system.",
  "keep /boot on a volume without that feature",
);
export const JOURNAL_DIRTY = kind(
  "boot-journal-dirty",
  "warning",
  "The volume that the guest boots from was not unmounted cleanly",
  "Loaders do not replay journals: they may see files as they were before the last changes, or not see them at all.",
  "start and stop the guest once by other means, or run `e2fsck -p` or a mount on a copy",
);
export const DUPLICATE_UUID = kind(
  "boot-duplicate-uuid",
  "warning",
  "Several volumes have the same UUID",
  "Whatever names a volume by it, `search --fs-uuid` and root= alike, takes one of them, and not always the same.",
  "give the copy another: `tune2fs -U random DEVICE`, `xfs_admin -U generate DEVICE`",
);
export const DUPLICATE_LABEL = kind(
  "boot-duplicate-label",
  "note",
  "Several volumes have the same label",
  "Whatever names a volume by it takes one of them, and not always the same.",
  "`e2label DEVICE NAME`, `xfs_admin -L NAME DEVICE`",
);
export const SEVERAL_ANSWER = kind(
  "boot-several-answer",
  "warning",
  "Several volumes have the file that the loader looks for",
  "The loader takes the first in its own order: a whole disk before its partitions, and those from the last to the first.",
  "remove the boot files from the volume that is not meant, or rename them",
);
export const ROOT_BY_NAME = kind(
  "boot-root-by-name",
  "note",
  "The root volume is named by its device",
  "The name depends on how the host attaches the disks: xvda under Xen, sda or vda elsewhere.",
  "name it by UUID: `root=UUID=...`, in Debian by GRUB_DISABLE_LINUX_UUID unset and `update-grub`",
);
export const ROOT_MISSING = kind(
  "boot-root-missing",
  "error",
  "The root volume is on none of the disks",
  "The kernel starts, and waits for a root that does not come.",
  "give the missing disk too: `guestprobe boot IMAGE IMAGE`",
  "or write the configuration anew inside the guest: `update-grub`",
);
export const RESUME_MISSING = kind(
  "boot-resume-missing",
  "note",
  "The volume to resume from is on none of the disks",
  "The ramdisk waits for it for a while and goes on.",
  "Debian: /etc/initramfs-tools/conf.d/resume, then `update-initramfs -u`",
  "Fedora: `grubby --update-kernel=ALL --remove-args=resume`",
  "or take resume= out of the kernel's command line",
);
export const FSTAB_MISSING = kind(
  "boot-fstab-missing",
  "warning",
  "/etc/fstab names a volume that is on none of the disks",
  "Without the option nofail systemd waits for it, and then asks for a password on the console.",
  "give the missing disk too, correct the line, or add nofail",
);
export const SAVED_IGNORED = kind(
  "boot-saved-ignored",
  "note",
  "The saved choice of the menu is not seen by this loader",
  "The loader of the host keeps its own files in memory: grubenv of the guest is not read, and the first entry is taken " +
    "where the guest would take the saved one.",
  "set GRUB_DEFAULT to a number or an id, or install the guest's own GRUB (grub-xen)",
);
export const PASSWORD = kind(
  "boot-password",
  "warning",
  "The entry asks for a password",
  "Nobody is there to type it when the guest starts by itself.",
  "add `--unrestricted` to the entry",
);
export const GRUB2_DIRECTORY = kind(
  "boot-grub2-directory",
  "warning",
  "The configuration is in /boot/grub2, where this loader does not look",
  "Fedora, Red Hat and SUSE keep it there; host loaders look in /boot/grub alone.",
  "inside the guest: `mkdir -p /boot/grub` and `ln -s ../grub2/grub.cfg /boot/grub/grub.cfg`",
);
export const IN_SUBVOLUME = kind(
  "boot-in-subvolume",
  "warning",
  "The configuration is inside a btrfs subvolume, where this loader does not look",
  "GRUB reads paths from the top of the volume, not from the default subvolume: /@/boot/grub is not /boot/grub.",
  "keep /boot on a volume of its own, or put a link at the top: `ln -s @/boot boot` on the mounted subvolid 5",
);
export const MENU_WAITS = kind(
  "boot-menu-waits",
  "error",
  "The menu waits for a key",
  "No timeout is set, or nothing in the menu could be started: the loader waits at its console for ever.",
  "set a timeout: GRUB_TIMEOUT=5 in /etc/default/grub, then `update-grub`",
);
export const CONFIG_PROBLEM = kind(
  "boot-config-problem",
  "warning",
  "The configuration cannot be followed as this loader would",
  "The loader stops or loses its way at the line that is named.",
  "see what GRUB's parser makes of it: `guestprobe cat IMAGE /boot/grub/grub.cfg > grub.cfg` and `guestprobe grub check grub.cfg`",
  "Debian: write it anew, `update-grub`",
);
export const NOT_KNOWN = kind(
  "boot-not-known",
  "warning",
  "Something that the answer rests on could not be read here",
  "The loader may read it, this tool did not: the answer is `unknown` rather than a guess.",
  "see what was in the way: `guestprobe inspect -v IMAGE`",
);

/** Every kind of finding that a boot verdict can hold. */
export const BOOT_FINDINGS: readonly FindingKind[] = [
  NOTHING_FOUND,
  PVBOOT_EMPTY,
  PVBOOT_BROKEN,
  PVBOOT_OTHER_ARCH,
  KERNEL_ARCH,
  KERNEL_UNPACKABLE,
  KERNEL_NOT_PV,
  KERNEL_NOT_PVH,
  KERNEL_REFUSED,
  KERNEL_MISSING,
  INITRD_MISSING,
  INITRD_STRANGE,
  COMMAND_MISSING,
  FILE_HIDDEN,
  JOURNAL_DIRTY,
  DUPLICATE_UUID,
  DUPLICATE_LABEL,
  SEVERAL_ANSWER,
  ROOT_BY_NAME,
  ROOT_MISSING,
  RESUME_MISSING,
  FSTAB_MISSING,
  SAVED_IGNORED,
  PASSWORD,
  GRUB2_DIRECTORY,
  IN_SUBVOLUME,
  MENU_WAITS,
  CONFIG_PROBLEM,
  NOT_KNOWN,
];
