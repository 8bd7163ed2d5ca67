import { type BlockDevice, type FindingKind, ImageError, isImageError, toHex } from "@guestprobe/block";
import { type FileSystem, GRUB_WALK, type Inode, LINUX_WALK, resolve } from "@guestprobe/vfs";
import { FEATURE_REFUSED, NO_SUPERBLOCK, OTHER_DRIVER } from "./findings.js";
import type { Gate } from "./gate/types.js";
import { probeDriver } from "./probe.js";
import type { GrubVersion } from "./versions.js";

/**
 * Opens the file system of a device; undefined where there is none. Given by the caller, who knows the readers.
 *
 * @param name GRUB's name of it. Where GRUB reads a table differently, two devices can have the same one.
 * @param start Bytes from the start of its disk.
 */
export type OpenVolume = (device: BlockDevice, name: string, start: number) => Promise<FileSystem | undefined>;

/** A device to open: one that GRUB lists, or one that it does not. */
export interface VolumePlace {
  readonly name: string;
  readonly device: BlockDevice | undefined;
  /** Bytes from the start of the disk. */
  readonly start: number;
}

/** Why GRUB does not see what is there. */
export interface Obstacle {
  readonly kind: FindingKind;
  readonly reason: string;
}

/** A device with its file system, in GRUB's eyes and in ours. */
export interface Volume {
  /** Undefined where there is none that can be read here. */
  readonly fs: FileSystem | undefined;
  /** What `search --label` and `--fs-uuid` compare; undefined where GRUB knows none. */
  readonly label: Uint8Array | undefined;
  readonly uuid: string | undefined;
  /** The driver that takes it, where its rules are known. */
  readonly gate: Gate | undefined;
  /** Undefined when GRUB reads the volume, or there is none. */
  readonly obstacle: Obstacle | undefined;
  /** What kept us from reading a volume that GRUB may well read. */
  readonly error: ImageError | undefined;
  /** Lookups that were made, by directory and name. */
  readonly lookups: Map<string, Promise<Inode | undefined>>;
}

/** A device on which nothing is. */
const NO_VOLUME: Volume = {
  fs: undefined,
  label: undefined,
  uuid: undefined,
  gate: undefined,
  obstacle: undefined,
  error: undefined,
  lookups: new Map(),
};

/** Opens a volume and asks GRUB's drivers about it. */
export async function openGrubVolume(
  { name, device, start }: VolumePlace,
  openVolume: OpenVolume,
  gates: readonly Gate[],
  version: GrubVersion,
  signal?: AbortSignal,
): Promise<Volume> {
  if (device === undefined) return NO_VOLUME;
  const [claim, opened] = await Promise.all([
    probeDriver(device, gates, version, signal),
    tryOpen(() => openVolume(device, name, start)),
  ]);
  const { fs, error } = opened;
  const { gate } = claim;
  const volume: Volume = { ...NO_VOLUME, fs, gate, error, lookups: new Map() };
  if (fs === undefined) {
    // A refusal is GRUB's no, whatever we could have read; no driver at all is "nothing here".
    return { ...volume, error: claim.refusals.length > 0 ? undefined : error, label: claim.label, uuid: claim.uuid };
  }
  if (gate !== undefined) {
    if (gate.kinds.includes(fs.kind)) return { ...volume, label: claim.label, uuid: claim.uuid };
    return { ...volume, obstacle: { kind: OTHER_DRIVER, reason: `GRUB's driver ${gate.driver} takes the device` } };
  }
  const own = gates.find((candidate) => candidate.kinds.includes(fs.kind));
  const refusal =
    claim.refusals.find((entry) => entry.gate === own) ?? (claim.ended ? claim.refusals.at(-1) : undefined);
  if (refusal !== undefined) return { ...volume, obstacle: { kind: FEATURE_REFUSED, reason: refusal.reason } };
  if (own !== undefined) {
    return { ...volume, obstacle: { kind: NO_SUPERBLOCK, reason: "no file system where GRUB's driver looks" } };
  }
  return { ...volume, label: fs.label, uuid: fs.uuid };
}

async function tryOpen(
  open: () => Promise<FileSystem | undefined>,
): Promise<{ fs: FileSystem | undefined; error: ImageError | undefined }> {
  try {
    return { fs: await open(), error: undefined };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return { fs: undefined, error };
  }
}

/**
 * What became of a path.
 *
 * - `hit`: a regular file, at `path` once links are followed.
 * - `miss`: GRUB finds no such file, and there is none.
 * - `unknown`: it could not be read here.
 */
export type PathAnswer =
  | { readonly answer: "hit"; readonly path: Uint8Array }
  | { readonly answer: "miss"; readonly error?: ImageError }
  | { readonly answer: "unknown"; readonly error: ImageError };

/** Errors that are answers to a path walk, not troubles of the reader. */
const ANSWERS = new Set(["not-found", "not-a-directory", "symlink-loop", "encrypted", "invalid-argument"]);

/**
 * Looks for a regular file as GRUB would, or as Linux would. Directories and special files are misses.
 */
export async function findFile(
  volume: Volume,
  path: Uint8Array,
  as: "grub" | "linux",
  version: GrubVersion,
  signal?: AbortSignal,
): Promise<PathAnswer> {
  const { fs } = volume;
  if (fs === undefined) return { answer: "miss" };
  const refuses = (inode: Inode, use: "directory" | "symlink" | "file"): void => {
    const reason = as === "grub" ? volume.gate?.refusesInode?.(inode, use, version) : undefined;
    if (reason !== undefined) throw new ImageError("encrypted", reason, { format: fs.kind, offset: inode.offset });
  };
  try {
    const found = await resolve(fs, path, {
      policy: as === "grub" ? (volume.gate?.walk ?? GRUB_WALK) : LINUX_WALK,
      ...(signal === undefined ? {} : { signal }),
      async lookup(directory, name) {
        refuses(directory, "directory");
        const inode = await remember(volume, directory, name, as, signal);
        if (inode?.stat.type === "symlink") refuses(inode, "symlink");
        const other = as === "grub" && inode !== undefined ? await volume.gate?.instead?.(inode, signal) : undefined;
        return other ?? inode;
      },
    });
    if (found?.inode.stat.type !== "file") return { answer: "miss" };
    refuses(found.inode, "file");
    return { answer: "hit", path: found.path };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return ANSWERS.has(error.code) ? { answer: "miss", error } : { answer: "unknown", error };
  }
}

/** A lookup, made once: the eight boot paths share their directories. */
function remember(
  volume: Volume,
  directory: Inode,
  name: Uint8Array,
  as: "grub" | "linux",
  signal: AbortSignal | undefined,
): Promise<Inode | undefined> {
  const own = as === "grub" ? volume.gate?.lookup : undefined;
  const key = `${own === undefined ? "" : as}${directory.subvolume ?? ""}/${directory.stat.ino}/${toHex(name)}`;
  const known = volume.lookups.get(key);
  if (known !== undefined) return known;
  const answer = own === undefined ? directory.lookup(name, signal) : own(directory, name, signal);
  volume.lookups.set(key, answer);
  // A failure may have been the caller's abort: it is not remembered.
  answer.catch(() => volume.lookups.delete(key));
  return answer;
}
