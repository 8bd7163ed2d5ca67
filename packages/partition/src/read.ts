import {
  type BlockDevice,
  type ByteRange,
  FindingLog,
  ImageError,
  isPowerOfTwo,
  readUpTo,
  sliceDevice,
} from "@guestprobe/block";
import { describeGpt } from "./describe-gpt.js";
import { describeLabel, LABEL_READERS } from "./describe-label.js";
import { describeMbr } from "./describe-mbr.js";
import { GPT_NO_PROTECTIVE_MBR, GPT_STALE } from "./findings.js";
import { type GptTable, readGpt, SECTOR_SIZES } from "./gpt-table.js";
import { MBR_TYPE_GPT } from "./layout.js";
import { findGaps } from "./layout-check.js";
import { decodeMbr, isPartitionTable } from "./mbr.js";
import { readNested } from "./nested.js";
import { type Note, noteTo } from "./note.js";
import type { TableParts } from "./table-parts.js";
import type { Partition, PartitionOptions, Partitions, PartitionTable, TableRole } from "./types.js";

/** Sector 1 of the largest sector size ends here. */
const START_BYTES = 2 * Math.max(...SECTOR_SIZES);

/**
 * Reads the partition tables of a disk: what is really there, whether or not Linux or GRUB would accept it. Damage is a
 * finding of the table that has it; a disk without a table answers with empty lists.
 *
 * Costs one read at the start of the disk, one at its end where there is no MBR with partitions, and one for each copy
 * of the GPT entries, each extended boot record, each partition that may hold a table of its own, and what an Apple, Amiga
 * or Acorn table says.
 *
 * @throws ImageError `io` when the first sectors cannot be read, `aborted`, `invalid-argument` for a sector size that is
 * not a power of two from 512 to 4096.
 */
export async function readPartitions(device: BlockDevice, options: PartitionOptions = {}): Promise<Partitions> {
  const { report, signal } = options;
  const sectorSize = options.sectorSize ?? device.sectorSize ?? 512;
  if (!isPowerOfTwo(sectorSize) || sectorSize < 512 || sectorSize > 4096) {
    throw new ImageError("invalid-argument", `a sector of ${sectorSize} bytes`);
  }
  const start = await readUpTo(device, 0, START_BYTES, signal);
  const sector = decodeMbr(start, 0);
  const hasMbr = sector !== undefined && isPartitionTable(start, sector, Math.floor(device.size / sectorSize));
  const entries = hasMbr ? sector.entries.filter((entry) => entry.type !== 0 || entry.sectors !== 0) : [];
  const isProtective = entries.some((entry) => entry.type === MBR_TYPE_GPT);

  const gptLog = new FindingLog();
  const gptNote = noteTo(gptLog);
  const isMbrDisk = entries.length > 0 && !isProtective;
  const gpt = isMbrDisk
    ? await readStaleGpt(device, start, sectorSize, gptNote, signal)
    : await readGpt(device, start, sectorSize, gptNote, signal);

  const tables: PartitionTable[] = [];
  const partitions: Partition[] = [];
  const used: ByteRange[] = [];
  const add = (found: TableParts | undefined): void => {
    if (found === undefined) return;
    for (const problem of found.table.problems) report?.(problem);
    tables.push(found.table);
    partitions.push(...found.partitions);
    used.push(...found.used);
  };
  const ofMbr = async (role: TableRole): Promise<TableParts | undefined> =>
    hasMbr
      ? describeMbr(device, sector, role, gpt?.copy.header.sectorSize ?? sectorSize, gpt === undefined, signal)
      : undefined;

  if (isMbrDisk) {
    add(await ofMbr("main"));
    if (gpt !== undefined) add(describeGpt(device, gpt, "stale", gptLog, gptNote));
  } else if (gpt !== undefined) {
    if (!isProtective) {
      gptNote(GPT_NO_PROTECTIVE_MBR, "no MBR entry of type 0xEE", { format: "mbr", structure: "mbr", offset: 0 });
    }
    add(describeGpt(device, gpt, "main", gptLog, gptNote));
    if (isProtective) add(await ofMbr(entries.every((entry) => entry.type === MBR_TYPE_GPT) ? "protective" : "hybrid"));
  } else {
    for (const problem of gptLog.findings) report?.(problem);
    add(await ofMbr(!isProtective ? "main" : entries.length === 1 ? "protective" : "hybrid"));
  }
  for (const read of LABEL_READERS) {
    add(await describeLabel(read, device, start, tables.length === 0 ? "main" : "hybrid", signal));
  }
  const inner = await readNested(device, partitions, options, readPartitions);
  return {
    tables: [...tables, ...inner.tables],
    partitions: [...partitions, ...inner.partitions],
    gaps: tables.length === 0 ? [] : findGaps(used, device.size),
  };
}

/** On a disk that an MBR describes, only the first copy of a GPT is looked for: nothing leads to a backup. */
async function readStaleGpt(
  device: BlockDevice,
  start: Uint8Array,
  sectorSize: number,
  note: Note,
  signal: AbortSignal | undefined,
): Promise<GptTable | undefined> {
  const quiet: Note = () => {};
  const gpt = await readGpt(
    sliceDevice(device, 0, Math.min(device.size, START_BYTES)),
    start,
    sectorSize,
    quiet,
    signal,
  );
  if (gpt === undefined) return undefined;
  note(GPT_STALE, "the MBR holds partitions and no entry of type 0xEE", {
    format: "gpt",
    offset: gpt.copy.header.offset,
  });
  return gpt;
}
