import { alignUp, checkFeatures, decodeText, featureNames, hasBit, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type Failer, failer } from "../tables.js";
import {
  EXT_BACKING_FORMAT,
  EXT_BITMAPS,
  EXT_DATA_FILE,
  EXT_END,
  INCOMPAT_DATA_FILE,
  INCOMPAT_EXTENDED_L2,
  QCOW2_AUTOCLEAR,
  QCOW2_COMPATIBLE,
  QCOW2_INCOMPATIBLE,
  QCOW2_MAGIC,
  QCowBitmapsExtension,
  QCowCompression,
  QCowExtension,
  QCowHeader,
  QCowHeaderV3,
} from "./layout.js";

/** Bytes of the file that the header and its extensions are decoded from; all but names lie in them. */
export const HEADER_BYTES = 64 << 10;
/** Most bytes of an L1 table: QEMU's own limit. */
const L1_MAX = 32 << 20;

/** A header that was checked by itself; what it points at was not. Offsets and sizes in bytes. */
export interface Qcow2Header {
  readonly version: number;
  readonly clusterBits: number;
  readonly clusterSize: number;
  readonly virtualSize: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly refcountOffset: number;
  readonly refcountLength: number;
  readonly snapshotCount: number;
  readonly snapshotsOffset: number;
  readonly backingNameOffset: number;
  readonly backingNameLength: number;
  readonly backingFormat: string | undefined;
  readonly dataFileName: string | undefined;
  readonly bitmaps: BitmapDirectory | undefined;
  readonly compression: "zlib" | "zstd";
  readonly extendedL2: boolean;
  readonly externalData: boolean;
  readonly dirty: boolean;
  readonly markedCorrupt: boolean;
  readonly features: readonly string[];
}

export interface BitmapDirectory {
  readonly count: number;
  readonly offset: number;
  readonly length: number;
}

const fail = failer("qcow2", QCowHeader, 0);
const failV3 = failer("qcow2", QCowHeaderV3, 0);

/**
 * Decodes the first bytes of a file (up to HEADER_BYTES of it).
 *
 * @throws ImageError `not-this-format`, `corrupt`, `unsupported`, `encrypted`.
 */
export function decodeHeader(data: Uint8Array): Qcow2Header {
  const view = viewOf(data);
  if (data.length < 8 || view.getUint32(0) !== QCOW2_MAGIC) {
    throw new ImageError("not-this-format", 'the magic is not "QFI" with the byte 0xfb', {
      format: "qcow2",
      offset: 0,
    });
  }
  const version = QCowHeader.version(view, 0);
  if (version === 1) throw fail.unsupported("version", "qcow version 1 is not read: convert it with qemu-img");
  if (version !== 2 && version !== 3) throw fail.unsupported("version", `version ${version}, known are 2 and 3`);
  const smallest = version === 2 ? QCowHeader.$size : QCowHeaderV3.$size;
  if (data.length < smallest) {
    throw new ImageError("past-end", `the file of ${data.length} bytes ends inside the header`, fail.place());
  }
  return fail.guard(() => decodeFields(data, view, version));
}

function decodeFields(data: Uint8Array, view: DataView, version: number): Qcow2Header {
  const clusterBits = QCowHeader.cluster_bits(view, 0);
  if (clusterBits < 9) throw fail.corrupt("cluster_bits", `is ${clusterBits}, at least 9 is required`);
  if (clusterBits > 21) throw fail.unsupported("cluster_bits", `clusters of 2^${clusterBits} bytes, at most 2^21`);
  const crypt = QCowHeader.crypt_method(view, 0);
  if (crypt !== 0) {
    const name = ["", "AES (the old qcow2 encryption)", "LUKS"][crypt];
    if (name === undefined) throw fail.unsupported("crypt_method", `encryption method ${crypt}`);
    throw new ImageError("encrypted", `the image is encrypted with ${name}`, fail.place("crypt_method"));
  }
  const clusterSize = 2 ** clusterBits;
  const v3 = version === 3 ? decodeV3(view, clusterSize) : V2_FEATURES;
  const extendedL2 = hasBit(v3.incompatible, INCOMPAT_EXTENDED_L2);
  // 32 subclusters of at least a sector.
  if (extendedL2 && clusterBits < 14) {
    throw fail.corrupt("cluster_bits", `is ${clusterBits}; extended L2 entries need at least 14`);
  }
  const virtualSize = QCowHeader.size(view, 0);
  const l1Entries = QCowHeader.l1_size(view, 0);
  const perTable = (clusterSize / (extendedL2 ? 16 : 8)) * clusterSize;
  if (l1Entries * 8 > L1_MAX) throw fail.unsupported("l1_size", `an L1 table of ${l1Entries} entries`);
  if (Math.ceil(virtualSize / perTable) > l1Entries) {
    throw fail.corrupt("l1_size", `is ${l1Entries}, too few for a disk of ${virtualSize} bytes`);
  }
  const l1Offset = QCowHeader.l1_table_offset(view, 0);
  if (l1Entries > 0 && (l1Offset % clusterSize !== 0 || l1Offset === 0)) {
    throw fail.corrupt("l1_table_offset", `is ${l1Offset}, not a cluster of its own`);
  }
  const name = decodeName(view, clusterSize);
  const extensions = decodeExtensions(data, view, v3.headerLength, name.backingNameOffset || clusterSize);
  return {
    version,
    clusterBits,
    clusterSize,
    virtualSize,
    l1Offset,
    l1Entries,
    refcountOffset: QCowHeader.refcount_table_offset(view, 0),
    refcountLength: QCowHeader.refcount_table_clusters(view, 0) * clusterSize,
    snapshotCount: QCowHeader.nb_snapshots(view, 0),
    snapshotsOffset: QCowHeader.snapshots_offset(view, 0),
    ...name,
    ...extensions,
    bitmaps: hasBit(v3.autoclear, 1) ? extensions.bitmaps : undefined,
    compression: decodeCompression(view, v3),
    extendedL2,
    externalData: hasBit(v3.incompatible, INCOMPAT_DATA_FILE),
    dirty: hasBit(v3.incompatible, 1),
    markedCorrupt: hasBit(v3.incompatible, 2),
    features: [
      ...featureNames(v3.incompatible, QCOW2_INCOMPATIBLE),
      ...featureNames(v3.compatible, QCOW2_COMPATIBLE),
      ...featureNames(v3.autoclear, QCOW2_AUTOCLEAR),
    ],
  };
}

interface Features {
  readonly incompatible: number;
  readonly compatible: number;
  readonly autoclear: number;
  readonly headerLength: number;
}
const V2_FEATURES: Features = { incompatible: 0, compatible: 0, autoclear: 0, headerLength: QCowHeader.$size };

function decodeV3(view: DataView, clusterSize: number): Features {
  const incompatible = QCowHeaderV3.incompatible_features(view, 0);
  const { offset } = QCowHeaderV3.$fields.incompatible_features;
  checkFeatures("qcow2", "incompatible_features", incompatible, QCOW2_INCOMPATIBLE, offset);
  const headerLength = QCowHeaderV3.header_length(view, 0);
  if (headerLength < QCowHeaderV3.$size || headerLength % 8 !== 0 || headerLength > clusterSize) {
    throw failV3.corrupt("header_length", `is ${headerLength}, expected a multiple of 8 from 104 to ${clusterSize}`);
  }
  const order = QCowHeaderV3.refcount_order(view, 0);
  if (order > 6) throw failV3.corrupt("refcount_order", `is ${order}, at most 6 is allowed`);
  return {
    incompatible,
    compatible: QCowHeaderV3.compatible_features(view, 0),
    autoclear: QCowHeaderV3.autoclear_features(view, 0),
    headerLength,
  };
}

/** The type and the feature bit say the same thing twice, and must agree. */
function decodeCompression(view: DataView, features: Features): "zlib" | "zstd" {
  const failure: Failer = failer("qcow2", QCowCompression, 0);
  const present = features.headerLength > QCowCompression.$fields.compression_type.offset;
  const type = present && view.byteLength >= QCowCompression.$size ? QCowCompression.compression_type(view, 0) : 0;
  if (type > 1) throw failure.unsupported("compression_type", `compression type ${type}, known are zlib and zstd`);
  if ((type !== 0) !== hasBit(features.incompatible, 8)) {
    throw failure.corrupt("compression_type", `is ${type}, which its feature bit contradicts`);
  }
  return type === 1 ? "zstd" : "zlib";
}

function decodeName(view: DataView, clusterSize: number) {
  const backingNameOffset = QCowHeader.backing_file_offset(view, 0);
  if (backingNameOffset === 0) return { backingNameOffset: 0, backingNameLength: 0 };
  const backingNameLength = QCowHeader.backing_file_size(view, 0);
  if (backingNameLength > 1023) throw fail.corrupt("backing_file_size", `is ${backingNameLength}, at most 1023`);
  if (backingNameOffset + backingNameLength > clusterSize) {
    throw fail.corrupt("backing_file_offset", `is ${backingNameOffset}: the name passes the first cluster`);
  }
  return { backingNameOffset, backingNameLength };
}

function decodeExtensions(data: Uint8Array, view: DataView, start: number, limit: number) {
  let backingFormat: string | undefined;
  let dataFileName: string | undefined;
  let bitmaps: BitmapDirectory | undefined;
  const end = Math.min(limit, data.length);
  for (let at = start; at + QCowExtension.$size <= end; ) {
    const failure = failer("qcow2", QCowExtension, at);
    const type = QCowExtension.type(view, at);
    if (type === EXT_END) break;
    const length = QCowExtension.length(view, at);
    const from = at + QCowExtension.$size;
    if (from + length > end) throw failure.corrupt("length", `is ${length}, past the end of the header at ${end}`);
    const body = data.subarray(from, from + length);
    if (type === EXT_BACKING_FORMAT) backingFormat = decodeText(body);
    else if (type === EXT_DATA_FILE) dataFileName = decodeText(body);
    else if (type === EXT_BITMAPS) bitmaps = decodeBitmaps(body, from);
    at = from + alignUp(length, 8);
  }
  return { backingFormat, dataFileName, bitmaps };
}

function decodeBitmaps(body: Uint8Array, base: number): BitmapDirectory {
  const failure = failer("qcow2", QCowBitmapsExtension, base);
  if (body.length < QCowBitmapsExtension.$size) throw failure.corrupt("nb_bitmaps", "lies in too short an extension");
  const view = viewOf(body);
  return failure.guard(() => ({
    count: QCowBitmapsExtension.nb_bitmaps(view, 0),
    offset: QCowBitmapsExtension.bitmap_directory_offset(view, 0),
    length: QCowBitmapsExtension.bitmap_directory_size(view, 0),
  }));
}
