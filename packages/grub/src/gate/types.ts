import type { BlockDevice } from "@guestprobe/block";
import type { Inode } from "@guestprobe/vfs";
import type { GrubError } from "../errno.js";
import type { GrubVersion } from "../versions.js";

/**
 * What one of GRUB's file-system drivers makes of a device, told from the bytes of the device alone.
 *
 * - `not-mine`: its magic is not there.
 * - `accept`: GRUB reads it. `label` and `uuid` are as `search` compares them; undefined where the driver knows none.
 * - `refuse`: its magic is there and it will not read it. `error` says whether other drivers are asked after it.
 */
export type GateVerdict =
  | { readonly verdict: "not-mine" }
  | { readonly verdict: "accept"; readonly label: Uint8Array | undefined; readonly uuid: string | undefined }
  | { readonly verdict: "refuse"; readonly error: GrubError; readonly reason: string };

/** What `search` does with an inode on its way to a file. */
export type InodeUse = "directory" | "symlink" | "file";

/** The rules of one of GRUB's file-system drivers, kept apart from what this toolkit can read. */
export interface Gate {
  /** Name of GRUB's module: "ext2", "xfs", "btrfs", "squash4". */
  readonly driver: string;
  /** The kinds of `FileSystem` that it stands for: ["ext2", "ext3", "ext4"]. */
  readonly kinds: readonly string[];
  /** @throws ImageError `io`, `aborted`. */
  probe(device: BlockDevice, version: GrubVersion, signal?: AbortSignal): Promise<GateVerdict>;
  /** Why the driver will not use this inode; undefined when it will. */
  refusesInode?(inode: Inode, use: InodeUse, version: GrubVersion): string | undefined;
}
