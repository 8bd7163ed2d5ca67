import {
  type BlockDevice,
  type ByteRange,
  type Finding,
  FindingLog,
  ImageError,
  isPowerOfTwo,
  readUpTo,
  sliceDevice,
} from "@guestprobe/block";
import {
  GPT_HYBRID,
  GPT_MISSING,
  GPT_NO_PROTECTIVE_MBR,
  GPT_OUTSIDE_USABLE,
  GPT_STALE,
  MBR_STATUS,
  MBR_TWO_EXTENDED,
  PART_NO_LENGTH,
  PART_OFF_DISK,
  PART_PAST_END,
} from "./findings.js";
import { attributeNames, decodeGptEntries } from "./gpt.js";
import { type GptTable, readGpt, SECTOR_SIZES } from "./gpt-table.js";
import { gptTypeName } from "./gpt-types.js";
import { MBR_TYPE_GPT, mbr } from "./layout.js";
import { checkOverlaps, findGaps } from "./layout-check.js";
import {
  decodeMbr,
  hasValidStatus,
  isActive,
  isExtendedType,
  isPartitionTable,
  type MbrEntry,
  type MbrSector,
  readExtended,
} from "./mbr.js";
import { mbrTypeName } from "./mbr-types.js";
import { type Note, noteTo } from "./note.js";
import type { Partition, PartitionOptions, Partitions, PartitionTable, TableRole } from "./types.js";

/** Sector 1 of the largest sector size ends here. */
const START_BYTES = 2 * Math.max(...SECTOR_SIZES);

/**
 * Reads the partition tables of a disk: what is really there, whether or not Linux or GRUB would accept it. Damage is a
 * finding of the table that has it; a disk without a table answers with empty lists.
 *
 * Costs one read at the start of the disk, one at its end where there is no MBR with partitions, and one for each copy
 * of the GPT entries and each extended boot record.
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
      ? mbrTable(device, sector, role, gpt?.copy.header.sectorSize ?? sectorSize, gpt === undefined, signal)
      : undefined;

  if (isMbrDisk) {
    add(await ofMbr("main"));
    if (gpt !== undefined) add(gptTable(device, gpt, "stale", gptLog, gptNote));
  } else if (gpt !== undefined) {
    if (!isProtective) {
      gptNote(GPT_NO_PROTECTIVE_MBR, "no MBR entry of type 0xEE", { format: "mbr", structure: "mbr", offset: 0 });
    }
    add(gptTable(device, gpt, "main", gptLog, gptNote));
    if (isProtective) add(await ofMbr(entries.every((entry) => entry.type === MBR_TYPE_GPT) ? "protective" : "hybrid"));
  } else {
    for (const problem of gptLog.findings) report?.(problem);
    add(await ofMbr(!isProtective ? "main" : entries.length === 1 ? "protective" : "hybrid"));
  }
  return { tables, partitions, gaps: tables.length === 0 ? [] : findGaps(used, device.size) };
}

interface TableParts {
  readonly table: PartitionTable;
  readonly partitions: readonly Partition[];
  /** Bytes taken up by partitions and by the table itself. */
  readonly used: readonly ByteRange[];
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

async function mbrTable(
  device: BlockDevice,
  sector: MbrSector,
  role: TableRole,
  sectorSize: number,
  isGptMissing: boolean,
  signal: AbortSignal | undefined,
): Promise<TableParts> {
  const log = new FindingLog();
  const note = noteTo(log);
  const signature = sector.diskSignature === 0 ? undefined : sector.diskSignature.toString(16).padStart(8, "0");
  const partitions: Partition[] = [];
  const records: number[] = [];
  const add = (kind: Partition["kind"], number: number, entry: MbrEntry, startLba: number): void => {
    const start = startLba * sectorSize;
    const length = entry.sectors * sectorSize;
    partitions.push({
      number,
      table: "mbr",
      role,
      kind,
      start,
      length,
      type: { id: `0x${entry.type.toString(16).padStart(2, "0")}`, name: mbrTypeName(entry.type) },
      active: isActive(entry),
      name: undefined,
      uuid: signature === undefined ? undefined : `${signature}-${number.toString(16).padStart(2, "0")}`,
      attributes: [],
      offset: entry.offset,
      device:
        kind === "extended"
          ? undefined
          : partitionDevice(device, number, start, length, note, {
              format: "mbr",
              structure: "mbr_entry",
              offset: entry.offset,
            }),
    });
  };

  if (!hasValidStatus(sector)) {
    const bad = sector.entries.find((entry) => entry.status !== 0 && entry.status !== 0x80)!;
    note(MBR_STATUS, `entry ${bad.slot} has the status 0x${bad.status.toString(16)}`, {
      format: "mbr",
      structure: "mbr_entry",
      field: "status",
      offset: bad.offset,
    });
  }
  if (role === "hybrid" && !isGptMissing) {
    note(GPT_HYBRID, "the MBR has entries besides the protective one", { format: "mbr", structure: "mbr", offset: 0 });
  }
  if (isGptMissing && role !== "main") {
    note(GPT_MISSING, "the MBR has an entry of type 0xEE, and there is no GPT", {
      format: "mbr",
      structure: "mbr",
      offset: 0,
    });
  }
  const present = sector.entries.filter(
    (entry) => entry.type !== MBR_TYPE_GPT && (entry.sectors !== 0 || entry.type !== 0),
  );
  for (const entry of present) {
    if (entry.sectors === 0) {
      note(PART_NO_LENGTH, `entry ${entry.slot} has the type 0x${entry.type.toString(16)} and no sectors`, {
        format: "mbr",
        structure: "mbr_entry",
        field: "sectors",
        offset: entry.offset,
      });
      continue;
    }
    add(isExtendedType(entry.type) ? "extended" : "primary", entry.slot, entry, entry.firstLba);
  }
  let number = 5;
  const extended = present.filter((entry) => entry.sectors !== 0 && isExtendedType(entry.type));
  for (const [index, entry] of extended.entries()) {
    if (index > 0) {
      note(MBR_TWO_EXTENDED, `entry ${entry.slot} is a further extended partition`, {
        format: "mbr",
        structure: "mbr_entry",
        field: "type",
        offset: entry.offset,
      });
    }
    const chain = await readExtended(device, entry, sectorSize, note, signal);
    records.push(...chain.records);
    for (const logical of chain.logicals) {
      add("logical", number, logical.entry, logical.startLba);
      number += 1;
    }
  }
  checkOverlaps(partitions, note);
  return {
    table: { kind: "mbr", role, sectorSize, offset: 0, uuid: signature, slots: 4, problems: log.findings },
    partitions,
    used: [
      { offset: 0, length: mbr.$size },
      ...records.map((lba) => ({ offset: lba * sectorSize, length: sectorSize })),
      ...volumesOf(partitions),
    ],
  };
}

function gptTable(device: BlockDevice, gpt: GptTable, role: TableRole, log: FindingLog, note: Note): TableParts {
  const { header } = gpt.copy;
  const { sectorSize } = header;
  const partitions =
    role === "stale"
      ? []
      : decodeGptEntries(gpt.copy, note).map((entry): Partition => {
          const start = entry.firstLba * sectorSize;
          const length = (entry.lastLba - entry.firstLba + 1) * sectorSize;
          const where = { format: "gpt", structure: "gpt_entry", offset: entry.offset };
          if (entry.firstLba < header.firstUsableLba || entry.lastLba > header.lastUsableLba) {
            note(
              GPT_OUTSIDE_USABLE,
              `partition ${entry.number} takes sectors ${entry.firstLba} to ${entry.lastLba}, usable are ` +
                `${header.firstUsableLba} to ${header.lastUsableLba}`,
              where,
            );
          }
          const attributes = attributeNames(entry.attributes);
          return {
            number: entry.number,
            table: "gpt",
            role,
            kind: "primary",
            start,
            length,
            type: { id: entry.typeGuid, name: gptTypeName(entry.typeGuid) },
            active: attributes.includes("legacy-boot"),
            name: entry.name,
            uuid: entry.guid,
            attributes,
            offset: entry.offset,
            device: partitionDevice(device, entry.number, start, length, note, where),
          };
        });
  checkOverlaps(partitions, note);
  return {
    table: {
      kind: "gpt",
      role,
      sectorSize,
      offset: header.offset,
      uuid: header.diskGuid,
      slots: header.entryCount,
      problems: log.findings,
    },
    partitions,
    used: [
      { offset: 0, length: mbr.$size },
      ...gpt.copies.flatMap((copy) => [
        { offset: copy.header.offset, length: copy.header.sectorSize },
        { offset: copy.header.entryLba * copy.header.sectorSize, length: copy.entries.length },
      ]),
      ...volumesOf(partitions),
    ],
  };
}

const volumesOf = (partitions: readonly Partition[]): ByteRange[] =>
  partitions.filter((part) => part.kind !== "extended").map((part) => ({ offset: part.start, length: part.length }));

/** The bytes of a partition, cut at the end of the disk; undefined when none of them is there. */
function partitionDevice(
  device: BlockDevice,
  number: number,
  start: number,
  length: number,
  note: Note,
  where: Pick<Finding, "format" | "structure" | "offset">,
): BlockDevice | undefined {
  if (start >= device.size) {
    note(PART_OFF_DISK, `partition ${number} begins at byte ${start} of a disk of ${device.size}`, where);
    return undefined;
  }
  if (start + length > device.size) {
    const missing = start + length - device.size;
    note(PART_PAST_END, `partition ${number} passes the end of the disk by ${missing} bytes`, where);
  }
  return sliceDevice(device, start, Math.min(length, device.size - start));
}
