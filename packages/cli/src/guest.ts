import {
  type BlockDevice,
  bufferDevice,
  cachedDevice,
  findingFromError,
  type ImageError,
  type ReadStats,
  type Report,
} from "@guestprobe/block";
import { type FileDevice, openFile } from "@guestprobe/block/node";
import { isBtrfs } from "@guestprobe/btrfs";
import { escapeDiskName, GrubSearch, type GrubVersion, grubMapped } from "@guestprobe/grub";
import type { DiskImage } from "@guestprobe/image";
import { type Partition, type Partitions, readPartitions } from "@guestprobe/partition";
import { type ChecksumPolicy, type FileSystem, type Inode, openFileSystem, type ResolveOptions } from "@guestprobe/vfs";
import { nameDisks } from "./disk-names.js";
import { UsageError } from "./exit.js";
import { FORMATS } from "./formats.js";
import type { Limits, Watch } from "./limits.js";
import { type MappedDisk, type MappedDisks, openMapped } from "./mapped.js";
import { imageOptions, openHostImage } from "./open-image.js";
import { imageErrorOnly, type Output } from "./output/output.js";
import { partitionDevice } from "./partition-name.js";
import { findPlace } from "./place.js";
import type { Options } from "./verbs.js";
import { disksOf, readXlGuest } from "./xl.js";

/** One image of the command line. */
export interface Disk {
  /** GRUB's name of it: "xen/xvda". */
  readonly name: string;
  /** As it was given. */
  readonly image: string;
  /** The container, and what its headers say; undefined when it cannot be opened, which is a finding. */
  readonly container: DiskImage | undefined;
  /** The disk that the guest sees, behind a cache. */
  readonly device: BlockDevice;
  readonly partitions: Partitions;
  /** What was read of the files, below the cache. */
  readonly stats: ReadStats;
}

/** A disk or a part of one that may hold a file system. */
export interface Volume {
  /** GRUB's name of it, without parentheses: "xen/xvda,msdos1". */
  readonly device: string;
  readonly block: BlockDevice;
  /** What it is, or lies in: a disk of the guest, or a volume that was put together from its disks. */
  readonly disk: Disk | MappedDisk;
  /** Undefined for a whole disk. */
  readonly partition: Partition | undefined;
  /** Bytes from the start of the disk. */
  readonly start: number;
}

/** Where a path of the command line leads. */
export interface Place {
  readonly volume: Volume;
  readonly fs: FileSystem;
  readonly inode: Inode;
  /** Absolute on the volume, without links. */
  readonly path: Uint8Array;
}

/** The disks of one guest, opened together. */
export interface Guest extends MappedDisks {
  /** Ends the work when a limit of the run is reached. */
  readonly signal: AbortSignal;
  readonly disks: readonly Disk[];
  /**
   * In the order of the command line: each disk, then its partitions by number; behind them logical volumes and arrays in
   * the same way.
   */
  readonly volumes: readonly Volume[];
  /** The file system of a volume; undefined where there is none or it cannot be opened, which is a finding. */
  fileSystem(volume: Volume): Promise<FileSystem | undefined>;
  /** Whether the file system of a volume spans several, and this is not the first of them: it is listed there. */
  isFurtherMember(volume: Volume): Promise<boolean>;
  /** Why `fileSystem` answered undefined, if an error was in the way. */
  failure(volume: Volume): ImageError | undefined;
  /**
   * The file that a path of the command line names.
   *
   * @throws ImageError `not-found`, and what a path walk throws; UsageError for a device that is not there.
   */
  place(path: string, options?: ResolveOptions): Promise<Place>;
  close(): Promise<void>;
}

interface Surroundings {
  readonly out: Output;
  readonly limits: Limits;
  readonly watch: Watch;
}

export async function openGuest(images: readonly string[], options: Options, around: Surroundings): Promise<Guest> {
  if (options.xl !== undefined) return openXlGuest(images, options, around);
  if (images.length === 0) throw new UsageError("no IMAGE is given");
  if (images.includes("")) throw new UsageError("the name of an IMAGE is empty");
  const names = nameDisks(images.length, options.as as string | undefined);
  return openDisks(
    images.map((image, index) => ({ image, name: names[index]!, options })),
    options,
    around,
  );
}

/** The disks of a Xen guest configuration, under the names that it gives them. */
function openXlGuest(images: readonly string[], options: Options, around: Surroundings): Promise<Guest> {
  if (images.length > 0) throw new UsageError("--xl and IMAGE do not go together");
  if (options.as !== undefined) throw new UsageError("--xl and --as do not go together");
  const path = options.xl as string;
  const disks = disksOf(readXlGuest(path), path).map(({ target, vdev, format }) => ({
    image: target,
    name: nameDisks(1, vdev)[0]!,
    options: { ...options, inputFormat: options.inputFormat ?? format },
  }));
  return openDisks(disks, options, around);
}

interface DiskToOpen {
  readonly image: string;
  /** GRUB's name of it. */
  readonly name: string;
  readonly options: Options;
}

async function openDisks(wanted: readonly DiskToOpen[], options: Options, around: Surroundings): Promise<Guest> {
  const files: FileDevice[] = [];
  try {
    const disks: Disk[] = [];
    for (const disk of wanted) {
      disks.push(await openDisk(disk.name, disk.image, wanted.length, files, disk.options, around));
    }
    let realtime: BlockDevice | undefined;
    if (options.rt !== undefined) {
      const file = await openFile(options.rt as string, { blocking: true });
      files.push(file);
      realtime = cachedDevice(around.watch.guard(file), { direct: true });
    }
    return makeGuest(disks, await openMapped(disks, around.out), files, realtime, options, around);
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

async function openDisk(
  name: string,
  image: string,
  count: number,
  files: FileDevice[],
  options: Options,
  { out, limits, watch }: Surroundings,
): Promise<Disk> {
  const stats: ReadStats = { reads: 0, bytes: 0 };
  const budget = Math.max(1 << 20, Math.min(24 << 20, Math.floor(limits.memory / 8 / count)));
  const report: Report = (entry) => out.log.report({ ...entry, device: entry.device ?? name });
  const around = { options: imageOptions(options), report, watch, files, stats, cacheBudget: budget / 2 };
  let container: DiskImage | undefined;
  try {
    container = await openHostImage(image, around);
  } catch (cause) {
    const error = imageErrorOnly(cause);
    // A host that fails or a limit ends the run; a damaged container only its own disk, when there are others.
    if (count === 1 || error.code === "io" || watch.ended(error)) throw error;
    report(findingFromError(error));
  }
  const device = cachedDevice(container?.device ?? bufferDevice(new Uint8Array(0)), { budget, direct: true });
  let partitions: Partitions = { tables: [], partitions: [], gaps: [] };
  try {
    partitions = await readPartitions(device, { report, nested: "any" });
  } catch (cause) {
    report(findingFromError(imageErrorOnly(cause)));
  }
  return { name, image, container, device, partitions, stats };
}

/** What each reader may keep where memory is short for all of them, bytes; undefined where it may be as much as it likes. */
function cacheBudgetOf(memory: number, volumes: number): number | undefined {
  const share = Math.floor(memory / 8 / Math.max(1, volumes));
  return share < 16 << 20 ? Math.max(1 << 20, share) : undefined;
}

function makeGuest(
  disks: readonly Disk[],
  { assembled, mapped }: MappedDisks,
  files: readonly FileDevice[],
  realtime: BlockDevice | undefined,
  options: Options,
  { out, limits, watch }: Surroundings,
): Guest {
  const volumes = [...disks, ...mapped].flatMap(volumesOf);
  const inArrays = new Set(assembled.volumes.flatMap(({ kind, members }) => (kind === "md" ? members : [])));
  const opened = new Map<Volume, Promise<FileSystem | undefined>>();
  const failures = new Map<Volume, ImageError>();

  const cacheBudget = cacheBudgetOf(limits.memory, volumes.length);

  // What is part of an array would be seen twice.
  const others = (volume: Volume): readonly Volume[] =>
    volumes.filter((other) => other !== volume && !inArrays.has(other.device) && !assembled.taken.has(other.device));
  const openVolume = async (volume: Volume): Promise<FileSystem | undefined> => {
    const report: Report = (entry) => out.log.report({ ...entry, device: volume.device });
    try {
      return await openFileSystem(volume.block, FORMATS, {
        report,
        signal: watch.signal,
        members: others(volume).map(({ block }) => block),
        ...(cacheBudget === undefined ? {} : { cacheBudget }),
        ...(options.subvol === undefined ? {} : { subvol: options.subvol as string }),
        ...(realtime === undefined ? {} : { realtime }),
        ...(options.journal === undefined ? {} : { journal: options.journal as "ignore" | "replay" }),
        ...(options.checksums === undefined ? {} : { checksums: options.checksums as ChecksumPolicy }),
        verify: options.checksums === "require",
      });
    } catch (cause) {
      const error = imageErrorOnly(cause);
      if (watch.ended(error)) throw error;
      failures.set(volume, error);
      const told = findingFromError(error);
      report(error.code === "not-found" && namesSubvolume(options) ? { ...told, severity: "warning" } : told);
      return undefined;
    }
  };

  const guest = {
    disks,
    assembled,
    mapped,
    volumes,
    fileSystem(volume: Volume): Promise<FileSystem | undefined> {
      const known = opened.get(volume) ?? openVolume(volume);
      opened.set(volume, known);
      return known;
    },
    async isFurtherMember(volume: Volume): Promise<boolean> {
      const fs = await guest.fileSystem(volume);
      if (fs === undefined || !isBtrfs(fs)) return false;
      // The volume itself is member 0, the others follow in the order in which they were given.
      const members = [volume, ...others(volume)];
      const own = fs.devices.flatMap(({ index }) => (index === undefined ? [] : [members[index]]));
      return volumes.find((candidate) => own.includes(candidate)) !== volume;
    },
    failure: (volume: Volume) => failures.get(volume),
    /** GRUB's order; what GRUB does not list comes last. */
    async searchOrder(): Promise<readonly Volume[]> {
      const names = (await grubSearch(guest).devices()).map((device) => device.name);
      const rank = ({ device }: Volume): number => (names.includes(device) ? names.indexOf(device) : names.length);
      return volumes.toSorted((a, b) => rank(a) - rank(b));
    },
  };
  return {
    ...guest,
    signal: watch.signal,
    place: (path, walk) =>
      findPlace(guest, path, { policy: watch.linuxWalk, signal: watch.signal, ...walk }, { out, watch }),
    async close() {
      await Promise.all(files.map((file) => file.close()));
    },
  };
}

/** Whether a subvolume was asked for, which need not be there: that is no damage. The volume itself says which is the default. */
const namesSubvolume = ({ subvol }: Options): boolean => !["top", "default", undefined].includes(subvol as string);

/** The whole disk and each of its partitions that has bytes. */
function volumesOf(disk: Disk | MappedDisk): Volume[] {
  const name = "volume" in disk ? disk.volume.name : disk.name;
  const device = escapeDiskName(name);
  const whole: Volume = { device, block: disk.device, disk, partition: undefined, start: 0 };
  const parts = disk.partitions.partitions.flatMap((partition): Volume[] =>
    partition.device === undefined
      ? []
      : [
          {
            device: partitionDevice(name, partition),
            block: partition.device,
            disk,
            partition,
            start: partition.start,
          },
        ],
  );
  return [whole, ...parts];
}

/** GRUB's search over these disks: what it remembers from one search to the next is in the object returned. */
export function grubSearch(
  guest: Pick<Guest, "disks" | "assembled" | "mapped" | "volumes" | "fileSystem" | "failure">,
  version?: GrubVersion,
): GrubSearch {
  const disks = guest.disks.map(({ name, device }) => ({ name, device }));
  // The same volumes behind their caches.
  const volumes = guest.mapped.map(({ volume, device }) => ({ ...volume, device }));
  const mapped = grubMapped({ ...guest.assembled, volumes });
  return new GrubSearch(disks, {
    mapped: mapped.disks,
    hiddenMapped: mapped.hidden,
    ...(version === undefined ? {} : { version }),
    async openVolume(block, name, start) {
      const volume = guest.volumes.find((candidate) => name === candidate.device && start === candidate.start);
      // GRUB's lists go deeper than ours, into partitions inside partitions, and it reads damaged tables in its own way.
      if (volume === undefined) return openFileSystem(block, FORMATS);
      const fs = await guest.fileSystem(volume);
      const failure = guest.failure(volume);
      if (failure !== undefined) throw failure;
      return fs;
    },
  });
}
