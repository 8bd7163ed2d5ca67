import { type BlockDevice, decodeText, finding, ImageError, isImageError, readUpTo } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { decodeDeflate, decodeZstd } from "@guestprobe/codec";
import { ClusterCache } from "../cluster-cache.js";
import { IMAGE_DIRTY, IMAGE_MARKED_CORRUPT, IMAGE_REFCOUNTS } from "../findings.js";
import { type Layer, type LayerContext, type LayerRun, NO_INFO, type ParentReference } from "../layer.js";
import { missingDevice } from "../missing.js";
import { quoteName } from "../name.js";
import { readTable, tableDevice } from "../tables.js";
import type { FileReference } from "../types.js";
import { decodeHeader, HEADER_BYTES, type Qcow2Header } from "./header.js";
import { decodeL1Entry, decodeL2, type L2Context } from "./l2.js";
import { QCowHeader } from "./layout.js";
import { type Qcow2Snapshot, readBitmapNames, readSnapshots } from "./snapshots.js";

/** Entries of a table that one step looks at: 32 KiB of them. */
const ENTRIES_AT_ONCE = 4096;

/**
 * Opens a qcow2 image of version 2 or 3.
 *
 * @throws ImageError `not-this-format`, `corrupt`, `past-end`, `unsupported`, `encrypted`, `io`; `not-found` for a
 * snapshot that the image does not have.
 */
export async function openQcow2(file: BlockDevice, context: LayerContext): Promise<Layer> {
  const header = decodeHeader(await readUpTo(file, 0, HEADER_BYTES, context.signal));
  const tables = tableDevice(file, context.cacheBudget / 2);
  reportHeader(file, header, context);
  const snapshots = await readSnapshots(tables, header, context);
  const state = chooseState(header, snapshots, context.snapshot);
  checkL1(file, header, state);

  const references: FileReference[] = [];
  const parent = await readParent(tables, header, context);
  if (parent !== undefined) references.push(parent);
  let data = file;
  if (header.externalData) {
    const name = header.dataFileName ?? "";
    references.push({ kind: "data-file", names: [name], format: "raw" });
    // Nothing is known of its size until it is there; the virtual size is what a raw one would have.
    data = (await context.supply([name], "data-file")) ?? missingDevice(name, "data-file", Number.MAX_SAFE_INTEGER);
  }
  const decoded = new ClusterCache(context.cacheBudget / 2, header.clusterSize);
  const l2: L2Context = {
    ...header,
    data,
    decode: (key, offset, length, signal) =>
      decoded.get(key, signal, () => decodeCluster(file, header, offset, length)),
  };
  return {
    format: "qcow2",
    virtualSize: state.virtualSize,
    sectorSize: undefined,
    identity: undefined,
    parent,
    info: {
      ...NO_INFO,
      subformat: `v${header.version}`,
      clusterSize: header.clusterSize,
      references,
      snapshots: snapshots.map(({ l1Offset: _, l1Entries: __, ...snapshot }) => snapshot),
      bitmaps: await readBitmapNames(tables, header, context),
      features: header.features,
      compression: header.compression,
    },
    locate: locator(tables, header, state, l2),
  };
}

/** An L1 table, and the size of the disk that it maps. */
interface State {
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly virtualSize: number;
}

function chooseState(header: Qcow2Header, snapshots: readonly Qcow2Snapshot[], wanted: string | undefined): State {
  if (wanted === undefined) return header;
  const found =
    snapshots.find((snapshot) => snapshot.id === wanted) ?? snapshots.find((snapshot) => snapshot.name === wanted);
  if (found !== undefined) return found;
  const names = snapshots.slice(0, 10).map((snapshot) => quoteName(snapshot.name));
  const has = names.length === 0 ? "the image has none" : `it has ${names.join(", ")}`;
  throw new ImageError("not-found", `no snapshot ${quoteName(wanted)}: ${has}`, { format: "qcow2" });
}

function checkL1(file: BlockDevice, header: Qcow2Header, state: State): void {
  const { offset } = QCowHeader.$fields.l1_table_offset;
  const place = { format: "qcow2", structure: "L1 table", offset: state === header ? offset : state.l1Offset };
  const perTable = (header.clusterSize / (header.extendedL2 ? 16 : 8)) * header.clusterSize;
  if (state.l1Offset % header.clusterSize !== 0 || state.l1Entries < Math.ceil(state.virtualSize / perTable)) {
    throw new ImageError("corrupt", `${state.l1Entries} entries at byte ${state.l1Offset} cannot be the table`, place);
  }
  if (state.l1Offset + state.l1Entries * 8 > file.size) {
    const reason = `${state.l1Entries} entries at byte ${state.l1Offset} pass the end of the file at ${file.size}`;
    throw new ImageError("past-end", reason, place);
  }
}

function reportHeader(file: BlockDevice, header: Qcow2Header, context: LayerContext): void {
  const at = (field: keyof typeof QCowHeader.$fields) => ({
    format: "qcow2",
    structure: QCowHeader.$name,
    field,
    offset: QCowHeader.$fields[field].offset,
  });
  const { refcountOffset, refcountLength } = header;
  if (header.dirty) context.report(finding(IMAGE_DIRTY, "the image is marked dirty", { format: "qcow2", offset: 72 }));
  if (header.markedCorrupt) {
    context.report(finding(IMAGE_MARKED_CORRUPT, "the image is marked corrupt", { format: "qcow2", offset: 72 }));
  }
  if (
    refcountOffset % header.clusterSize !== 0 ||
    refcountOffset + refcountLength > file.size ||
    refcountLength === 0
  ) {
    const message = `the refcount table of ${refcountLength} bytes at byte ${refcountOffset} cannot be right`;
    context.report(finding(IMAGE_REFCOUNTS, message, at("refcount_table_offset")));
  }
}

async function readParent(
  tables: BlockDevice,
  header: Qcow2Header,
  context: LayerContext,
): Promise<ParentReference | undefined> {
  const { backingNameOffset, backingNameLength } = header;
  if (backingNameOffset === 0 || backingNameLength === 0) return undefined;
  const place = { format: "qcow2", structure: QCowHeader.$name, field: "backing_file_offset", offset: 8 };
  const name = await readTable(tables, backingNameOffset, backingNameLength, place, context.signal);
  return { kind: "backing", names: [decodeText(name)], format: header.backingFormat, identities: [] };
}

async function decodeCluster(file: BlockDevice, header: Qcow2Header, offset: number, length: number) {
  const data = await file.read(offset, length);
  const exact = { exact: header.clusterSize };
  try {
    if (header.compression === "zlib") return decodeDeflate(data, exact);
    return decodeZstd(data, exact, { trailing: "ignore" });
  } catch (cause) {
    if (!isImageError(cause)) throw cause;
    throw new ImageError(cause.code, cause.reason, { format: "qcow2", structure: "compressed cluster", offset, cause });
  }
}

/** Walks L1 and L2. Each step answers for what one stretch of one table says. */
function locator(tables: BlockDevice, header: Qcow2Header, state: State, l2: L2Context): Layer["locate"] {
  const { clusterSize } = header;
  const entrySize = header.extendedL2 ? 16 : 8;
  const entries = clusterSize / entrySize;
  const tableSpan = entries * clusterSize;
  const taken: readonly (readonly [string, number, number])[] = [
    ["the header", 0, clusterSize],
    ["the L1 table", state.l1Offset, state.l1Entries * 8],
    ["the refcount table", header.refcountOffset, header.refcountLength],
  ];
  /** By offset of an L2 table, the L1 entry that has it: a table serves one entry. */
  const owners = new Map<number, number>();

  const checkL2 = (offset: number, index: number, at: number): void => {
    const place = { format: "qcow2", structure: "L1 table", offset: at };
    if (offset + clusterSize > tables.size) {
      throw new ImageError("past-end", `an L2 table at byte ${offset} passes the end of the file`, place);
    }
    for (const [name, start, length] of taken) {
      if (offset < start + length && start < offset + clusterSize) {
        throw new ImageError("corrupt", `an L2 table at byte ${offset} overlaps ${name}`, place);
      }
    }
    const owner = owners.get(offset) ?? index;
    if (owner !== index) {
      throw new ImageError("corrupt", `L1 entries ${owner} and ${index} share the L2 table at byte ${offset}`, place);
    }
    owners.set(offset, index);
  };

  return async (offset, length, signal) => {
    const first = Math.floor(offset / tableSpan);
    const last = Math.floor((offset + length - 1) / tableSpan);
    const count = Math.min(last - first + 1, ENTRIES_AT_ONCE);
    const l1At = state.l1Offset + first * 8;
    const place = { format: "qcow2", structure: "L1 table" };
    const view = viewOf(await readTable(tables, l1At, count * 8, place, signal));
    let absent = 0;
    while (absent < count && view.getUint32(absent * 8) === 0 && view.getUint32(absent * 8 + 4) === 0) absent += 1;
    if (absent > 0) {
      const run: LayerRun = { kind: "absent", length: Math.min(length, (first + absent) * tableSpan - offset) };
      return [run];
    }
    const tableAt = decodeL1Entry(view, 0, clusterSize, l1At);
    const here = Math.min(length, (first + 1) * tableSpan - offset);
    if (tableAt === undefined) return [{ kind: "absent", length: here }];
    checkL2(tableAt, first, l1At);
    const firstCluster = Math.floor(offset / clusterSize);
    const lastCluster = Math.min(Math.floor((offset + here - 1) / clusterSize), firstCluster + ENTRIES_AT_ONCE - 1);
    const sliceAt = tableAt + (firstCluster % entries) * entrySize;
    const sliceLength = (lastCluster - firstCluster + 1) * entrySize;
    const data = await readTable(tables, sliceAt, sliceLength, { format: "qcow2", structure: "L2 table" }, signal);
    const covered = Math.min(here, (lastCluster + 1) * clusterSize - offset);
    return decodeL2(l2, { data, offset: sliceAt, firstCluster }, offset, covered);
  };
}
