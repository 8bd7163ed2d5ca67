import {
  type BlockDevice,
  decodeText,
  equalBytes,
  formatUuid,
  isImageError,
  readUpTo,
  untilNul,
} from "@guestprobe/block";
import { bytes, LE, struct, u64big, viewOf } from "@guestprobe/block/struct";
import { type FileSystem, GRUB_WALK } from "@guestprobe/vfs";
import type { Gate, GateVerdict, OtherRoot } from "./types.js";

/** The fields that GRUB's driver takes from the superblock. fs/btrfs.c, struct grub_btrfs_superblock; little-endian. */
const grub_btrfs_superblock = struct("grub_btrfs_superblock", 4096, LE, {
  uuid: bytes(0x20, 16),
  signature: bytes(0x40, 8),
  generation: u64big(0x48),
  device_size: u64big(0xd1), // bytes; of btrfs_dev_item
  label: bytes(0x12b, 256),
});
const SIGNATURE = Uint8Array.of(0x5f, 0x42, 0x48, 0x52, 0x66, 0x53, 0x5f, 0x4d);
/** Bytes from the start of the device: 64 KiB, 64 MiB, 256 GiB, 1 PiB. */
const SUPERBLOCKS = [2 ** 16, 2 ** 26, 2 ** 38, 2 ** 50] as const;

/**
 * Decides from the superblocks. GRUB 2.06, fs/btrfs.c, read_sblock: copies are read one after the other as far as the
 * first says the device goes, and up to the first that has no signature; the newest is taken. Neither checksums nor
 * feature bits are looked at.
 */
async function judge(device: BlockDevice, signal: AbortSignal | undefined): Promise<GateVerdict> {
  const sb = grub_btrfs_superblock;
  let newest: DataView | undefined;
  for (const offset of SUPERBLOCKS) {
    if (newest !== undefined && sb.device_size(newest, 0) / 512n <= BigInt(offset / 512)) break;
    const data = await readUpTo(device, offset, sb.$size, signal);
    if (data.length < sb.$size) break;
    const view = viewOf(data);
    if (!equalBytes(sb.signature(view, 0), SIGNATURE)) break;
    if (newest === undefined || sb.generation(view, 0) > sb.generation(newest, 0)) newest = view;
  }
  if (newest === undefined) return { verdict: "not-mine" };
  return { verdict: "accept", label: untilNul(sb.label(newest, 0)), uuid: formatUuid(sb.uuid(newest, 0)) };
}

/** What a btrfs reader offers beside `FileSystem`. */
interface WithSubvolumes extends FileSystem {
  readonly subvolume: number;
  subvolumes(
    signal?: AbortSignal,
  ): Promise<readonly { readonly id: number; readonly path: Uint8Array | undefined; readonly isDefault: boolean }[]>;
  openSubvolume(id: number, signal?: AbortSignal): Promise<FileSystem>;
}

const hasSubvolumes = (fs: FileSystem): fs is WithSubvolumes => "subvolumes" in fs && "openSubvolume" in fs;

/** Hosts keep snapshots by the hundred; roots lie near the top. */
const MAX_ROOTS = 16;

/**
 * GRUB's driver for btrfs. Paths begin at the top level, subvolume 5, whatever the default subvolume is; hosts with the
 * patches of SUSE or Red Hat begin elsewhere if their configuration sets btrfs_relative_path.
 */
export const btrfsGate: Gate = {
  driver: "btrfs",
  kinds: ["btrfs"],
  probe: (device, _version, signal) => judge(device, signal),
  // fs/btrfs.c, find_path, has a walk of its own: ".." is looked up on the disk, where the root of each subvolume is its
  // own parent; what follows a file, be it only a slash, is looked for in it; and the thirty-second link is one too many.
  walk: { ...GRUB_WALK, maxSymlinks: 31, slashAfterFile: false, staysInSubvolume: true },
  // The driver follows the name to its tree and does not ask whether the tree hangs there: what lies inside the source of
  // a snapshot, it finds in the snapshot too.
  instead: async (inode, signal) => inode.standsFor?.(signal),
  async otherRoots(fs, signal) {
    if (!hasSubvolumes(fs)) return [];
    const depth = (path: Uint8Array | undefined): number => (path ?? []).filter((byte) => byte === 0x2f).length;
    const all = await unlessDamaged(fs.subvolumes(signal));
    const likely = (all ?? [])
      .filter(({ id }) => id !== fs.subvolume)
      .sort((a, b) => Number(b.isDefault) - Number(a.isDefault) || depth(a.path) - depth(b.path));
    const roots: OtherRoot[] = [];
    for (const { id, path, isDefault } of likely.slice(0, MAX_ROOTS)) {
      const root = await unlessDamaged(fs.openSubvolume(id, signal));
      const name = path === undefined ? `subvolume ${id}` : `subvolume ${decodeText(path.subarray(1))}`;
      if (root !== undefined) roots.push({ fs: root, path, title: isDefault ? `the default ${name}` : name });
    }
    return roots;
  },
};

/** What is damaged has nothing to add to an answer; reading it for itself tells why. */
async function unlessDamaged<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return undefined;
  }
}
