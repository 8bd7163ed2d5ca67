import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { offsetOf } from "./key.js";
import {
  COMPRESS_NAMES,
  COMPRESS_NONE,
  FILE_EXTENT_INLINE,
  FILE_EXTENT_INLINE_START,
  FILE_EXTENT_PREALLOC,
  FILE_EXTENT_REG,
  btrfs_file_extent_item as item,
  MAX_COMPRESSED,
} from "./layout.js";
import type { Item } from "./node.js";
import { corrupt, decodeAt, unsupported } from "./place.js";

export type Compression = Exclude<(typeof COMPRESS_NAMES)[number], "none">;

interface Run {
  /** Bytes from the start of the file. */
  readonly logical: number;
  /** Bytes of the file. */
  readonly length: number;
}

export interface HoleExtent extends Run {
  readonly kind: "hole";
}

export interface PlainExtent extends Run {
  readonly kind: "data";
  /** Logical address of the first byte used. */
  readonly address: number;
}

export interface UnwrittenExtent extends Run {
  readonly kind: "unwritten";
  /** Logical address of the first byte used. */
  readonly address: number;
}

export interface InlineExtent extends Run {
  readonly kind: "inline";
  readonly compression: Compression | undefined;
  /** As stored: compressed or not. */
  readonly bytes: Uint8Array;
  /** Logical address of the stored bytes. */
  readonly address: number;
}

export interface EncodedExtent extends Run {
  readonly kind: "encoded";
  readonly compression: Compression;
  /** Logical address and bytes of the whole compressed extent. */
  readonly address: number;
  readonly diskLength: number;
  /** Bytes that it decodes to. */
  readonly ramBytes: number;
  /** Where this run begins in them. */
  readonly offset: number;
}

/** One file extent item that was checked. */
export type FileExtent = HoleExtent | PlainExtent | UnwrittenExtent | InlineExtent | EncodedExtent;

/**
 * Decodes an EXTENT_DATA item.
 *
 * @throws ImageError `corrupt`; `encrypted`; `unsupported` for an encoding that is not known.
 */
export function decodeFileExtent(
  { key, data, logical: itemAddress, offset }: Pick<Item, "key" | "data" | "logical" | "offset">,
  sectorsize: number,
): FileExtent {
  const structure = item.$name;
  const place = (field: keyof typeof item.$fields) => ({
    structure,
    field,
    offset: offset === undefined ? undefined : offset + item.$fields[field].offset,
  });
  const wrong = (field: keyof typeof item.$fields, reason: string) => corrupt(`file extent: ${reason}`, place(field));
  if (data.length < FILE_EXTENT_INLINE_START) throw wrong("type", `an item of ${data.length} bytes`);
  const view = viewOf(data);
  const logical = decodeAt(offset, () => offsetOf(key));
  const ramBytes = decodeAt(offset, () => item.ram_bytes(view, 0));
  const type = item.type(view, 0);
  const method = item.compression(view, 0);
  if (item.encryption(view, 0) !== 0) {
    throw new ImageError("encrypted", `file extent: encrypted (method ${item.encryption(view, 0)})`, {
      format: "btrfs",
      ...place("encryption"),
    });
  }
  if (item.other_encoding(view, 0) !== 0) {
    throw unsupported(`file extent: encoding ${item.other_encoding(view, 0)}`, place("other_encoding"));
  }
  const name = COMPRESS_NAMES[method];
  if (name === undefined) throw unsupported(`file extent: compression method ${method}`, place("compression"));
  const compression = name === "none" ? undefined : name;
  if (method !== COMPRESS_NONE && ramBytes > MAX_COMPRESSED) {
    throw wrong("ram_bytes", `a compressed extent of ${ramBytes} bytes, at most ${MAX_COMPRESSED} are allowed`);
  }
  if (logical % sectorsize !== 0) throw corrupt(`file extent: begins at byte ${logical}`, place("type"));

  if (type === FILE_EXTENT_INLINE) {
    const bytes = data.subarray(FILE_EXTENT_INLINE_START);
    if (logical !== 0) throw wrong("type", `inline at byte ${logical} of the file, expected 0`);
    if (compression === undefined && ramBytes !== bytes.length) {
      throw wrong("ram_bytes", `inline of ${ramBytes} bytes in ${bytes.length}`);
    }
    return {
      kind: "inline",
      logical,
      length: ramBytes,
      compression,
      bytes,
      address: itemAddress + FILE_EXTENT_INLINE_START,
    };
  }
  if (type !== FILE_EXTENT_REG && type !== FILE_EXTENT_PREALLOC) throw wrong("type", `type ${type}`);
  if (data.length !== item.$size) throw wrong("type", `an item of ${data.length} bytes, expected ${item.$size}`);
  const numbers = decodeAt(offset, () => ({
    address: item.disk_bytenr(view, 0),
    diskLength: item.disk_num_bytes(view, 0),
    from: item.offset(view, 0),
    length: item.num_bytes(view, 0),
  }));
  const { address, diskLength, from, length } = numbers;
  if (length === 0 || length % sectorsize !== 0) throw wrong("num_bytes", `${length} bytes`);
  if (!Number.isSafeInteger(logical + length)) throw wrong("num_bytes", `${length} bytes from ${logical} pass 2^53`);
  if (address === 0) return { kind: "hole", logical, length };
  if (address % sectorsize !== 0) throw wrong("disk_bytenr", `at logical address ${address}`);
  if (diskLength === 0 || diskLength % sectorsize !== 0) throw wrong("disk_num_bytes", `${diskLength} bytes`);
  if (from % sectorsize !== 0) throw wrong("offset", `${from} bytes into the extent`);
  if (compression === undefined) {
    if (from + length > diskLength) throw wrong("num_bytes", `${length} bytes from ${from} of ${diskLength}`);
    const kind = type === FILE_EXTENT_PREALLOC ? "unwritten" : "data";
    return { kind, logical, length, address: address + from };
  }
  if (type === FILE_EXTENT_PREALLOC) throw wrong("compression", "unwritten and compressed");
  if (diskLength > MAX_COMPRESSED) throw wrong("disk_num_bytes", `a compressed extent of ${diskLength} bytes`);
  if (from + length > ramBytes) throw wrong("num_bytes", `${length} bytes from ${from} of ${ramBytes}`);
  return { kind: "encoded", logical, length, compression, address, diskLength, ramBytes, offset: from };
}
