import { finding, type ImageError, throwIfAborted } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import {
  clampRead,
  type Dirent,
  type Extent,
  type Inode,
  readThroughExtents,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import { ClusterChain, type ClusterRun } from "./chain.js";
import { DirectoryDecoder, type FatEntry } from "./directory.js";
import { LONG_CHAIN, NO_DOTS } from "./findings.js";
import {
  ATTR_ARCHIVE,
  ATTR_DIRECTORY,
  ATTR_HIDDEN,
  ATTR_READ_ONLY,
  ATTR_SYSTEM,
  fat_dir_entry as layout,
} from "./layout.js";
import { FORMAT, failure, placeOf } from "./place.js";
import { timeOf } from "./times.js";
import type { Directory, Volume } from "./volume.js";

/** Most bytes of one `read`: beyond that an array would not be had anyway. */
const MAX_READ = 2 ** 31 - 1;
/** Clusters whose runs are told at a time. */
const EXTENT_BATCH = 16_384;
/** Linux, include/uapi/linux/msdos_fs.h, MSDOS_ROOT_INO. No entry of a directory can lie at byte 32. */
export const ROOT_INO = 1;

const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [ATTR_READ_ONLY, "read-only"],
  [ATTR_HIDDEN, "hidden"],
  [ATTR_SYSTEM, "system"],
  [ATTR_ARCHIVE, "archive"],
];

export interface FatInodeParts {
  readonly volume: Volume;
  readonly stat: Stat;
  readonly offset: number | undefined;
  readonly flags: readonly string[];
  /** Directories only. */
  readonly directory: Directory | undefined;
  /** Files only: 0 where there is none. */
  readonly firstCluster: number;
}

/** A file or directory of an open volume. */
export class FatInode implements Inode {
  readonly stat: Stat;
  readonly offset: number | undefined;
  readonly flags: readonly string[];
  readonly #volume: Volume;
  readonly #directory: Directory | undefined;
  readonly #firstCluster: number;
  #chain: ClusterChain | undefined;

  constructor({ volume, stat, offset, flags, directory, firstCluster }: FatInodeParts) {
    this.#volume = volume;
    this.stat = stat;
    this.offset = offset;
    this.flags = flags;
    this.#directory = directory;
    this.#firstCluster = firstCluster;
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    const { clusters } = this.#list();
    for (const { cluster, count } of clusters) await this.#volume.table.compare(cluster, count, signal);
    for await (const batch of this.#listing(signal)) {
      yield batch.map((entry) => ({
        name: entry.name,
        ino: inodeNumber(this.#volume, entry),
        type: isDirectory(entry.raw) ? "dir" : "file",
        ref: entry,
      }));
    }
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<FatInode | undefined> {
    throwIfAborted(signal);
    const offset = await this.#volume.names.find(this.#list(), name, signal);
    return offset === undefined ? undefined : openEntryAt(this.#volume, offset, signal);
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<FatInode> {
    throwIfAborted(signal);
    return openEntry(this.#volume, entry.ref as FatEntry, signal);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    throw this.#wrongType("not-a-symlink");
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { type, size } = this.stat;
    if (type === "dir") throw this.#wrongType("is-a-directory");
    const count = clampRead(size, offset, length);
    if (count === 0) return new Uint8Array(0);
    if (count > MAX_READ) throw failure("limit", `a read of ${count} bytes at once`, this.offset);
    const { clusterSize } = this.#volume.bs;
    const from = Math.floor(offset / clusterSize);
    const to = Math.ceil((offset + count) / clusterSize);
    const runs = await this.#runs(from, to, signal);
    return readThroughExtents(this.#volume.device, this.#extentsOf(runs), offset, count, signal, into);
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    throwIfAborted(signal);
    const { type, size } = this.stat;
    if (type !== "file") return;
    const total = Math.ceil(size / this.#volume.bs.clusterSize);
    for (let from = 0; from < total; from += EXTENT_BATCH) {
      yield this.#extentsOf(await this.#runs(from, Math.min(total, from + EXTENT_BATCH), signal));
    }
  }

  async xattrs(): Promise<readonly Xattr[]> {
    return [];
  }

  /** The clusters `from` to before `to` of the file, all of them. */
  async #runs(from: number, to: number, signal: AbortSignal | undefined): Promise<readonly ClusterRun[]> {
    const volume = this.#volume;
    const first = this.#firstCluster;
    if (!volume.hasCluster(first)) {
      const reason = `a file of ${this.stat.size} bytes begins at cluster ${first}, there are 2 to ${volume.bs.clusters + 1}`;
      throw volume.badFirstCluster(this.offset ?? 0, reason);
    }
    this.#chain ??= new ClusterChain(volume.table, first);
    const chain = this.#chain;
    await chain.extend(to, signal);
    volume.claim(this.stat.ino, chain);
    const runs = chain.runs(from, to);
    for (const { cluster, count } of runs) await volume.table.compare(cluster, count, signal);
    if (chain.length < to) throw chain.error ?? this.#shortChain(chain);
    this.#noteLongChain(chain, to);
    return runs;
  }

  #shortChain(chain: ClusterChain): ImageError {
    const { clusterSize } = this.#volume.bs;
    const reason = `a file of ${this.stat.size} bytes has ${chain.length} clusters of ${clusterSize} bytes`;
    return failure("corrupt", reason, this.offset, layout.$name);
  }

  #noteLongChain(chain: ClusterChain, to: number): void {
    const { bs, report } = this.#volume;
    if (to * bs.clusterSize < this.stat.size || chain.isAtEnd) return;
    const place = placeOf(layout, "DIR_FileSize", this.offset ?? 0);
    report?.(finding(LONG_CHAIN, `the chain of file ${this.stat.ino} goes on after ${to} clusters`, place));
  }

  #extentsOf(runs: readonly ClusterRun[]): Extent[] {
    const { clusterSize } = this.#volume.bs;
    return runs.map(({ index, cluster, count }) => {
      const logical = index * clusterSize;
      const length = Math.min(count * clusterSize, this.stat.size - logical);
      return { kind: "data", logical, length, physical: this.#volume.clusterOffset(cluster) };
    });
  }

  /** The entries, a piece at a time. */
  async *#listing(signal: AbortSignal | undefined): AsyncGenerator<readonly FatEntry[]> {
    const volume = this.#volume;
    const { runs, error, subdirectories } = this.#list();
    if (this.stat.ino !== ROOT_INO && subdirectories < 2) {
      volume.report?.(finding(NO_DOTS, `directory ${this.stat.ino}`, { format: FORMAT, offset: runs[0]?.start }));
    }
    const decoder = new DirectoryDecoder((kind, message, field, offset) => {
      volume.report?.(finding(kind, message, volume.odd(field, offset)));
    });
    for await (const { data, offset } of volume.pieces(runs, signal)) {
      const batch = decoder.push(data, offset);
      if (batch.length > 0) yield batch;
    }
    decoder.end();
    if (error !== undefined) throw error;
  }

  #list(): Directory {
    if (this.#directory === undefined) throw this.#wrongType("not-a-directory");
    return this.#directory;
  }

  #wrongType(code: "is-a-directory" | "not-a-directory" | "not-a-symlink"): ImageError {
    return failure(code, `inode ${this.stat.ino} is a ${this.stat.type}`, this.offset);
  }
}

type EntryBytes = Pick<FatEntry, "raw" | "offset">;

const isDirectory = (raw: Uint8Array): boolean => (raw[11]! & ATTR_DIRECTORY) !== 0;

/** FAT16 and FAT12 keep other things in the upper half. */
export function firstClusterOf(volume: Volume, raw: Uint8Array): number {
  const view = viewOf(raw);
  const high = volume.bs.bits === 32 ? layout.DIR_FstClusHI(view, 0) : 0;
  return high * 0x1_0000 + layout.DIR_FstClusLO(view, 0);
}

/**
 * There are no inodes on the disk. A file's number says where its entry lies, a directory's where its first cluster does,
 * in units of an entry: a directory that is named twice has one number.
 */
function inodeNumber(volume: Volume, { raw, offset }: EntryBytes): number {
  const first = firstClusterOf(volume, raw);
  if (!isDirectory(raw) || !volume.hasCluster(first)) return offset / layout.$size;
  return volume.clusterOffset(first) / layout.$size;
}

/** The inode of an entry. Linux, fs/fat/inode.c, fat_fill_inode; owners and modes are those of a mount by root. */
export async function openEntry(volume: Volume, entry: EntryBytes, signal: AbortSignal | undefined): Promise<FatInode> {
  const { raw, offset } = entry;
  const view = viewOf(raw);
  const attributes = raw[11]!;
  const firstCluster = firstClusterOf(volume, raw);
  const isDir = isDirectory(raw);
  const directory = isDir ? await openDirectory(volume, firstCluster, offset, signal) : undefined;
  const mtimeNs = timeOf(layout.DIR_WrtDate(view, 0), layout.DIR_WrtTime(view, 0));
  const stat: Stat = {
    type: isDir ? "dir" : "file",
    mode: !isDir && (attributes & ATTR_READ_ONLY) !== 0 ? 0o555 : 0o755,
    uid: 0,
    gid: 0,
    size: directory?.size ?? layout.DIR_FileSize(view, 0),
    nlink: directory?.subdirectories ?? 1,
    ino: inodeNumber(volume, entry),
    rdev: undefined,
    atimeNs: timeOf(layout.DIR_LstAccDate(view, 0), 0),
    mtimeNs,
    ctimeNs: mtimeNs,
    crtimeNs: timeOf(layout.DIR_CrtDate(view, 0), layout.DIR_CrtTime(view, 0), layout.DIR_CrtTimeTenth(view, 0)),
  };
  const flags = FLAGS.filter(([bit]) => (attributes & bit) !== 0).map(([, name]) => name);
  return new FatInode({ volume, stat, offset, flags, directory, firstCluster });
}

/** The inode of the entry at byte `offset`, where one is known to lie. */
export async function openEntryAt(volume: Volume, offset: number, signal: AbortSignal | undefined): Promise<FatInode> {
  const raw = await volume.device.read(offset, layout.$size, signal);
  return openEntry(volume, { raw, offset }, signal);
}

async function openDirectory(
  volume: Volume,
  cluster: number,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<Directory> {
  if (volume.hasCluster(cluster) && cluster !== volume.bs.rootCluster) return volume.directory(cluster, signal);
  const what = cluster === volume.bs.rootCluster && cluster !== 0 ? ", which is the root directory's" : "";
  const reason = `a directory begins at cluster ${cluster}${what}, there are 2 to ${volume.bs.clusters + 1}`;
  throw volume.badFirstCluster(offset, reason);
}

/** The root directory, which has no entry: neither times nor attributes are stored. */
export async function openRoot(volume: Volume, signal: AbortSignal | undefined): Promise<FatInode> {
  const { bits, rootCluster, rootStart } = volume.bs;
  const isFat32 = bits === 32;
  const directory = await (isFat32 ? volume.directory(rootCluster, signal) : volume.fixedRoot(signal));
  const times = { atimeNs: 0n, mtimeNs: 0n, ctimeNs: 0n, crtimeNs: undefined };
  const stat: Stat = {
    type: "dir",
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: directory.size,
    nlink: directory.subdirectories + 2,
    ino: ROOT_INO,
    rdev: undefined,
    ...times,
  };
  const offset = isFat32 ? volume.clusterOffset(rootCluster) : rootStart;
  return new FatInode({ volume, stat, offset, flags: [], directory, firstCluster: rootCluster });
}
