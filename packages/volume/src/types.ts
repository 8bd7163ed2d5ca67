import type { BlockDevice, ImageError, Report } from "@guestprobe/block";
import type { LogicalVolume, VolumeGroup } from "./lvm2/metadata.js";

/** A disk, a partition, or a volume assembled before, that may be part of a volume. */
export interface VolumeMember {
  /** GRUB's name of it, without parentheses: "xen/xvda,gpt2". It names the member in results and findings. */
  readonly name: string;
  readonly device: BlockDevice;
}

/** What a logical volume and an array have in common. */
interface Mapped {
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
}

/** A logical volume of LVM2. */
export interface LvmVolume extends Mapped {
  readonly kind: "lvm2";
  /** In the text of its group; of a snapshot, the volume that is its store. */
  readonly lv: LogicalVolume;
  /** LVM's word for what it is: "linear", "striped", "raid5", "thin", "snapshot"; "mixed" where its segments differ. */
  readonly layout: string;
}

/** An array of md. */
export interface MdArray extends Mapped {
  readonly kind: "md";
  /** Version of its superblocks. */
  readonly metadata: "0.90" | "1.0" | "1.1" | "1.2";
  /** As md counts: -1 linear, 0, 1, 4, 5, 6, 10. */
  readonly level: number;
  /** As the superblock has it: the algorithm of levels 4 to 6, copies and their places of level 10. */
  readonly layout: number;
  readonly raidDisks: number;
}

export type MappedVolume = LvmVolume | MdArray;

/** A physical volume that was given, and what a reader of its first metadata area alone would know. */
export interface LvmMember {
  readonly name: string;
  /** Its UUID, with dashes. */
  readonly uuid: string;
  /** Data areas in its header. */
  readonly dataAreas: number;
  /** The group as the text of its first metadata area has it; undefined where there is none, or it cannot be read. */
  readonly firstArea: VolumeGroup | undefined;
}

/** A volume group with the members that were found. */
export interface LvmGroup {
  readonly vg: VolumeGroup;
  readonly members: readonly LvmMember[];
}

export interface AssembleOptions {
  /** Takes what is worth telling: members that are missing, metadata that is damaged. */
  readonly report?: Report;
  readonly signal?: AbortSignal;
  /** Further members inside a volume that was assembled: its partitions. */
  readonly inside?: (volume: MappedVolume) => Promise<readonly VolumeMember[]>;
}

/** Something that is there and cannot be put together; it was reported, too. What it holds cannot be told. */
export interface UnreadVolume {
  /** GRUB's name of a logical volume; the names of its members for an array. */
  readonly devices: readonly string[];
  readonly error: ImageError;
}

/** What was made of a set of members. */
export interface AssembledVolumes {
  /** Arrays, then the volumes of each group: both in the order in which the first member was met, or of the text. */
  readonly volumes: readonly MappedVolume[];
  /** Volume groups in the order in which the first member of each was met. */
  readonly groups: readonly LvmGroup[];
  readonly unread: readonly UnreadVolume[];
  /** Members that are part of something, by name: what of. Their own bytes are no file system. */
  readonly taken: ReadonlyMap<string, string>;
  /** Names of all that was looked at, volumes on top of others included, in that order. */
  readonly scanned: readonly string[];
}
