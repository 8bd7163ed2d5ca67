import { checkFeatures, equalBytes, formatUuid, hasBit, ImageError, isPowerOfTwo, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { INCOMPAT } from "./features.js";
import {
  btrfs_dev_item,
  INCOMPAT_METADATA_UUID,
  MAX_LEVEL,
  MAX_NODE_SIZE,
  MIN_SECTOR_SIZE,
  SUPER_FLAG_METADUMP,
  SUPER_FLAG_METADUMP_V2,
  SUPER_FLAG_SEEDING,
  SUPER_MAGIC,
  SUPER_MAGIC_AT,
  SUPER_SIZE,
  SYS_CHUNK_ARRAY_SIZE,
  btrfs_super_block as sb,
} from "./layout.js";
import { corrupt, decodeAt } from "./place.js";

/** A device as a btrfs_dev_item describes it. */
export interface DeviceItem {
  readonly devid: number;
  readonly uuid: Uint8Array;
  /** Of the file system that owns it. */
  readonly fsid: Uint8Array;
  /** Bytes that the file system uses of it. */
  readonly totalBytes: number;
}

/** Where the root of a tree lies. */
export interface TreeRoot {
  /** Logical address. */
  readonly logical: number;
  readonly level: number;
  /** Transaction that wrote the root; undefined where the pointer does not record it. */
  readonly generation: number;
  /** Object id of the tree. */
  readonly tree: number;
}

/** A superblock that was checked. */
export interface Superblock {
  /** Bytes from the start of the device: which copy this is. */
  readonly offset: number;
  readonly fsid: Uint8Array;
  /** What nodes carry as their fsid. */
  readonly metadataUuid: Uint8Array;
  readonly generation: number;
  readonly root: number;
  readonly rootLevel: number;
  readonly chunkRoot: number;
  readonly chunkRootLevel: number;
  readonly chunkRootGeneration: number;
  /** Logical address of the log root tree; 0: none. */
  readonly logRoot: number;
  readonly totalBytes: number;
  readonly rootDirObjectid: number;
  readonly numDevices: number;
  readonly sectorsize: number;
  readonly nodesize: number;
  readonly csumType: number;
  readonly incompatFlags: number;
  readonly compatRoFlags: number;
  readonly isSeeding: boolean;
  /** A dump of the metadata, made by btrfs-image: file data is not there. */
  readonly isMetadump: boolean;
  readonly device: DeviceItem;
  /** UTF-8 by convention. */
  readonly label: Uint8Array;
  /** The used part of sys_chunk_array. */
  readonly sysChunkArray: Uint8Array;
  /** Where that lies: bytes from the start of the device. */
  readonly sysChunkArrayOffset: number;
}

export function hasSuperMagic(data: Uint8Array): boolean {
  return equalBytes(data.subarray(SUPER_MAGIC_AT, SUPER_MAGIC_AT + SUPER_MAGIC.length), SUPER_MAGIC);
}

/** A btrfs_dev_item at byte `at`. */
export function decodeDevItem(view: DataView, at: number, offset: number | undefined): DeviceItem {
  return decodeAt(offset, () => ({
    devid: btrfs_dev_item.devid(view, at),
    uuid: btrfs_dev_item.uuid(view, at),
    fsid: btrfs_dev_item.fsid(view, at),
    totalBytes: btrfs_dev_item.total_bytes(view, at),
  }));
}

/**
 * Decodes and checks the superblock in `data` (SUPER_SIZE bytes), read at byte `offset`. The checksum is not checked
 * here.
 *
 * @throws ImageError `not-this-format`, `corrupt`, or `unsupported` for a feature.
 */
export function decodeSuperblock(data: Uint8Array, offset: number): Superblock {
  if (data.length < SUPER_SIZE || !hasSuperMagic(data)) {
    throw new ImageError("not-this-format", "there is no superblock of btrfs", {
      format: "btrfs",
      structure: sb.$name,
      field: "magic",
      offset: offset + sb.$fields.magic.offset,
    });
  }
  const view = viewOf(data);
  const fieldAt = (field: keyof typeof sb.$fields): number => offset + sb.$fields[field].offset;
  const wrong = (field: keyof typeof sb.$fields, reason: string): ImageError =>
    corrupt(reason, { structure: sb.$name, field, offset: fieldAt(field) });
  const number = (field: NumberField): number => decodeAt(fieldAt(field), () => sb[field](view, 0));

  const incompatFlags = number("incompat_flags");
  checkFeatures("btrfs", "incompat_flags", incompatFlags, INCOMPAT, fieldAt("incompat_flags"));
  if (number("bytenr") !== offset)
    throw wrong("bytenr", `the copy at byte ${offset} says it is at ${number("bytenr")}`);
  const sectorsize = number("sectorsize");
  if (!isPowerOfTwo(sectorsize) || sectorsize < MIN_SECTOR_SIZE || sectorsize > MAX_NODE_SIZE) {
    throw wrong("sectorsize", `sectors of ${sectorsize} bytes`);
  }
  const nodesize = number("nodesize");
  if (!isPowerOfTwo(nodesize) || nodesize < sectorsize || nodesize > MAX_NODE_SIZE) {
    throw wrong("nodesize", `nodes of ${nodesize} bytes`);
  }
  if (number("leafsize") !== nodesize) throw wrong("leafsize", `leaves of ${number("leafsize")} bytes`);
  for (const field of ["root_level", "chunk_root_level", "log_root_level"] as const) {
    if (number(field) >= MAX_LEVEL) throw wrong(field, `a tree of level ${number(field)}`);
  }
  for (const field of ["root", "chunk_root", "log_root"] as const) {
    const logical = number(field);
    if (logical % sectorsize !== 0 || (logical === 0 && field !== "log_root")) {
      throw wrong(field, `a tree at logical address ${logical}`);
    }
  }
  const generation = number("generation");
  const chunkRootGeneration = number("chunk_root_generation");
  if (generation === 0) throw wrong("generation", "generation 0");
  if (chunkRootGeneration > generation) {
    throw wrong("chunk_root_generation", `${chunkRootGeneration} is past the generation ${generation}`);
  }
  const numDevices = number("num_devices");
  if (numDevices === 0) throw wrong("num_devices", "no device");
  const totalBytes = number("total_bytes");
  if (totalBytes === 0) throw wrong("total_bytes", "a volume of no bytes");
  const arraySize = number("sys_chunk_array_size");
  if (arraySize === 0 || arraySize > SYS_CHUNK_ARRAY_SIZE) {
    throw wrong("sys_chunk_array_size", `${arraySize} bytes, expected 1 to ${SYS_CHUNK_ARRAY_SIZE}`);
  }
  const fsid = sb.fsid(view, 0);
  const metadataUuid = hasBit(incompatFlags, INCOMPAT_METADATA_UUID) ? sb.metadata_uuid(view, 0) : fsid;
  const device = decodeDevItem(view, sb.$fields.dev_item.offset, fieldAt("dev_item"));
  if (!equalBytes(device.fsid, metadataUuid)) {
    throw wrong(
      "dev_item",
      `the device belongs to ${formatUuid(device.fsid)}, the volume is ${formatUuid(metadataUuid)}`,
    );
  }
  const flags = number("flags");
  return {
    offset,
    fsid,
    metadataUuid,
    generation,
    root: number("root"),
    rootLevel: number("root_level"),
    chunkRoot: number("chunk_root"),
    chunkRootLevel: number("chunk_root_level"),
    chunkRootGeneration,
    logRoot: number("log_root"),
    totalBytes,
    rootDirObjectid: number("root_dir_objectid"),
    numDevices,
    sectorsize,
    nodesize,
    csumType: number("csum_type"),
    incompatFlags,
    compatRoFlags: number("compat_ro_flags"),
    isSeeding: hasBit(flags, SUPER_FLAG_SEEDING),
    isMetadump: hasBit(flags, SUPER_FLAG_METADUMP) || hasBit(flags, SUPER_FLAG_METADUMP_V2),
    device,
    label: untilNul(sb.label(view, 0)),
    sysChunkArray: sb.sys_chunk_array(view, 0).subarray(0, arraySize),
    sysChunkArrayOffset: fieldAt("sys_chunk_array"),
  };
}

type NumberField = {
  [K in keyof typeof sb.$fields]: (typeof sb)[K] extends (view: DataView, base: number) => number ? K : never;
}[keyof typeof sb.$fields];
