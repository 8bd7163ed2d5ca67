import type { ImageError } from "@guestprobe/block";
import type { World } from "@guestprobe/grub/script";

/** A volume of the guest as Linux would know it, whether or not a loader reads it. */
export interface GuestVolume {
  /** GRUB's name: "xen/xvda,msdos1". */
  readonly device: string;
  /** "ext4", "xfs", ...; undefined where nothing is known. */
  readonly fs: string | undefined;
  readonly features: readonly string[];
  readonly uuid: string | undefined;
  readonly label: string | undefined;
  readonly partUuid: string | undefined;
  /** Names of its node under Linux that do not follow from `device`: "/dev/mapper/vg-root", "/dev/md0". */
  readonly linuxNames?: readonly string[] | undefined;
  /** Its journal holds changes that were not written back. */
  readonly dirty: boolean;
  /** Why GRUB does not see it, if it does not. */
  readonly hidden: string | undefined;
  /** Why it could not be read here. */
  readonly error: ImageError | undefined;
  /** A file as Linux finds it; undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
}

/** A guest's disks, as the verdict sees them. */
export interface GuestView {
  /** Devices, files and searches in GRUB's eyes. */
  readonly world: World;
  /** Every device, in GRUB's order; behind them volumes that GRUB does not have. */
  volumes(): Promise<readonly GuestVolume[]>;
  /** Names of the disks, in the order of the guest's configuration: "xen/xvda". */
  readonly disks: readonly string[];
  /** `length` bytes of a file from `offset`, fewer at its end; undefined when GRUB finds no such file. */
  readRange(device: string, path: string, offset: number, length: number): Promise<Uint8Array | undefined>;
}
