import type { BlockDevice } from "@guestprobe/block";
import type { FileSystem, Inode, WalkPolicy } from "@guestprobe/vfs";
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

/** Another root of the same volume, which Linux may mount. */
export interface OtherRoot {
  readonly fs: FileSystem;
  /** Where it hangs on the volume as GRUB sees it; undefined where nothing leads to it. */
  readonly path: Uint8Array | undefined;
  /** What it is, for people: "subvolume 256 (@)". */
  readonly title: string;
}

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
  /** How the driver walks paths, where that is not `GRUB_WALK`. */
  readonly walk?: WalkPolicy;
  /** The driver's own way of finding a name in a directory, where it is not `Inode.lookup`. */
  lookup?(directory: Inode, name: Uint8Array, signal?: AbortSignal): Promise<Inode | undefined>;
  /** What the driver sees where Linux sees `inode`, if that is something else. */
  instead?(inode: Inode, signal?: AbortSignal): Promise<Inode | undefined>;
  /** Other roots of the volume, those that Linux is most likely to mount first. */
  otherRoots?(fs: FileSystem, signal?: AbortSignal): Promise<readonly OtherRoot[]>;
}
