import type { DiskImage } from "@guestprobe/image";
import type { Partitions } from "@guestprobe/partition";
import type { Signature } from "@guestprobe/signature";
import type { FileSystem } from "@guestprobe/vfs";
import { textPair } from "@guestprobe/vfs";
import type { MdArray } from "@guestprobe/volume";
import type { Disk } from "../guest.js";
import type { MappedDisk } from "../mapped.js";
import { findingJson } from "../output/output.js";
import { partitionDevice } from "../partition-name.js";

/** A file system as `inspect` and `parts` show it, or what the superblock says of a volume that no reader opens. */
export function fsJson(fs: FileSystem | undefined, signature?: Signature): Record<string, unknown> | null {
  if (fs === undefined) return signature === undefined ? null : signatureJson(signature);
  return {
    kind: fs.kind,
    usage: "filesystem",
    readable: true,
    ...(fs.label.length === 0 ? { label: null } : textPair("label", fs.label)),
    uuid: fs.uuid ?? null,
    blockSize: fs.blockSize,
    bytes: fs.size,
    features: fs.features,
  };
}

function signatureJson({ kind, usage, label, uuid, version }: Signature): Record<string, unknown> {
  return {
    kind,
    usage,
    readable: false,
    ...(label.length === 0 ? { label: null } : textPair("label", label)),
    uuid: uuid ?? null,
    version: version ?? null,
  };
}

/** What the container says of itself; names are text from the image. */
function containerJson(container: DiskImage | undefined): Record<string, unknown> {
  const { info } = container ?? {};
  return {
    subformat: info?.subformat ?? null,
    clusterSize: info?.clusterSize ?? null,
    references: (info?.references ?? []).map(({ kind, names, format }) => ({ kind, names, format: format ?? null })),
    snapshots: (info?.snapshots ?? []).map(({ id, name, timeMs, virtualSize }) => ({
      id,
      name,
      timeNs: String(BigInt(timeMs) * 1_000_000n),
      bytes: virtualSize,
    })),
  };
}

/** Level of an array in words: "raid1", "linear". */
export const levelName = ({ level }: MdArray): string => (level < 0 ? "linear" : `raid${level}`);

/** What `extra` adds to a disk and to each of its partitions, by their device names. */
export type Extra = (device: string) => Record<string, unknown>;

/** One disk with its tables, partitions and gaps. */
export function diskJson(disk: Disk, extra: Extra): Record<string, unknown> {
  const { tables } = disk.partitions;
  return {
    device: disk.name,
    image: disk.image,
    format: disk.container?.format ?? null,
    ...containerJson(disk.container),
    bytes: disk.device.size,
    sectorSize: tables[0]?.sectorSize ?? disk.device.sectorSize ?? 512,
    ...extra(disk.name),
    ...tablesJson(disk.name, disk.partitions, extra),
  };
}

/** A logical volume or an array with its tables, partitions and gaps. */
export function mappedJson({ volume, device, partitions }: MappedDisk, extra: Extra): Record<string, unknown> {
  return {
    device: volume.name,
    kind: volume.kind,
    members: volume.members,
    bytes: device.size,
    layout: volume.kind === "lvm2" ? volume.layout : levelName(volume),
    group: volume.group,
    aliases: volume.aliases,
    linuxNames: volume.linuxNames,
    ...extra(volume.name),
    ...tablesJson(volume.name, partitions, extra),
  };
}

function tablesJson(name: string, { tables, partitions, gaps }: Partitions, extra: Extra): Record<string, unknown> {
  return {
    tables: tables.map((found) => ({
      kind: found.kind,
      role: found.role,
      offset: found.offset,
      sectorSize: found.sectorSize,
      uuid: found.uuid ?? null,
      problems: found.problems.map(findingJson),
    })),
    partitions: partitions.map((partition) => {
      const device = partitionDevice(name, partition);
      return {
        device,
        number: partition.number,
        kind: partition.kind,
        start: partition.start,
        bytes: partition.length,
        type: { id: partition.type.id, name: partition.type.name ?? null },
        active: partition.active,
        name: partition.name ?? null,
        uuid: partition.uuid ?? null,
        attributes: partition.attributes,
        ...extra(device),
      };
    }),
    gaps: gaps.map((gap) => ({ start: gap.start, bytes: gap.length })),
  };
}
