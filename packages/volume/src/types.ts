import type { BlockDevice, Report } from "@guestprobe/block";

/** A disk, a partition, or a volume assembled before, that may be part of a volume. */
export interface VolumeMember {
  /** GRUB's name of it, without parentheses: "xen/xvda,gpt2". It names the member in results and findings. */
  readonly name: string;
  readonly device: BlockDevice;
}

/** A device that is made of others: a logical volume, an array. */
export interface MappedVolume {
  readonly kind: "lvm2" | "md";
  /** GRUB's name of it: "lvm/vg-root" with dashes of either name doubled, "md/0". */
  readonly name: string;
  /** Other names under which GRUB opens it: "lvmid/VG/LV", "mduuid/HEX". */
  readonly aliases: readonly string[];
  /** Names of its device node under Linux: "/dev/mapper/vg-root", "/dev/vg/root", "/dev/md0". */
  readonly linuxNames: readonly string[];
  readonly device: BlockDevice;
  /** Names of the members on which its bytes lie, in the order in which they were given. */
  readonly members: readonly string[];
  /** What belongs together: the UUID of the volume group or of the array. */
  readonly group: string;
  /** Whether it is meant to be used by itself; parts of other volumes, and what LVM hides, are not. */
  readonly isVisible: boolean;
  /** Why GRUB does not read it; undefined when it does. */
  readonly hiddenFromGrub: string | undefined;
}

export interface AssembleOptions {
  /** Takes what is worth telling: members that are missing, metadata that is damaged. */
  readonly report?: Report;
  readonly signal?: AbortSignal;
}

/** What was made of a set of members. */
export interface AssembledVolumes {
  /** Groups in the order in which the first member of each was met; within a group, in the order of its metadata. */
  readonly volumes: readonly MappedVolume[];
  /** Members that are part of something, by name: what of. Their own bytes are no file system. */
  readonly taken: ReadonlyMap<string, string>;
}
