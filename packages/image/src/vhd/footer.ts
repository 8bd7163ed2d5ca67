import { decodeText, formatUuid, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { failer } from "../tables.js";
import {
  DISK_DIFFERENCING,
  DISK_DYNAMIC,
  DISK_FIXED,
  MAX_GEOMETRY,
  PARENT_LOCATOR_COUNT,
  PARENT_LOCATORS,
  SECTOR,
  SIZE_CREATORS,
  vhd_dynamic_header,
  vhd_footer,
  vhd_parent_locator,
} from "./layout.js";

/** A footer that was checked by itself. */
export interface VhdFooter {
  readonly kind: "fixed" | "dynamic" | "differencing";
  /** Bytes of the disk, by the rule of the program that wrote it. */
  readonly virtualSize: number;
  /** Bytes from the start of the file to the dynamic header; undefined for fixed disks. */
  readonly dataOffset: number | undefined;
  readonly creator: string;
  readonly uniqueId: string;
}

const KINDS: Readonly<Record<number, VhdFooter["kind"]>> = {
  [DISK_FIXED]: "fixed",
  [DISK_DYNAMIC]: "dynamic",
  [DISK_DIFFERENCING]: "differencing",
};

export function isFooter(data: Uint8Array): boolean {
  return data.length >= vhd_footer.$size && decodeText(data.subarray(0, 8)) === "conectix";
}

/** Whether the checksum at byte `at` is the ones' complement of the sum of all other bytes. */
export function checksumHolds(data: Uint8Array, at: number): boolean {
  let sum = 0;
  for (const [index, byte] of data.entries()) if (index < at || index >= at + 4) sum += byte;
  return ~sum >>> 0 === viewOf(data).getUint32(at);
}

/**
 * Decodes a footer that starts at byte `base` of the file.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `unsupported`.
 */
export function decodeFooter(data: Uint8Array, base: number): VhdFooter {
  if (!isFooter(data)) {
    throw new ImageError("not-this-format", 'there is no "conectix" footer', { format: "vhd", offset: base });
  }
  const view = viewOf(data);
  const fail = failer("vhd", vhd_footer, base);
  return fail.guard(() => {
    const version = vhd_footer.file_format_version(view, 0);
    // The minor version may grow; readers of the major one can still read.
    if (version >>> 16 !== 1) throw fail.unsupported("file_format_version", `version 0x${version.toString(16)}`);
    const type = vhd_footer.disk_type(view, 0);
    const kind = KINDS[type];
    if (kind === undefined) throw fail.unsupported("disk_type", `disk type ${type}, known are 2, 3 and 4`);
    const dataOffset = vhd_footer.data_offset(view, 0);
    if (kind !== "fixed" && dataOffset === undefined) throw fail.corrupt("data_offset", "is missing");
    return {
      kind,
      virtualSize: virtualSize(view),
      dataOffset: kind === "fixed" ? undefined : dataOffset,
      creator: decodeText(vhd_footer.creator_application(view, 0)),
      uniqueId: formatUuid(vhd_footer.unique_id(view, 0)),
    };
  });
}

function virtualSize(view: DataView): number {
  const creator = decodeText(vhd_footer.creator_application(view, 0));
  const geometry = vhd_footer.cylinders(view, 0) * vhd_footer.heads(view, 0) * vhd_footer.sectors_per_track(view, 0);
  const sectors = Math.floor(vhd_footer.current_size(view, 0) / SECTOR);
  const stated = SIZE_CREATORS.has(creator) || geometry === MAX_GEOMETRY || geometry === 0;
  return (stated ? sectors : geometry) * SECTOR;
}

/** The header of a dynamic or differencing disk. */
export interface VhdDynamicHeader {
  readonly tableOffset: number;
  readonly tableEntries: number;
  readonly blockSize: number;
  readonly parentId: string;
  readonly parentName: string;
  readonly locators: readonly ParentLocator[];
}

export interface ParentLocator {
  readonly platform: number;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

/** @throws ImageError `corrupt`, `unsupported`. */
export function decodeDynamicHeader(data: Uint8Array, base: number, virtualSize: number): VhdDynamicHeader {
  const view = viewOf(data);
  const fail = failer("vhd", vhd_dynamic_header, base);
  return fail.guard(() => {
    if (decodeText(vhd_dynamic_header.cookie(view, 0)) !== "cxsparse") {
      throw fail.corrupt("cookie", 'is not "cxsparse"');
    }
    const version = vhd_dynamic_header.header_version(view, 0);
    if (version >>> 16 !== 1) throw fail.unsupported("header_version", `header version 0x${version.toString(16)}`);
    const blockSize = vhd_dynamic_header.block_size(view, 0);
    if (blockSize < SECTOR || blockSize > 2 ** 30 || !Number.isInteger(Math.log2(blockSize))) {
      throw fail.corrupt("block_size", `is ${blockSize}, expected a power of two from 512 to 2^30`);
    }
    const tableEntries = vhd_dynamic_header.max_table_entries(view, 0);
    if (tableEntries * blockSize < virtualSize) {
      throw fail.corrupt("max_table_entries", `is ${tableEntries}, too few for a disk of ${virtualSize} bytes`);
    }
    return {
      tableOffset: vhd_dynamic_header.table_offset(view, 0),
      tableEntries,
      blockSize,
      parentId: formatUuid(vhd_dynamic_header.parent_unique_id(view, 0)),
      parentName: decodeUtf16be(vhd_dynamic_header.parent_unicode_name(view, 0)),
      locators: decodeLocators(view, base),
    };
  });
}

function decodeLocators(view: DataView, base: number): ParentLocator[] {
  const locators: ParentLocator[] = [];
  for (let index = 0; index < PARENT_LOCATOR_COUNT; index += 1) {
    const at = PARENT_LOCATORS + index * vhd_parent_locator.$size;
    const platform = vhd_parent_locator.platform_code(view, at);
    if (platform === 0) continue;
    const fail = failer("vhd", vhd_parent_locator, base + at);
    const offset = fail.guard(() => vhd_parent_locator.platform_data_offset(view, at));
    locators.push({ platform, offset, length: vhd_parent_locator.platform_data_length(view, at) });
  }
  return locators;
}

function decodeUtf16be(data: Uint8Array): string {
  const text = new TextDecoder("utf-16be", { ignoreBOM: true }).decode(data);
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
