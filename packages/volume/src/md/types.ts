import type { BlockDevice } from "@guestprobe/block";
import type { VolumeMember } from "../types.js";

export type MdVersion = "0.90" | "1.0" | "1.1" | "1.2";

/** What a device is for its array. */
export type MdRole =
  | { readonly kind: "active"; readonly index: number }
  | { readonly kind: "spare" | "faulty" | "journal" };

/** A superblock of any version, checked by itself. Sizes and places are in bytes. */
export interface MdSuperblock {
  readonly version: MdVersion;
  /** The on-disk structure, for errors and findings. */
  readonly structure: "mdp_superblock_1" | "mdp_super_t";
  /** Where it lies on its device. */
  readonly offset: number;
  /** As mdadm prints it: four groups of eight hexadecimal digits, with colons. */
  readonly uuid: string;
  /** Bytes of the name with its homehost; empty in version 0.90. */
  readonly setName: Uint8Array;
  /** The number in /dev/mdN; version 0.90 only. */
  readonly minor: number | undefined;
  /** Seconds since 1970. */
  readonly created: number;
  readonly level: number;
  readonly layout: number;
  readonly chunk: number;
  readonly raidDisks: number;
  /** Used of each member; 0 for linear and raid0, whose members may be of different sizes. */
  readonly size: number;
  /** The member's data. */
  readonly dataOffset: number;
  readonly dataSize: number;
  readonly events: bigint;
  /** This device's number, the index into `roles`. */
  readonly deviceNumber: number;
  /** By device number. */
  readonly roles: readonly MdRole[];
  /** Whether all copies and parities agree, or did before a member was lost. */
  readonly isInSync: boolean;
  /** Why the array cannot be read, whatever members there are. */
  readonly refusal: string | undefined;
  /** This member is still being rebuilt. */
  readonly isRebuilding: boolean;
  /** This member is to replace another in the same role. */
  readonly isReplacement: boolean;
  /** Where the member's list of bad blocks lies, if there is any in it. */
  readonly badBlocks: { readonly offset: number; readonly length: number; readonly unit: number } | undefined;
  /** Undefined when the checksum is right. */
  readonly checksumProblem: string | undefined;
}

/** A device with a superblock of md. */
export interface MdMember {
  readonly member: VolumeMember;
  readonly superblock: MdSuperblock;
  /** The device's data; as long as the device goes where that ends early. */
  readonly data: BlockDevice;
}
