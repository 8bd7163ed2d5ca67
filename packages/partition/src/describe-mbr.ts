import { type BlockDevice, FindingLog } from "@guestprobe/block";
import { GPT_HYBRID, GPT_MISSING, MBR_STATUS, MBR_TWO_EXTENDED, PART_NO_LENGTH } from "./findings.js";
import { MBR_TYPE_GPT, mbr } from "./layout.js";
import { checkOverlaps } from "./layout-check.js";
import { hasValidStatus, isActive, isExtendedType, type MbrEntry, type MbrSector, readExtended } from "./mbr.js";
import { mbrTypeName } from "./mbr-types.js";
import { noteTo } from "./note.js";
import { partitionDevice, type TableParts, volumesOf } from "./table-parts.js";
import type { Partition, TableRole } from "./types.js";

/** Reads what an MBR describes: its partitions, and those in its extended ones. */
export async function describeMbr(
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
      parent: undefined,
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
    table: {
      kind: "mbr",
      role,
      sectorSize,
      offset: 0,
      uuid: signature,
      slots: 4,
      parent: undefined,
      problems: log.findings,
    },
    partitions,
    used: [
      { offset: 0, length: mbr.$size },
      ...records.map((lba) => ({ offset: lba * sectorSize, length: sectorSize })),
      ...volumesOf(partitions),
    ],
  };
}
