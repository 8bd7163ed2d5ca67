import { decodeText, ImageError } from "@guestprobe/block";
import { diskByHandle, GRUB_VERSIONS, grubMapName, type PartitionName, parseDeviceName } from "@guestprobe/grub";
import type { Partition } from "@guestprobe/partition";
import { type FileSystem, type Resolved, type ResolveOptions, resolve } from "@guestprobe/vfs";
import { UsageError } from "./exit.js";
import type { Disk, Place, Volume } from "./guest.js";
import type { Watch } from "./limits.js";
import type { MappedDisk } from "./mapped.js";
import { deviceText, unescapeGuestText } from "./output/escape.js";
import { imageErrorOnly, type Output } from "./output/output.js";

export interface Volumes {
  readonly disks: readonly Disk[];
  readonly mapped: readonly MappedDisk[];
  readonly volumes: readonly Volume[];
  /** In the order in which GRUB's `search` would visit them. */
  searchOrder(): Promise<readonly Volume[]>;
  fileSystem(volume: Volume): Promise<FileSystem | undefined>;
  failure(volume: Volume): ImageError | undefined;
}

interface Surroundings {
  readonly out: Output;
  readonly watch: Watch;
}

/** "(DEVICE)/path" in its two parts. */
const WITH_DEVICE = /^\(((?:[^()\\]|\\.)*)\)(.*)$/s;

/**
 * The file that a path of the command line names: `(DEVICE)/path`, or `/path` on the first volume that has it.
 *
 * @throws ImageError `not-found`, and what a path walk throws; UsageError for a device that is not there.
 */
export async function findPlace(
  guest: Volumes,
  text: string,
  walk: ResolveOptions,
  around: Surroundings,
): Promise<Place> {
  const match = WITH_DEVICE.exec(text);
  if (match === null) return findOnAny(guest, text, walk, around);
  const volume = findVolume(guest, match[1]!);
  const path = match[2] === "" ? "/" : match[2]!;
  if (!path.startsWith("/")) throw new UsageError(`the path in "${text}" does not begin with "/"`);
  const fs = await guest.fileSystem(volume);
  if (fs === undefined) {
    throw (
      guest.failure(volume) ??
      new ImageError("unsupported", `(${volume.device}) holds no file system that this tool reads`)
    );
  }
  const found = await resolveTyped(fs, path, walk);
  if (found === undefined) throw new ImageError("not-found", `(${volume.device})${path}: no such file or directory`);
  return { volume, fs, ...found };
}

/**
 * A name that is not UTF-8 cannot be typed on every system, nor can a line break: it is understood in the form in which
 * this program prints it, when there is no file whose name really has those backslashes.
 */
async function resolveTyped(fs: FileSystem, path: string, walk: ResolveOptions): Promise<Resolved | undefined> {
  const found = await resolve(fs, path, walk);
  if (found !== undefined || !path.includes("\\")) return found;
  return resolve(fs, unescapeGuestText(path), walk);
}

async function findOnAny(
  guest: Volumes,
  path: string,
  walk: ResolveOptions,
  { out, watch }: Surroundings,
): Promise<Place> {
  if (!path.startsWith("/")) throw new UsageError(`"${path}" begins neither with "/" nor with "(DEVICE)"`);
  let failure: ImageError | undefined;
  let volumes = 0;
  const order = await guest.searchOrder();
  for (const volume of order) {
    const fs = await guest.fileSystem(volume);
    failure ??= guest.failure(volume);
    if (fs === undefined) continue;
    volumes += 1;
    try {
      const found = await resolveTyped(fs, path, walk);
      if (found === undefined) continue;
      if (order.length > 1) out.remark(`${path} is taken from ${deviceText(volume.device)}`);
      return { volume, fs, ...found };
    } catch (cause) {
      const error = imageErrorOnly(cause);
      if (watch.ended(error)) throw error;
      failure ??= error;
    }
  }
  if (volumes === 0) {
    throw failure ?? new ImageError("unsupported", "no volume holds a file system that this tool reads");
  }
  // A volume that could not be read may have had it: damage there is the better answer than "no".
  throw failure ?? new ImageError("not-found", `${path}: no such file or directory on any volume`);
}

/** Whether a name's steps lead to a partition; to the whole disk without any. Nested ones are read whatever GRUB can open. */
function isPartition(partition: Partition | undefined, steps: readonly PartitionName[]): boolean {
  const last = steps.at(-1);
  if (last === undefined || partition === undefined) return last === undefined && partition === undefined;
  return (
    last.number === partition.number &&
    (last.map === "" || last.map === grubMapName(partition.table)) &&
    isPartition(partition.parent, steps.slice(0, -1))
  );
}

/**
 * The volume of a device name: GRUB's own, or `hd0`, `hd0,1`, `hd0,msdos1` for the disks in their order; for logical volumes
 * and arrays also GRUB's name by UUID; and each of them in the form in which it is printed.
 *
 * @throws UsageError naming the devices that are there.
 */
export function findVolume(guest: Pick<Volumes, "disks" | "mapped" | "volumes">, text: string): Volume {
  const found = volumeNamed(guest, text) ?? volumeNamed(guest, decodeText(unescapeGuestText(text)));
  if (found !== undefined) return found;
  throw new UsageError(
    `there is no device (${text})`,
    guest.volumes.map((volume) => deviceText(volume.device)),
  );
}

function volumeNamed(
  { disks, mapped, volumes }: Pick<Volumes, "disks" | "mapped" | "volumes">,
  text: string,
): Volume | undefined {
  // Of a version that opens nested names: what is there is read, whatever the host's GRUB makes of its name.
  const name = parseDeviceName(text, GRUB_VERSIONS["2.12"]);
  const alias = name === undefined ? null : /^hd(\d+)$/.exec(name.disk);
  const byHandle = alias === null ? undefined : diskByHandle(disks, Number(alias[1]))?.name;
  const disk =
    disks.find(
      (candidate) =>
        candidate.name === name?.disk || candidate.name === `xen/${name?.disk}` || candidate.name === byHandle,
    ) ?? mapped.find(({ volume }) => [volume.name, ...volume.aliases].includes(name?.disk ?? ""));
  return volumes.find((volume) => volume.disk === disk && isPartition(volume.partition, name?.partitions ?? []));
}
