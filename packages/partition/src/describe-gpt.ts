import type { BlockDevice, FindingLog } from "@guestprobe/block";
import { GPT_OUTSIDE_USABLE } from "./findings.js";
import { attributeNames, decodeGptEntries } from "./gpt.js";
import type { GptTable } from "./gpt-table.js";
import { gptTypeName } from "./gpt-types.js";
import { mbr } from "./layout.js";
import { checkOverlaps } from "./layout-check.js";
import type { Note } from "./note.js";
import { partitionDevice, type TableParts, volumesOf } from "./table-parts.js";
import type { Partition, TableRole } from "./types.js";

/** What a GPT describes; the partitions of a stale one are left out. */
export function describeGpt(
  device: BlockDevice,
  gpt: GptTable,
  role: TableRole,
  log: FindingLog,
  note: Note,
): TableParts {
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
            parent: undefined,
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
      parent: undefined,
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
