import { type BlockDevice, decodeText, decodeUtf16, formatGuid, ImageError, isPowerOfTwo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { failer, readTable } from "../tables.js";
import type { Region } from "./header.js";
import {
  FILE_PARAMETERS,
  ITEM_REQUIRED,
  LOGICAL_SECTOR_SIZE,
  MAX_ENTRIES,
  MIB,
  PARENT_LOCATOR,
  PHYSICAL_SECTOR_SIZE,
  TABLE_SIZE,
  VHDX_FILE_PARAMETERS,
  VHDX_LOCATOR_TYPE,
  VHDX_METADATA_TABLE_ENTRY,
  VHDX_METADATA_TABLE_HEADER,
  VHDX_PARENT_LOCATOR_ENTRY,
  VHDX_PARENT_LOCATOR_HEADER,
  VHDX_VIRTUAL_DISK_SIZE,
  VIRTUAL_DISK_ID,
  VIRTUAL_DISK_SIZE,
} from "./layout.js";

/** What the metadata region says. */
export interface VhdxMetadata {
  readonly blockSize: number;
  readonly fixed: boolean;
  readonly hasParent: boolean;
  readonly virtualSize: number;
  readonly sectorSize: number;
  /** The parent locator's pairs; empty without a parent. */
  readonly parent: ReadonlyMap<string, string>;
}

const KNOWN = new Set([
  FILE_PARAMETERS,
  VIRTUAL_DISK_SIZE,
  VIRTUAL_DISK_ID,
  LOGICAL_SECTOR_SIZE,
  PHYSICAL_SECTOR_SIZE,
  PARENT_LOCATOR,
]);
const MAX_DISK = 64 * 2 ** 40;

/** Where each known item lies, in bytes from the start of the file. */
export function decodeMetadataTable(data: Uint8Array, region: Region): ReadonlyMap<string, Region> {
  const view = viewOf(data);
  const failTable = failer("vhdx", VHDX_METADATA_TABLE_HEADER, region.offset);
  if (decodeText(data.subarray(0, 8)) !== "metadata") throw failTable.corrupt("Signature", 'is not "metadata"');
  const count = VHDX_METADATA_TABLE_HEADER.EntryCount(view, 0);
  if (count > MAX_ENTRIES) throw failTable.corrupt("EntryCount", `is ${count}, at most ${MAX_ENTRIES}`);
  const items = new Map<string, Region>();
  for (let index = 0; index < count; index += 1) {
    const at = VHDX_METADATA_TABLE_HEADER.$size + index * VHDX_METADATA_TABLE_ENTRY.$size;
    const fail = failer("vhdx", VHDX_METADATA_TABLE_ENTRY, region.offset + at);
    const id = formatGuid(VHDX_METADATA_TABLE_ENTRY.ItemId(view, at));
    if (!KNOWN.has(id)) {
      if ((VHDX_METADATA_TABLE_ENTRY.Flags(view, at) & ITEM_REQUIRED) === 0) continue;
      throw fail.unsupported("ItemId", `metadata item ${id} is required, and unknown`);
    }
    if (items.has(id)) throw fail.corrupt("ItemId", `${id} is there twice`);
    const offset = VHDX_METADATA_TABLE_ENTRY.Offset(view, at);
    const length = VHDX_METADATA_TABLE_ENTRY.Length(view, at);
    if (offset < TABLE_SIZE || offset + length > region.length) {
      throw fail.corrupt("Offset", `is ${offset}: ${length} bytes from there are not in the region`);
    }
    if (length > MIB) throw fail.corrupt("Length", `is ${length}, at most 1 MiB`);
    items.set(id, { offset: region.offset + offset, length });
  }
  return items;
}

/** @throws ImageError `corrupt`, `unsupported`, `past-end`. */
export async function readMetadata(
  tables: BlockDevice,
  region: Region,
  signal: AbortSignal | undefined,
): Promise<VhdxMetadata> {
  const place = failer("vhdx", VHDX_METADATA_TABLE_HEADER, region.offset).place();
  const items = decodeMetadataTable(await readTable(tables, region.offset, TABLE_SIZE, place, signal), region);
  const read = async (id: string, what: string, least: number): Promise<{ data: DataView; at: number }> => {
    const item = items.get(id);
    if (item === undefined) throw new ImageError("corrupt", `the metadata have no ${what}`, place);
    if (item.length < least) {
      throw new ImageError("corrupt", `${what} of ${item.length} bytes`, { format: "vhdx", offset: item.offset });
    }
    const data = await readTable(tables, item.offset, item.length, { format: "vhdx", structure: what }, signal);
    return { data: viewOf(data), at: item.offset };
  };

  const parameters = await read(FILE_PARAMETERS, "file parameters", VHDX_FILE_PARAMETERS.$size);
  const size = await read(VIRTUAL_DISK_SIZE, "virtual disk size", VHDX_VIRTUAL_DISK_SIZE.$size);
  const sector = await read(LOGICAL_SECTOR_SIZE, "logical sector size", 4);

  const failParameters = failer("vhdx", VHDX_FILE_PARAMETERS, parameters.at);
  const blockSize = VHDX_FILE_PARAMETERS.BlockSize(parameters.data, 0);
  if (!isPowerOfTwo(blockSize) || blockSize < MIB || blockSize > 256 * MIB) {
    throw failParameters.corrupt("BlockSize", `is ${blockSize}, expected a power of two from 1 MiB to 256 MiB`);
  }
  const flags = VHDX_FILE_PARAMETERS.Flags(parameters.data, 0);
  const sectorSize = sector.data.getUint32(0, true);
  if (sectorSize !== 512 && sectorSize !== 4096) {
    const reason = `the logical sector size is ${sectorSize}, expected 512 or 4096`;
    throw new ImageError("corrupt", reason, { format: "vhdx", offset: sector.at });
  }
  const failSize = failer("vhdx", VHDX_VIRTUAL_DISK_SIZE, size.at);
  const virtualSize = failSize.guard(() => VHDX_VIRTUAL_DISK_SIZE.VirtualDiskSize(size.data, 0));
  if (virtualSize > MAX_DISK || virtualSize % sectorSize !== 0) {
    throw failSize.corrupt("VirtualDiskSize", `is ${virtualSize}, expected whole sectors, at most 64 TiB`);
  }
  const hasParent = (flags & 2) !== 0;
  let parent: ReadonlyMap<string, string> = new Map();
  if (hasParent) {
    const locator = await read(PARENT_LOCATOR, "parent locator", VHDX_PARENT_LOCATOR_HEADER.$size);
    parent = decodeParentLocator(locator.data, locator.at);
  }
  return { blockSize, fixed: (flags & 1) !== 0 && !hasParent, hasParent, virtualSize, sectorSize, parent };
}

/** The pairs of a parent locator, section 2.6.2.6.3: "relative_path", "parent_linkage", ... */
export function decodeParentLocator(view: DataView, base: number): ReadonlyMap<string, string> {
  const fail = failer("vhdx", VHDX_PARENT_LOCATOR_HEADER, base);
  const type = formatGuid(VHDX_PARENT_LOCATOR_HEADER.LocatorType(view, 0));
  if (type !== VHDX_LOCATOR_TYPE) throw fail.unsupported("LocatorType", `parent locator of type ${type}`);
  const count = VHDX_PARENT_LOCATOR_HEADER.KeyValueCount(view, 0);
  const pairs = new Map<string, string>();
  const textAt = (offset: number, length: number, at: number): string => {
    if (offset + length > view.byteLength || length % 2 !== 0) {
      const entry = failer("vhdx", VHDX_PARENT_LOCATOR_ENTRY, base + at);
      throw entry.corrupt("KeyOffset", `: ${length} bytes of text at ${offset} are not in the item`);
    }
    return decodeUtf16(new Uint8Array(view.buffer, view.byteOffset + offset, length));
  };
  for (let index = 0; index < count; index += 1) {
    const at = VHDX_PARENT_LOCATOR_HEADER.$size + index * VHDX_PARENT_LOCATOR_ENTRY.$size;
    if (at + VHDX_PARENT_LOCATOR_ENTRY.$size > view.byteLength) {
      throw fail.corrupt("KeyValueCount", `is ${count}, more than the item holds`);
    }
    const entry = VHDX_PARENT_LOCATOR_ENTRY.$dump(view, at);
    pairs.set(textAt(entry.KeyOffset, entry.KeyLength, at), textAt(entry.ValueOffset, entry.ValueLength, at));
  }
  return pairs;
}
