import { type BlockDevice, equalBytes, finding, ImageError, isPowerOfTwo, isZero, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { IMAGE_DIRTY } from "../findings.js";
import type { LayerContext } from "../layer.js";
import { failer } from "../tables.js";
import {
  COWD,
  COWD_GTES_PER_GT,
  COWDisk_Header,
  FLAG_COMPRESSED,
  FLAG_LINE_ENDS,
  FLAG_MARKERS,
  FLAG_ZEROED_GRAIN,
  KDMV,
  SECTOR,
  SESPARSE,
  SESPARSE_VERSION,
  SESPARSE_VOLATILE,
  SESparseConstHeader,
  SESparseVolatileHeader,
  SparseExtentHeader,
} from "./layout.js";

/** What the header of a sparse extent says, whichever kind it is of. Bytes throughout. */
export interface SparseExtent {
  readonly kind: "hosted" | "esx" | "sesparse";
  readonly capacity: number;
  readonly grainSize: number;
  readonly entriesPerTable: number;
  /** 4, or 8 in seSparse. */
  readonly entrySize: number;
  readonly directoryOffset: number;
  readonly compressed: boolean;
  /** Compressed grains have a GrainMarker in front. */
  readonly markers: boolean;
  /** A grain table entry of 1 means zeros. */
  readonly zeroedGrains: boolean;
  /** seSparse: entries count from here. */
  readonly tablesOffset: number;
  readonly grainsOffset: number;
  /** The descriptor inside; undefined for none. */
  readonly descriptor: { readonly offset: number; readonly length: number } | undefined;
}

/** Grains that are decoded as a whole are kept in memory; real ones have 64 KiB. */
const COMPRESSED_GRAIN_MAX = 16 << 20;
const GRAIN_MAX = 2 ** 30;

/**
 * Reads the header of a sparse extent.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `past-end`, `unsupported`.
 */
export async function readSparseHeader(file: BlockDevice, context: LayerContext): Promise<SparseExtent> {
  const data = await readUpTo(file, 0, SECTOR, context.signal);
  const magic = data.length < 8 ? 0 : viewOf(data).getUint32(0, true);
  if (magic !== KDMV && magic !== COWD && magic !== SESPARSE) {
    throw new ImageError("not-this-format", "there is no header of a sparse extent", { format: "vmdk", offset: 0 });
  }
  if (data.length < SECTOR) {
    throw new ImageError("past-end", "the file ends inside the header", { format: "vmdk", offset: data.length });
  }
  const extent = await decodeByMagic(file, data, magic, context);
  const entries = Math.ceil(extent.capacity / (extent.entriesPerTable * extent.grainSize));
  if (extent.directoryOffset + entries * extent.entrySize > file.size) {
    const reason = `a grain directory of ${entries} entries at byte ${extent.directoryOffset} passes the end of the file`;
    throw new ImageError("past-end", reason, { format: "vmdk", structure: "grain directory", offset: 0 });
  }
  return extent;
}

async function decodeByMagic(
  file: BlockDevice,
  data: Uint8Array,
  magic: number,
  context: LayerContext,
): Promise<SparseExtent> {
  if (magic === COWD) return decodeCowd(data);
  if (magic === SESPARSE) return readSeSparse(file, data, context);
  const view = viewOf(data);
  const front = failer("vmdk", SparseExtentHeader, 0);
  if (front.guard(() => SparseExtentHeader.gdOffset(view, 0)) !== undefined) return decodeHosted(data, 0, context);
  // A stream is written from front to end: its directory's place is known only there, in the last sector but one.
  const at = Math.floor(file.size / SECTOR) * SECTOR - 2 * SECTOR;
  const footer = at > 0 ? await file.read(at, SECTOR, context.signal) : new Uint8Array(SECTOR);
  if (viewOf(footer).getUint32(0, true) !== KDMV) {
    throw front.corrupt("gdOffset", `refers to a footer, and there is none at byte ${at}: the file may be cut`);
  }
  return decodeHosted(footer, at, context);
}

function decodeHosted(data: Uint8Array, base: number, context: LayerContext): SparseExtent {
  const view = viewOf(data);
  const fail = failer("vmdk", SparseExtentHeader, base);
  return fail.guard(() => {
    const header = SparseExtentHeader.$dump(view, 0);
    if (header.version < 1 || header.version > 3) throw fail.unsupported("version", `version ${header.version}`);
    if ((header.flags & FLAG_LINE_ENDS) !== 0 && !equalBytes(header.lineEnds, Uint8Array.of(10, 32, 13, 10))) {
      throw fail.corrupt("lineEnds", "are changed: the file was transferred as text");
    }
    const compressed = header.compressAlgorithm !== 0 || (header.flags & FLAG_COMPRESSED) !== 0;
    if (compressed && header.compressAlgorithm !== 1) {
      throw fail.unsupported("compressAlgorithm", `compression ${header.compressAlgorithm}, known is 1 (DEFLATE)`);
    }
    const grainSize = header.grainSize * SECTOR;
    if (!isPowerOfTwo(header.grainSize) || grainSize > GRAIN_MAX) {
      throw fail.corrupt("grainSize", `is ${header.grainSize} sectors, expected a power of two up to 2^21`);
    }
    if (compressed && grainSize > COMPRESSED_GRAIN_MAX) {
      throw fail.unsupported("grainSize", `compressed grains of ${grainSize} bytes`);
    }
    if (header.numGTEsPerGT === 0 || header.numGTEsPerGT > 512) {
      throw fail.corrupt("numGTEsPerGT", `is ${header.numGTEsPerGT}, expected 512`);
    }
    if (header.gdOffset === undefined) throw fail.corrupt("gdOffset", "refers to a footer in the footer itself");
    if (header.gdOffset === 0 && header.capacity > 0) throw fail.corrupt("gdOffset", "is 0, the header itself");
    if (header.uncleanShutdown !== 0) {
      context.report(finding(IMAGE_DIRTY, "the extent is marked as not closed", fail.place("uncleanShutdown")));
    }
    return {
      kind: "hosted",
      capacity: inBytes(header.capacity, fail.place("capacity")),
      grainSize,
      entriesPerTable: header.numGTEsPerGT,
      entrySize: 4,
      directoryOffset: inBytes(header.gdOffset, fail.place("gdOffset")),
      compressed,
      markers: (header.flags & FLAG_MARKERS) !== 0,
      zeroedGrains: (header.flags & FLAG_ZEROED_GRAIN) !== 0,
      tablesOffset: 0,
      grainsOffset: 0,
      descriptor:
        header.descriptorOffset === 0
          ? undefined
          : {
              offset: inBytes(header.descriptorOffset, fail.place("descriptorOffset")),
              length: inBytes(header.descriptorSize, fail.place("descriptorSize")),
            },
    };
  });
}

function decodeCowd(data: Uint8Array): SparseExtent {
  const view = viewOf(data);
  const fail = failer("vmdk", COWDisk_Header, 0);
  const version = COWDisk_Header.version(view, 0);
  if (version !== 1) throw fail.unsupported("version", `COWD version ${version}, known is 1`);
  const grain = COWDisk_Header.grainSize(view, 0);
  if (grain === 0 || grain * SECTOR > GRAIN_MAX) throw fail.corrupt("grainSize", `is ${grain} sectors`);
  const capacity = COWDisk_Header.numSectors(view, 0) * SECTOR;
  const directory = COWDisk_Header.numGDEntries(view, 0);
  if (directory * COWD_GTES_PER_GT * grain * SECTOR < capacity) {
    throw fail.corrupt("numGDEntries", `is ${directory}, too few for a disk of ${capacity} bytes`);
  }
  const gdOffset = COWDisk_Header.gdOffset(view, 0);
  if (gdOffset === 0) throw fail.corrupt("gdOffset", "is 0, the header itself");
  return {
    kind: "esx",
    capacity,
    grainSize: grain * SECTOR,
    entriesPerTable: COWD_GTES_PER_GT,
    entrySize: 4,
    directoryOffset: gdOffset * SECTOR,
    compressed: false,
    markers: false,
    zeroedGrains: false,
    tablesOffset: 0,
    grainsOffset: 0,
    descriptor: undefined,
  };
}

async function readSeSparse(file: BlockDevice, data: Uint8Array, context: LayerContext): Promise<SparseExtent> {
  const fail = failer("vmdk", SESparseConstHeader, 0);
  const header = fail.guard(() => SESparseConstHeader.$dump(viewOf(data), 0));
  if (header.version !== SESPARSE_VERSION) {
    throw fail.unsupported("version", `seSparse version 0x${header.version.toString(16)}, known is 2.1`);
  }
  if (header.grainSize !== 8) throw fail.unsupported("grainSize", `seSparse grains of ${header.grainSize} sectors`);
  if (header.grainTableSize !== 64) {
    throw fail.unsupported("grainTableSize", `seSparse grain tables of ${header.grainTableSize} sectors`);
  }
  if (header.flags !== 0n) throw fail.unsupported("flags", `seSparse flags 0x${header.flags.toString(16)}`);
  const at = inBytes(header.volatileHeaderOffset, fail.place("volatileHeaderOffset"));
  const state = await readUpTo(file, at, SECTOR, context.signal);
  const failState = failer("vmdk", SESparseVolatileHeader, at);
  if (
    state.length < SECTOR ||
    viewOf(state).getUint32(0, true) !== SESPARSE_VOLATILE ||
    !isZero(state.subarray(4, 8))
  ) {
    throw failState.corrupt("volatileMagic", "is not 0xcafecafe");
  }
  if (SESparseVolatileHeader.replayJournal(viewOf(state), 0) !== 0) {
    throw failState.unsupported("replayJournal", "the seSparse journal is in use, which is not read");
  }
  const entriesPerTable = (header.grainTableSize * SECTOR) / 8;
  const capacity = inBytes(header.capacity, fail.place("capacity"));
  const directory = inBytes(header.grainDirectorySize, fail.place("grainDirectorySize")) / 8;
  if (directory * entriesPerTable * header.grainSize * SECTOR < capacity) {
    throw fail.corrupt("grainDirectorySize", `is ${header.grainDirectorySize}, too little for the disk`);
  }
  return {
    kind: "sesparse",
    capacity,
    grainSize: header.grainSize * SECTOR,
    entriesPerTable,
    entrySize: 8,
    directoryOffset: inBytes(header.grainDirectoryOffset, fail.place("grainDirectoryOffset")),
    compressed: false,
    markers: false,
    zeroedGrains: false,
    tablesOffset: inBytes(header.grainTablesOffset, fail.place("grainTablesOffset")),
    grainsOffset: inBytes(header.grainsOffset, fail.place("grainsOffset")),
    descriptor: undefined,
  };
}

function inBytes(sectors: number, place: { readonly field?: string | undefined }): number {
  const bytes = sectors * SECTOR;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new ImageError("corrupt", `${place.field} is ${sectors} sectors, more than any file has`, place);
}
