import { type BlockDevice, finding, ImageError, isImageError, type Report, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { BYTE_ORDERS_DIFFER, NO_TERMINATOR } from "./findings.js";
import {
  boot_record,
  EL_TORITO,
  FIRST_DESCRIPTOR,
  LAST_DESCRIPTOR,
  iso_primary_descriptor as pd,
  iso_primary_descriptor_m as pdM,
  SECTOR,
  STANDARD_ID,
  VD_BOOT,
  VD_END,
  VD_PRIMARY,
  VD_SUPPLEMENTARY,
} from "./layout.js";
import { corrupt, FORMAT, placeOf } from "./place.js";

/** A primary or supplementary descriptor, checked as far as the tree below it needs. */
export interface VolumeDescriptor {
  /** Bytes from the start of the device. */
  readonly offset: number;
  readonly blockSize: number;
  /** Bytes that the volume says it covers. */
  readonly size: number;
  readonly volumeId: Uint8Array;
  readonly modified: Uint8Array;
  readonly created: Uint8Array;
  /** The root directory's record. */
  readonly root: Uint8Array;
  /** Bytes, and the bytes from the start of the device at which each byte order's table lies. */
  readonly pathTable: { readonly size: number; readonly l: number; readonly m: number };
}

/** The volume descriptors that matter. */
export interface DescriptorSet {
  readonly primary: VolumeDescriptor;
  readonly joliet: { readonly descriptor: VolumeDescriptor; readonly level: 1 | 2 | 3 } | undefined;
  /** Where the El Torito boot catalogue lies: bytes from the start of the device. */
  readonly bootCatalogue: number | undefined;
  readonly hasUdf: boolean;
}

const text = (data: Uint8Array): string => String.fromCharCode(...data);
/** What the first descriptor says it belongs to: ISO 9660, UDF's start, or the standard's forerunner. */
const HIGH_SIERRA = "CDROM";
const UDF_BEGIN = "BEA01";

/** How a device begins at the first descriptor; undefined where it is none of them. */
export async function signatureOf(
  device: BlockDevice,
  signal: AbortSignal | undefined,
): Promise<"iso9660" | "udf" | "high-sierra" | undefined> {
  const data = await readUpTo(device, FIRST_DESCRIPTOR * SECTOR, 16, signal);
  if (data.length < 16) return undefined;
  if (text(data.subarray(1, 6)) === STANDARD_ID) return "iso9660";
  if (text(data.subarray(1, 6)) === UDF_BEGIN) return "udf";
  return text(data.subarray(9, 14)) === HIGH_SIERRA ? "high-sierra" : undefined;
}

/** Sectors after the descriptors in which UDF announces itself. ECMA-167, 2/8.3.1. */
const UDF_SECTORS = 8;

/**
 * Reads the set of volume descriptors.
 *
 * @throws ImageError `not-this-format`; `unsupported` for UDF alone and for High Sierra; `corrupt`.
 */
export async function readDescriptors(
  device: BlockDevice,
  report: Report | undefined,
  signal: AbortSignal | undefined,
): Promise<DescriptorSet> {
  const place = { ...placeOf(pd, "id", FIRST_DESCRIPTOR * SECTOR) };
  const signature = await signatureOf(device, signal);
  if (signature === undefined) throw new ImageError("not-this-format", "no volume descriptor", place);
  if (signature === "udf") throw new ImageError("unsupported", "UDF", place);
  if (signature === "high-sierra") throw new ImageError("unsupported", "High Sierra, before ISO 9660", place);
  let primary: VolumeDescriptor | undefined;
  let joliet: DescriptorSet["joliet"];
  let bootCatalogue: number | undefined;
  let sector = FIRST_DESCRIPTOR;
  let ended = false;
  for (; sector < LAST_DESCRIPTOR && !ended; sector += 1) {
    const offset = sector * SECTOR;
    const data = await readUpTo(device, offset, SECTOR, signal);
    if (data.length < SECTOR || text(data.subarray(1, 6)) !== STANDARD_ID) break;
    const type = data[0];
    if (type === VD_END) ended = true;
    if (type === VD_PRIMARY) primary ??= decodeDescriptor(data, offset, report);
    if (type === VD_BOOT && bootCatalogue === undefined) bootCatalogue = catalogueOf(data);
    // The last one counts, as for Linux.
    if (type === VD_SUPPLEMENTARY) joliet = jolietOf(data, offset, report) ?? joliet;
  }
  if (primary === undefined) throw corrupt(pd, "type", FIRST_DESCRIPTOR * SECTOR, "no primary volume descriptor");
  if (!ended) {
    const message = `no terminator up to sector ${sector}`;
    report?.(finding(NO_TERMINATOR, message, { format: FORMAT, offset: (sector - 1) * SECTOR }));
  }
  return { primary, joliet, bootCatalogue, hasUdf: await announcesUdf(device, sector, signal) };
}

async function announcesUdf(device: BlockDevice, from: number, signal: AbortSignal | undefined): Promise<boolean> {
  const data = await readUpTo(device, from * SECTOR, UDF_SECTORS * SECTOR, signal);
  for (let at = 0; at + SECTOR <= data.length; at += SECTOR) {
    const id = text(data.subarray(at + 1, at + 6));
    if (id === "NSR02" || id === "NSR03") return true;
    if (!/^[A-Z0-9]{5}$/.test(id)) return false;
  }
  return false;
}

function catalogueOf(data: Uint8Array): number | undefined {
  const view = viewOf(data);
  const isElTorito = text(boot_record.system_id(view, 0)).startsWith(EL_TORITO);
  return isElTorito ? boot_record.catalog(view, 0) * SECTOR : undefined;
}

/** The last byte of the escape sequences of Joliet's three levels, UCS-2 all of them. "Joliet Specification", 3. */
const JOLIET_LEVELS: ReadonlyMap<number, 1 | 2 | 3> = new Map([
  [0x40, 1],
  [0x43, 2],
  [0x45, 3],
]);

function jolietOf(data: Uint8Array, offset: number, report: Report | undefined): DescriptorSet["joliet"] {
  const [first, second, third] = pd.escape(viewOf(data), 0);
  if (first !== 0x25 || second !== 0x2f) return undefined;
  const level = JOLIET_LEVELS.get(third ?? 0);
  if (level === undefined) return undefined;
  try {
    return { descriptor: decodeDescriptor(data, offset, report), level };
  } catch (error) {
    // The primary one is enough to show the volume.
    if (!isImageError(error, "corrupt")) throw error;
    return undefined;
  }
}

function decodeDescriptor(data: Uint8Array, offset: number, report: Report | undefined): VolumeDescriptor {
  const view = viewOf(data);
  const blockSize = pd.logical_block_size(view, 0);
  if (blockSize !== 512 && blockSize !== 1024 && blockSize !== 2048) {
    const reason = `logical_block_size is ${blockSize}, expected 512, 1024 or 2048`;
    throw corrupt(pd, "logical_block_size", offset, reason);
  }
  for (const field of ["volume_space_size", "logical_block_size", "path_table_size"] as const) {
    const [little, big] = [pd[field](view, 0), pdM[field](view, 0)];
    if (little === big) continue;
    const message = `${field} is ${little}, big-endian ${big}`;
    report?.(finding(BYTE_ORDERS_DIFFER, message, placeOf(pd, field, offset)));
  }
  return {
    offset,
    blockSize,
    size: pd.volume_space_size(view, 0) * blockSize,
    volumeId: pd.volume_id(view, 0).slice(),
    modified: pd.modification_date(view, 0).slice(),
    created: pd.creation_date(view, 0).slice(),
    root: pd.root_directory_record(view, 0).slice(),
    pathTable: {
      size: pd.path_table_size(view, 0),
      l: pd.type_l_path_table(view, 0) * blockSize,
      m: pdM.type_m_path_table(view, 0) * blockSize,
    },
  };
}
