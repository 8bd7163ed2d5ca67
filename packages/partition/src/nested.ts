import { type BlockDevice, type Finding, FindingLog, isImageError, readUpTo } from "@guestprobe/block";
import { describeLabel, LABEL_READERS, labelParts, readFreeBsd } from "./describe-label.js";
import { TABLE_NESTED_DEPTH, TABLE_NESTED_OUTSIDE, TABLE_UNREADABLE } from "./findings.js";
import { decodeBsdLabel, readDisklabel64 } from "./labels/bsd.js";
import type { Label, LabelReader } from "./labels/label.js";
import { readPlan9 } from "./labels/small.js";
import { readSunPc } from "./labels/unix.js";
import { MBR_TYPE_GPT } from "./layout.js";
import { decodeMbr, hasValidStatus, isExtendedType } from "./mbr.js";
import { mbrTypeName } from "./mbr-types.js";
import { noteTo } from "./note.js";
import type { TableParts } from "./table-parts.js";
import type { Partition, PartitionOptions, Partitions, PartitionTable } from "./types.js";

/** Where a table inside a partition lies: as much of its start as tables reach. */
const START_BYTES = 8192;
const SECTOR = 512;
/** Steps from the disk inwards, and partitions of all tables: a hostile disk could nest without end. */
const MAX_DEPTH = 4;
const MAX_PARTITIONS = 1024;

/** What the MBR types say that lies inside. */
const ANNOUNCED: ReadonlyMap<string, readonly LabelReader[]> = new Map([
  ["0x39", [readPlan9]],
  ["0x6c", [readDisklabel64]],
  ["0xa5", [readFreeBsd, readDisklabel64]],
  ["0xbf", [readSunPc]],
]);
const ABSOLUTE_BSD: ReadonlyMap<string, "openbsd" | "netbsd"> = new Map([
  ["0xa6", "openbsd"],
  ["0xa9", "netbsd"],
]);
const TYPE_MINIX = "0x81";

interface Found {
  readonly tables: PartitionTable[];
  readonly partitions: Partition[];
}

/** Reads a whole device: handed in, for a table in a partition can hold any other. */
type ReadAll = (device: BlockDevice, options: PartitionOptions) => Promise<Partitions>;

/** The tables inside of partitions, each after what it lies in. */
export async function readNested(
  disk: BlockDevice,
  outer: readonly Partition[],
  options: PartitionOptions,
  readAll: ReadAll,
): Promise<Found> {
  const found: Found = { tables: [], partitions: [] };
  const log = new FindingLog();
  const add = (parts: TableParts | undefined, parent: Partition | undefined, base: number): Partition[] => {
    if (parts === undefined) return [];
    const room = Math.max(0, MAX_PARTITIONS - found.partitions.length);
    const problems = parts.table.problems.map((problem) => shifted(problem, base));
    for (const problem of problems) options.report?.(problem);
    found.tables.push({ ...parts.table, parent, offset: parts.table.offset + base, problems });
    const inner = parts.partitions.slice(0, room).map((part) => placed(part, parent, base));
    found.partitions.push(...inner);
    return inner;
  };
  const look = async (part: Partition, depth: number): Promise<void> => {
    // One that begins where its parent does, or the disk, would be read as that again.
    if (part.device === undefined || part.kind === "extended" || part.start === (part.parent?.start ?? 0)) return;
    const readers = part.table === "mbr" ? ANNOUNCED.get(part.type.id) : undefined;
    const absolute = part.table === "mbr" ? ABSOLUTE_BSD.get(part.type.id) : undefined;
    const isMinix = part.table === "mbr" && part.type.id === TYPE_MINIX;
    const isAnnounced = readers !== undefined || absolute !== undefined || isMinix;
    if (!isAnnounced && options.nested !== "any") return;
    const start = await readStart(part, options, log);
    if (start === undefined) return;
    const go = async (inner: readonly Partition[]): Promise<void> => {
      for (const child of inner) await look(child, depth + 1);
    };
    if (depth >= MAX_DEPTH) {
      if (hasTable(start, part.device)) {
        noteTo(log)(TABLE_NESTED_DEPTH, `a table in the partition at byte ${part.start} is not followed`, {
          offset: part.start,
        });
      }
      return;
    }
    if (absolute !== undefined) {
      const label = new FindingLog();
      const bsd = decodeBsdLabel(absolute, start, part.start, false, noteTo(label));
      // Inside of its partition, it counts from the start of the disk, and describes all of it.
      if (bsd !== undefined) add(labelParts(bsd, disk, "hybrid", label), undefined, 0);
      return;
    }
    if (isMinix) {
      await go(add(minixParts(start, part), part, part.start));
      return;
    }
    for (const read of readers ?? LABEL_READERS) {
      const parts = await describeLabel(read, part.device, start, "main", options.signal);
      await go(add(checkInside(parts, part), part, part.start));
    }
    if (readers === undefined && hasMbr(start, part.device)) {
      const { tables, partitions } = await readAll(part.device, {
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        nested: "announced",
      });
      // Its own nested tables are looked for from here, so that depth and number are bounded in one place.
      for (const table of tables.filter(({ parent }) => parent === undefined)) {
        const own = partitions.filter((each) => each.parent === undefined && each.table === table.kind);
        await go(add(checkInside({ table, partitions: own, used: [] }, part), part, part.start));
      }
    }
  };
  for (const part of outer) await look(part, 1);
  for (const problem of log.findings) options.report?.(problem);
  return found;
}

const shifted = (problem: Finding, base: number): Finding =>
  problem.offset === undefined ? problem : { ...problem, offset: problem.offset + base };

const placed = (part: Partition, parent: Partition | undefined, base: number): Partition => ({
  ...part,
  parent,
  start: part.start + base,
  offset: part.offset + base,
});

async function readStart(
  part: Partition,
  { signal }: PartitionOptions,
  log: FindingLog,
): Promise<Uint8Array | undefined> {
  try {
    return await readUpTo(part.device!, 0, START_BYTES, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    noteTo(log)(TABLE_UNREADABLE, error.reason, { format: part.table, offset: part.start });
    return undefined;
  }
}

/** Reports partitions that reach past the one that they lie in. */
function checkInside(parts: TableParts | undefined, outer: Partition): TableParts | undefined {
  if (parts === undefined) return undefined;
  const log = new FindingLog();
  for (const problem of parts.table.problems) {
    // Past the end of the outer partition is not past the end of the disk.
    if (problem.code !== "part-past-end" && problem.code !== "part-off-disk") log.report(problem);
  }
  const note = noteTo(log);
  for (const part of parts.partitions) {
    if (part.start + part.length <= outer.length) continue;
    note(
      TABLE_NESTED_OUTSIDE,
      `partition ${part.number} passes the one it lies in by ${part.start + part.length - outer.length} bytes`,
      {
        format: part.table,
        offset: part.offset,
      },
    );
  }
  return { ...parts, table: { ...parts.table, problems: log.findings } };
}

/** An MBR in the first sector of a partition, with entries that can be meant: boot code of file systems looks like one. */
function hasMbr(start: Uint8Array, device: BlockDevice): boolean {
  const sector = decodeMbr(start, 0);
  if (sector === undefined || !hasValidStatus(sector)) return false;
  const used = sector.entries.filter(({ type, sectors }) => type !== 0 || sectors !== 0);
  const sectors = device.size / SECTOR;
  return (
    used.length > 0 &&
    used.every(
      (entry) =>
        entry.type !== 0 &&
        entry.sectors > 0 &&
        entry.firstLba > 0 &&
        (entry.type === MBR_TYPE_GPT || isExtendedType(entry.type) || entry.firstLba + entry.sectors <= sectors),
    )
  );
}

/** Whether there is something that would be followed. */
function hasTable(start: Uint8Array, device: BlockDevice): boolean {
  return hasMbr(start, device) || decodeBsdLabel("bsd", start, 0, true, () => {}) !== undefined;
}

/** The table of MINIX in one of its partitions: an MBR whose entries count from the start of the disk. */
function minixParts(start: Uint8Array, outer: Partition): TableParts | undefined {
  const sector = decodeMbr(start, 0);
  if (sector === undefined || outer.device === undefined) return undefined;
  const log = new FindingLog();
  const inside = sector.entries.filter(({ type, sectors }) => type !== 0 && sectors !== 0);
  const label: Label = {
    kind: "mbr",
    offset: 0,
    sectorSize: SECTOR,
    slots: 4,
    used: [],
    entries: inside
      .filter(({ firstLba }) => firstLba * SECTOR >= outer.start)
      .map(({ slot, type, firstLba, sectors, status, offset }) => ({
        number: slot,
        start: firstLba * SECTOR - outer.start,
        length: sectors * SECTOR,
        type: { id: `0x${type.toString(16).padStart(2, "0")}`, name: mbrTypeName(type) },
        active: status === 0x80,
        offset,
      })),
  };
  if (label.entries.length === 0) return undefined;
  return checkInside(labelParts(label, outer.device, "main", log), outer);
}
