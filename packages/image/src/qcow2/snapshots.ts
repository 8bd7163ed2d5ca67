import { alignUp, type BlockDevice, decodeText, finding, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { IMAGE_BITMAPS, IMAGE_SNAPSHOTS } from "../findings.js";
import type { LayerContext } from "../layer.js";
import { quoteName } from "../name.js";
import { failer, readTable } from "../tables.js";
import type { Snapshot } from "../types.js";
import type { Qcow2Header } from "./header.js";
import { QCowBitmapEntry, QCowSnapshotExtraData, QCowSnapshotHeader } from "./layout.js";

/** An internal snapshot and the L1 table that it keeps. */
export interface Qcow2Snapshot extends Snapshot {
  readonly l1Offset: number;
  readonly l1Entries: number;
}

const MAX_SNAPSHOTS = 65536; // QEMU's limit
const MAX_EXTRA = 1024; // QEMU's limit
const MAX_BITMAPS = 65535; // QEMU's limit

/** The snapshots in the order of the table; damage is reported, and ends the list. */
export async function readSnapshots(
  tables: BlockDevice,
  header: Qcow2Header,
  context: LayerContext,
): Promise<readonly Qcow2Snapshot[]> {
  const snapshots: Qcow2Snapshot[] = [];
  try {
    if (header.snapshotCount > MAX_SNAPSHOTS) {
      throw failer("qcow2", QCowSnapshotHeader, header.snapshotsOffset).unsupported(
        "l1_table_offset",
        `a table of ${header.snapshotCount} snapshots`,
      );
    }
    let at = header.snapshotsOffset;
    for (let index = 0; index < header.snapshotCount; index += 1) {
      const { snapshot, end } = await readSnapshot(tables, at, header, context.signal);
      snapshots.push(snapshot);
      at = alignUp(end, 8);
    }
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "io") throw error;
    context.report(finding(IMAGE_SNAPSHOTS, error.reason, { format: "qcow2", offset: error.offset }));
  }
  return snapshots;
}

async function readSnapshot(
  tables: BlockDevice,
  at: number,
  header: Qcow2Header,
  signal: AbortSignal | undefined,
): Promise<{ snapshot: Qcow2Snapshot; end: number }> {
  const fail = failer("qcow2", QCowSnapshotHeader, at);
  const fixed = viewOf(await readTable(tables, at, QCowSnapshotHeader.$size, fail.place(), signal));
  const head = fail.guard(() => QCowSnapshotHeader.$dump(fixed, 0));
  if (head.extra_data_size > MAX_EXTRA) {
    throw fail.corrupt("extra_data_size", `is ${head.extra_data_size}, at most ${MAX_EXTRA}`);
  }
  const start = at + QCowSnapshotHeader.$size;
  const length = head.extra_data_size + head.id_str_size + head.name_size;
  const rest = await readTable(tables, start, length, fail.place(), signal);
  const failExtra = failer("qcow2", QCowSnapshotExtraData, start);
  const extra =
    head.extra_data_size >= QCowSnapshotExtraData.$size
      ? failExtra.guard(() => QCowSnapshotExtraData.$dump(viewOf(rest), 0))
      : undefined;
  const text = rest.subarray(head.extra_data_size);
  return {
    end: start + length,
    snapshot: {
      id: decodeText(text.subarray(0, head.id_str_size)),
      name: decodeText(text.subarray(head.id_str_size)),
      timeMs: head.date_sec * 1000 + Math.floor(head.date_nsec / 1e6),
      virtualSize: extra?.disk_size ?? header.virtualSize,
      vmStateSize: extra?.vm_state_size_large ?? head.vm_state_size,
      l1Offset: head.l1_table_offset,
      l1Entries: head.l1_size,
    },
  };
}

/** The names of the dirty bitmaps, reported as ignored; damage in their directory is a remark, no more. */
export async function readBitmapNames(
  tables: BlockDevice,
  header: Qcow2Header,
  context: LayerContext,
): Promise<readonly string[]> {
  const names: string[] = [];
  const directory = header.bitmaps;
  if (directory === undefined) return names;
  let at = directory.offset;
  try {
    for (let index = 0; index < Math.min(directory.count, MAX_BITMAPS); index += 1) {
      const fail = failer("qcow2", QCowBitmapEntry, at);
      const head = viewOf(await readTable(tables, at, QCowBitmapEntry.$size, fail.place(), context.signal));
      const start = at + QCowBitmapEntry.$size + QCowBitmapEntry.extra_data_size(head, 0);
      const length = QCowBitmapEntry.name_size(head, 0);
      names.push(decodeText(await readTable(tables, start, length, fail.place("name_size"), context.signal)));
      at = alignUp(start + length, 8);
    }
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted" || error.code === "io") throw error;
  }
  const list = names.slice(0, 10).map(quoteName).join(", ");
  const message = `${directory.count} dirty bitmaps are ignored${list === "" ? "" : `: ${list}`}`;
  context.report(finding(IMAGE_BITMAPS, message, { format: "qcow2", offset: directory.offset }));
  return names;
}
