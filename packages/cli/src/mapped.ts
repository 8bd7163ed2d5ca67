import { type BlockDevice, cachedDevice, type Finding, type Report } from "@guestprobe/block";
import { type Partitions, readPartitions } from "@guestprobe/partition";
import { type AssembledVolumes, assembleVolumes, type MappedVolume, type VolumeMember } from "@guestprobe/volume";
import type { Disk } from "./guest.js";
import { imageErrorOnly, type Output } from "./output/output.js";
import { partitionDevice } from "./partition-name.js";

/** A logical volume or an array, with the partitions in it. */
export interface MappedDisk {
  readonly volume: MappedVolume;
  /** The volume, behind a cache of its own. */
  readonly device: BlockDevice;
  readonly partitions: Partitions;
}

/** What lies on the disks of a guest and is no disk of it. */
export interface MappedDisks {
  readonly assembled: AssembledVolumes;
  /** In the order of `assembled.volumes`. */
  readonly mapped: readonly MappedDisk[];
}

/** Bytes of all caches of mapped volumes. Those of the disks below them hold what they are made of. */
const CACHE_BUDGET = 16 << 20;
const MIN_CACHE = 256 << 10;

/** Puts the volumes of a guest together. No file system is opened. */
export async function openMapped(disks: readonly Disk[], out: Output): Promise<MappedDisks> {
  const { report } = out.log;
  const tables = new Map<string, Partitions>();
  const inside = async (volume: MappedVolume): Promise<readonly VolumeMember[]> => {
    const partitions = await tablesOf(volume.name, volume.device, report);
    tables.set(volume.name, partitions);
    return membersOf(volume.name, partitions);
  };
  const members = disks.flatMap(({ name, device, partitions }) => [{ name, device }, ...membersOf(name, partitions)]);
  const assembled = await assembleVolumes(members, { report, inside });
  const budget = Math.max(MIN_CACHE, Math.floor(CACHE_BUDGET / Math.max(1, assembled.volumes.length)));
  const mapped: MappedDisk[] = [];
  for (const volume of assembled.volumes) {
    const device = cachedDevice(volume.device, { budget });
    const known = tables.get(volume.name);
    // Those that are known lie on a device that may have been made again since.
    const partitions = known?.partitions.length === 0 ? known : await tablesOf(volume.name, device, () => {});
    mapped.push({ volume, device, partitions });
  }
  return { assembled, mapped };
}

/**
 * The partitions in a volume; none where its table cannot be read. Most volumes have none, and parts of some are missing: what
 * stands in the way of looking is told only where there is a table.
 */
async function tablesOf(name: string, device: BlockDevice, report: Report): Promise<Partitions> {
  const findings: Finding[] = [];
  try {
    const found = await readPartitions(device, { report: (entry) => findings.push(entry) });
    if (found.tables.length > 0) for (const entry of findings) report({ ...entry, device: entry.device ?? name });
    return found;
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (error.code === "aborted" || error.code === "limit") throw error;
    return { tables: [], partitions: [], gaps: [] };
  }
}

function membersOf(disk: string, { partitions }: Partitions): VolumeMember[] {
  return partitions.flatMap((partition) =>
    partition.device === undefined ? [] : [{ name: partitionDevice(disk, partition), device: partition.device }],
  );
}
