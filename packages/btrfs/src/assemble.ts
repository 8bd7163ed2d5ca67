import { type BlockDevice, equalBytes, finding, formatUuid, isImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { OpenOptions } from "@guestprobe/vfs";
import { type Chunk, decodeChunk, decodeSysChunkArray } from "./chunk.js";
import {
  BTRFS_DEVICE_COUNT,
  BTRFS_DEVICE_SHORT,
  BTRFS_MEMBER_MISSING,
  BTRFS_MEMBER_NEEDED,
  BTRFS_MEMBER_STALE,
} from "./findings.js";
import { MAX_OFFSET, makeKey, offsetOf } from "./key.js";
import {
  BLOCK_GROUP_DATA,
  BLOCK_GROUP_METADATA,
  BLOCK_GROUP_SYSTEM,
  btrfs_chunk,
  btrfs_dev_item,
  CHUNK_ITEM_KEY,
  CHUNK_TREE_OBJECTID,
  DEV_ITEM_KEY,
  DEV_ITEMS_OBJECTID,
  FIRST_CHUNK_TREE_OBJECTID,
} from "./layout.js";
import { leafItem } from "./node.js";
import { corrupt } from "./place.js";
import { readSuperblock } from "./super-copies.js";
import { type DeviceItem, decodeDevItem, type Superblock } from "./superblock.js";
import type { TreeReader } from "./tree.js";
import type { Member, Volume } from "./volume.js";

/** One device of a volume, as its chunk tree lists it. */
export interface BtrfsDevice {
  readonly devid: number;
  readonly uuid: string;
  /** Bytes that the volume uses of it. */
  readonly size: number;
  /** Whether it belongs to a seed, which is another file system below this one. */
  readonly isSeed: boolean;
  /** 0: the device the volume was opened on; n: the nth of `OpenOptions.members`; undefined: it was not given. */
  readonly index: number | undefined;
}

interface Candidate {
  readonly device: BlockDevice;
  readonly superblock: Superblock;
  readonly index: number;
}

/** The members among the devices at hand, and the newest superblock. */
export interface Members {
  readonly superblock: Superblock;
  readonly members: readonly Member[];
  /** What nodes may carry as fsid: the volume's, and those of the seeds given. */
  readonly fsids: readonly Uint8Array[];
}

/**
 * Finds which of the devices belong to the volume on `device`.
 *
 * @throws ImageError when `device` itself has no sound superblock; others without one are passed over.
 */
export async function findMembers(device: BlockDevice, options: OpenOptions): Promise<Members> {
  const { checksums = "report", report, signal, members = [] } = options;
  const own: Candidate = { device, superblock: await readSuperblock(device, checksums, report, signal), index: 0 };
  const others = await Promise.all(members.map((member, n) => readCandidate(member, n + 1, options)));
  const { fsid } = own.superblock;
  const candidates = [own, ...others.filter((other) => other !== undefined)];
  const family = candidates.filter(({ superblock }) => equalBytes(superblock.fsid, fsid));
  const seeds = candidates.filter(({ superblock }) => superblock.isSeeding && !equalBytes(superblock.fsid, fsid));
  const newest = family.reduce((best, next) =>
    next.superblock.generation > best.superblock.generation ? next : best,
  ).superblock;
  for (const { superblock, index } of family) {
    if (superblock.generation === newest.generation) continue;
    const { devid } = superblock.device;
    report?.(
      finding(
        BTRFS_MEMBER_STALE,
        `device ${devid} is of generation ${superblock.generation}, the newest of ${newest.generation}`,
        { format: "btrfs", ...(index === 0 ? { offset: superblock.offset } : {}) },
      ),
    );
  }
  const found = [...family, ...seeds].map(({ device: at, superblock, index }) => ({
    device: at,
    devid: superblock.device.devid,
    uuid: superblock.device.uuid,
    index,
    isStale: family.some((one) => one.index === index) && superblock.generation < newest.generation,
  }));
  return {
    superblock: newest,
    members: found,
    fsids: [newest.metadataUuid, ...seeds.map((s) => s.superblock.metadataUuid)],
  };
}

async function readCandidate(device: BlockDevice, index: number, options: OpenOptions): Promise<Candidate | undefined> {
  try {
    const superblock = await readSuperblock(device, options.checksums ?? "report", undefined, options.signal);
    return { device, superblock, index };
  } catch (error) {
    // It is another file system, or damaged: then it counts as missing, which is told.
    if (!isImageError(error) || error.code === "aborted") throw error;
    return undefined;
  }
}

/**
 * Reads the chunk tree into the volume's chunk map, which until then holds what the superblock knows of it.
 *
 * @returns The devices that the volume consists of.
 * @throws ImageError `corrupt` for chunks that overlap or pass the end of their device.
 */
export async function readChunkTree(
  superblock: Superblock,
  volume: Volume,
  trees: TreeReader,
  signal: AbortSignal | undefined,
): Promise<readonly DeviceItem[]> {
  const root = {
    logical: superblock.chunkRoot,
    level: superblock.chunkRootLevel,
    generation: superblock.chunkRootGeneration,
    tree: CHUNK_TREE_OBJECTID,
  };
  const devices = new Map<number, DeviceItem>();
  const chunks: Chunk[] = [];
  const from = makeKey(DEV_ITEMS_OBJECTID, DEV_ITEM_KEY);
  const to = makeKey(FIRST_CHUNK_TREE_OBJECTID, CHUNK_ITEM_KEY, MAX_OFFSET);
  for await (const { leaf, first, end } of trees.range(root, from, to, signal)) {
    for (let slot = first; slot < end; slot += 1) {
      const { key, data, offset } = leafItem(leaf, slot);
      if (key.type === CHUNK_ITEM_KEY) chunks.push(decodeChunk(key, data, superblock.sectorsize, offset));
      if (key.type !== DEV_ITEM_KEY) continue;
      if (data.length < btrfs_dev_item.$size) {
        throw corrupt(`a device item of ${data.length} bytes`, { structure: btrfs_dev_item.$name, offset });
      }
      const device = decodeDevItem(viewOf(data), 0, offset);
      if (device.devid !== offsetOf(key)) {
        throw corrupt(`the item of device ${offsetOf(key)} says ${device.devid}`, {
          structure: btrfs_dev_item.$name,
          field: "devid",
          offset,
        });
      }
      devices.set(device.devid, device);
    }
  }
  for (const chunk of chunks) checkWithinDevices(chunk, devices);
  const listed = new Set(chunks.map((chunk) => chunk.logical));
  const bootstrap = volume.chunkMap.chunks.filter((chunk) => !listed.has(chunk.logical));
  volume.chunkMap.set([...bootstrap, ...chunks]);
  return [...devices.values()];
}

function checkWithinDevices(chunk: Chunk, devices: ReadonlyMap<number, DeviceItem>): void {
  for (const [index, stripe] of chunk.stripes.entries()) {
    const device = devices.get(stripe.devid);
    const wrong = (reason: string) =>
      corrupt(`chunk at logical address ${chunk.logical}: stripe ${index} ${reason}`, {
        structure: "btrfs_stripe",
        field: "offset",
        offset: chunk.offset === undefined ? undefined : chunk.offset + btrfs_chunk.$size + index * 32,
      });
    if (device === undefined || !equalBytes(device.uuid, stripe.deviceUuid))
      throw wrong(`lies on device ${stripe.devid}, which is not listed`);
    if (stripe.offset + chunk.stripeSize > device.totalBytes) {
      throw wrong(`ends at byte ${stripe.offset + chunk.stripeSize} of a device of ${device.totalBytes}`);
    }
  }
}

/** The chunks that the superblock itself lists, without which the chunk tree could not be found. */
export function bootstrapChunks(superblock: Superblock, volume: Volume): void {
  const { sysChunkArray, sysChunkArrayOffset, sectorsize } = superblock;
  volume.chunkMap.set(decodeSysChunkArray(sysChunkArray, sectorsize, sysChunkArrayOffset));
}

/** Tells what is missing, short or miscounted; answers the devices for people. */
export function inspectDevices(
  superblock: Superblock,
  volume: Volume,
  items: readonly DeviceItem[],
  report: Report | undefined,
): readonly BtrfsDevice[] {
  if (items.length !== superblock.numDevices) {
    const message = `the superblock counts ${superblock.numDevices} devices, the chunk tree lists ${items.length}`;
    const structure = "btrfs_super_block";
    report?.(finding(BTRFS_DEVICE_COUNT, message, { format: "btrfs", structure, field: "num_devices" }));
  }
  /** Chunks that cannot be read for want of devices, by each device that they lie on. */
  const lost = new Map<number, Chunk[]>();
  for (const chunk of volume.chunkMap.chunks) {
    if (volume.isReadable(chunk)) continue;
    for (const devid of new Set(chunk.stripes.map((stripe) => stripe.devid))) {
      const known = lost.get(devid) ?? [];
      known.push(chunk);
      lost.set(devid, known);
    }
  }
  return items.map((item) => {
    const member = volume.member(item.devid, item.uuid);
    const uuid = formatUuid(item.uuid);
    if (member === undefined) {
      const gone = lost.get(item.devid) ?? [];
      const name = `device ${item.devid} (${uuid}) was not given`;
      const message =
        gone.length === 0
          ? `${name}; the others hold all of it`
          : `${name}; without it, parts of ${describe(gone)} cannot be read`;
      report?.(finding(gone.length === 0 ? BTRFS_MEMBER_MISSING : BTRFS_MEMBER_NEEDED, message, { format: "btrfs" }));
    } else if (member.device.size < item.totalBytes) {
      const message = `device ${item.devid} has ${member.device.size} bytes, the volume uses ${item.totalBytes} of it`;
      const where = { format: "btrfs", structure: "btrfs_dev_item", field: "total_bytes" };
      report?.(finding(BTRFS_DEVICE_SHORT, message, where));
    }
    const isSeed = !equalBytes(item.fsid, superblock.metadataUuid);
    return { devid: item.devid, uuid, size: item.totalBytes, isSeed, index: member?.index };
  });
}

/** "2 raid0 data chunks and 1 single metadata chunk" */
function describe(chunks: readonly Chunk[]): string {
  const counts = new Map<string, number>();
  for (const chunk of chunks) {
    const name = chunkName(chunk);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name} chunk${count === 1 ? "" : "s"}`).join(" and ");
}

const USES: readonly (readonly [flag: number, name: string])[] = [
  [BLOCK_GROUP_DATA, "data"],
  [BLOCK_GROUP_METADATA, "metadata"],
  [BLOCK_GROUP_SYSTEM, "system"],
];

/** "raid1 metadata"; for mixed block groups "single data+metadata". */
export function chunkName(chunk: Chunk): string {
  const uses = USES.filter(([flag]) => (chunk.type & flag) !== 0).map(([, name]) => name);
  return `${chunk.profile.name} ${uses.join("+")}`;
}
