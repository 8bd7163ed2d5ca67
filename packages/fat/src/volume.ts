import { type BlockDevice, finding, type ImageError, isImageError, type Report } from "@guestprobe/block";
import type { BootSector } from "./boot-sector.js";
import { ClusterChain, type ClusterRun } from "./chain.js";
import { ClusterSet } from "./cluster-set.js";
import { countEntries, type DirectoryCount } from "./directory.js";
import { CROSSED } from "./findings.js";
import { FIRST_CLUSTER, fat_dir_entry } from "./layout.js";
import { NameIndex } from "./name-index.js";
import { corrupt, FORMAT, failure, placeOf } from "./place.js";
import { FatTable } from "./table.js";

/** Most bytes of a directory that one read asks for. */
const PIECE = 64 << 10;
/** A directory has no more: 65,536 entries. "Directory Structure"; Linux writes no more either. */
const MAX_DIRECTORY = 2 << 20;

/** A stretch of the device. */
interface ByteRun {
  readonly start: number;
  readonly length: number;
}

/** Where a directory lies, and what was counted on the way. */
export interface Directory extends DirectoryCount {
  readonly runs: readonly ByteRun[];
  readonly clusters: readonly ClusterRun[];
  /** Bytes, as Linux shows them. */
  readonly size: number;
  /** What ends it before its time: the entries up to there are sound. */
  readonly error: ImageError | undefined;
}

/** What every walker of an open volume needs. */
export class Volume {
  readonly device: BlockDevice;
  readonly bs: BootSector;
  readonly table: FatTable;
  readonly names: NameIndex;
  readonly report: Report | undefined;
  /** Clusters of the chains that were followed, to notice those that two files share. */
  readonly #claimed = new ClusterSet();
  /** How many times a cluster was listed again for another directory. */
  #repeated = 0;
  /** How many clusters of a file have been claimed, by its number. */
  readonly #progress = new Map<number, number>();
  readonly #directories = new Map<number, Promise<Directory>>();

  constructor(device: BlockDevice, bs: BootSector, report: Report | undefined) {
    this.device = device;
    this.bs = bs;
    this.report = report;
    this.table = new FatTable(device, bs, report);
    this.names = new NameIndex(this);
  }

  /** Whether `cluster` is one of the volume's. */
  hasCluster(cluster: number): boolean {
    return cluster >= FIRST_CLUSTER && cluster < this.bs.clusters + FIRST_CLUSTER;
  }

  /** Bytes from the start of the device. */
  clusterOffset(cluster: number): number {
    return this.bs.dataStart + (cluster - FIRST_CLUSTER) * this.bs.clusterSize;
  }

  /** Notes runs of a file as its own, and tells when another file has them already. */
  claim(ino: number, chain: ClusterChain): void {
    const from = this.#progress.get(ino) ?? 0;
    if (chain.length <= from) return;
    this.#progress.set(ino, chain.length);
    const shared = this.#firstShared(chain.runs(from, chain.length));
    if (shared !== undefined) this.#tellCrossed(shared, `file ${ino}`);
  }

  /** The first of these clusters that was claimed before; all of them are claimed then. */
  #firstShared(runs: readonly ClusterRun[]): number | undefined {
    let shared: number | undefined;
    for (const { cluster, count } of runs) {
      for (let n = 0; n < count; n += 1) if (!this.#claimed.add(cluster + n)) shared ??= cluster + n;
    }
    return shared;
  }

  /** The root directory of FAT12 and FAT16, which has a place of its own. */
  fixedRoot(signal: AbortSignal | undefined): Promise<Directory> {
    const { rootStart, rootSize } = this.bs;
    const found = { runs: [{ start: rootStart, length: rootSize }], clusters: [], error: undefined };
    return this.#remember(0, () => this.#count(found, rootSize, signal));
  }

  /** The directory that begins at `cluster`, one of the volume's. It is walked once. */
  directory(cluster: number, signal: AbortSignal | undefined): Promise<Directory> {
    return this.#remember(cluster, () => this.#follow(cluster, signal));
  }

  #remember(key: number, make: () => Promise<Directory>): Promise<Directory> {
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#directories.set(key, made);
    made.catch(() => this.#directories.delete(key));
    return made;
  }

  async #follow(first: number, signal: AbortSignal | undefined): Promise<Directory> {
    const { clusterSize } = this.bs;
    const chain = new ClusterChain(this.table, first);
    const most = Math.max(1, Math.floor(MAX_DIRECTORY / clusterSize));
    let error: ImageError | undefined;
    try {
      await chain.extend(most, signal);
      error = chain.error;
    } catch (cause) {
      error = imageErrorOf(cause);
    }
    if (error === undefined && !chain.isAtEnd) {
      const reason = `a directory of more than ${MAX_DIRECTORY} bytes`;
      error = failure("corrupt", reason, this.table.entryOffset(first), "FAT");
    }
    const clusters: ClusterRun[] = [];
    for (const run of chain.runs(0, chain.length)) {
      const count = this.#claimDirectory(run);
      if (count > 0) clusters.push({ ...run, count });
      if (count === run.count) continue;
      const reason = "the directories of the volume share more clusters than there are";
      error = failure("limit", reason, this.table.entryOffset(run.cluster + count), "FAT");
      break;
    }
    const runs = clusters.map(({ cluster, count }) => ({
      start: this.clusterOffset(cluster),
      length: count * clusterSize,
    }));
    return this.#count({ runs, clusters, error }, chain.length * clusterSize, signal);
  }

  /**
   * Claims a run for a directory; how much of it may be listed. Directories that share clusters are all listed, and yet a
   * small image must not hold endless listings: together they repeat no more than the volume has.
   */
  #claimDirectory({ cluster, count }: ClusterRun): number {
    let told = false;
    for (let n = 0; n < count; n += 1) {
      if (this.#claimed.add(cluster + n)) continue;
      if (!told) this.#tellCrossed(cluster + n, "a directory");
      told = true;
      this.#repeated += 1;
      if (this.#repeated > this.bs.clusters) return n;
    }
    return count;
  }

  #tellCrossed(cluster: number, whose: string): void {
    const place = { format: FORMAT, structure: "FAT", offset: this.table.entryOffset(cluster) };
    this.report?.(finding(CROSSED, `cluster ${cluster} of ${whose} belongs to another file too`, place));
  }

  /** Reads the directory once: how many subdirectories it has is part of what `stat` says. */
  async #count(
    found: Pick<Directory, "runs" | "clusters" | "error">,
    size: number,
    signal: AbortSignal | undefined,
  ): Promise<Directory> {
    let { error } = found;
    let subdirectories = 0;
    let label: Uint8Array | undefined;
    try {
      for await (const { data } of this.pieces(found.runs, signal)) {
        const piece = countEntries(data);
        subdirectories += piece.subdirectories;
        label ??= piece.label;
      }
    } catch (cause) {
      error ??= imageErrorOf(cause);
    }
    return { runs: found.runs, clusters: found.clusters, error, size, subdirectories, label };
  }

  /** The bytes of a directory, as many at a time as one read fetches. */
  async *pieces(
    runs: readonly ByteRun[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ readonly data: Uint8Array; readonly offset: number }> {
    for (const { start, length } of runs) {
      for (let at = 0; at < length; at += PIECE) {
        const offset = start + at;
        yield { data: await this.device.read(offset, Math.min(PIECE, length - at), signal), offset };
      }
    }
  }

  /** `corrupt`, for an entry whose first cluster can be none. `offset`: where the entry lies. */
  badFirstCluster(offset: number, reason: string): ImageError {
    return corrupt(fat_dir_entry, "DIR_FstClusLO", offset, reason);
  }

  odd(field: "DIR_Name" | "LDIR_Ord", offset: number): ReturnType<typeof placeOf> {
    if (field === "DIR_Name") return placeOf(fat_dir_entry, field, offset);
    return { format: FORMAT, structure: "fat_long_entry", field, offset };
  }
}

function imageErrorOf(cause: unknown): ImageError {
  if (!isImageError(cause) || cause.code === "aborted") throw cause;
  return cause;
}
