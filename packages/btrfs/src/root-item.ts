import { isZero } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { timeNs } from "./inode-item.js";
import {
  btrfs_root_ref,
  btrfs_root_item as item,
  MAX_LEVEL,
  NAME_LEN,
  ROOT_ITEM_V0_SIZE,
  ROOT_SUBVOL_RDONLY,
} from "./layout.js";
import { corrupt, decodeAt } from "./place.js";
import type { TreeRoot } from "./superblock.js";

/** A root item that was checked: where a tree lies, and what is recorded of a subvolume. */
export interface RootItem {
  readonly id: number;
  readonly root: TreeRoot;
  /** Inode number of the root directory; 0 in trees that are no subvolumes. */
  readonly dirid: number;
  /** 0: it is being deleted. */
  readonly refs: number;
  readonly readOnly: boolean;
  readonly uuid: Uint8Array | undefined;
  /** Of the subvolume that it is a snapshot of. */
  readonly parentUuid: Uint8Array | undefined;
  readonly receivedUuid: Uint8Array | undefined;
  /** Nanoseconds since 1970 UTC. */
  readonly createdNs: bigint | undefined;
}

/**
 * Decodes the root item of tree `id`.
 *
 * @param offset Where it lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeRootItem(data: Uint8Array, id: number, sectorsize: number, offset: number | undefined): RootItem {
  const wrong = (field: keyof typeof item.$fields, reason: string) =>
    corrupt(`root item of tree ${id}: ${reason}`, {
      structure: item.$name,
      field,
      offset: offset === undefined ? undefined : offset + item.$fields[field].offset,
    });
  if (data.length < ROOT_ITEM_V0_SIZE) throw wrong("inode", `${data.length} bytes, expected ${item.$size}`);
  const view = viewOf(data);
  const level = item.level(view, 0);
  if (level >= MAX_LEVEL) throw wrong("level", `level ${level}`);
  return decodeAt(offset, () => {
    const logical = item.bytenr(view, 0);
    if (logical === 0 || logical % sectorsize !== 0) throw wrong("bytenr", `at logical address ${logical}`);
    const generation = item.generation(view, 0);
    const uuidOf = (bytes: Uint8Array): Uint8Array | undefined => (isZero(bytes) ? undefined : bytes);
    const isV2 = data.length >= item.$size && item.generation_v2(view, 0) === generation;
    return {
      id,
      root: { logical, level, generation, tree: id },
      dirid: item.root_dirid(view, 0),
      refs: item.refs(view, 0),
      readOnly: (item.flags(view, 0) & ROOT_SUBVOL_RDONLY) !== 0n,
      uuid: isV2 ? uuidOf(item.uuid(view, 0)) : undefined,
      parentUuid: isV2 ? uuidOf(item.parent_uuid(view, 0)) : undefined,
      receivedUuid: isV2 ? uuidOf(item.received_uuid(view, 0)) : undefined,
      createdNs: isV2 ? timeNs(view, item.$fields.otime.offset) : undefined,
    };
  });
}

/** Where a subvolume hangs in its parent. */
export interface RootRef {
  /** Inode number of the directory. */
  readonly dirid: number;
  readonly name: Uint8Array;
}

/** Decodes a ROOT_REF or ROOT_BACKREF item. @throws ImageError `corrupt`. */
export function decodeRootRef(data: Uint8Array, offset: number | undefined): RootRef {
  const start = btrfs_root_ref.$size;
  const view = viewOf(data);
  const length = data.length < start ? 0 : btrfs_root_ref.name_len(view, 0);
  if (length === 0 || length > NAME_LEN || start + length > data.length) {
    throw corrupt(`root reference: a name of ${length} bytes in an item of ${data.length}`, {
      structure: btrfs_root_ref.$name,
      field: "name_len",
      offset,
    });
  }
  return { dirid: decodeAt(offset, () => btrfs_root_ref.dirid(view, 0)), name: data.subarray(start, start + length) };
}
