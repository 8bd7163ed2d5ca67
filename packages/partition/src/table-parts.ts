import { type BlockDevice, type ByteRange, type Finding, sliceDevice } from "@guestprobe/block";
import { PART_OFF_DISK, PART_PAST_END } from "./findings.js";
import type { Note } from "./note.js";
import type { Partition, PartitionTable } from "./types.js";

/** One table as it goes into the answer. */
export interface TableParts {
  readonly table: PartitionTable;
  readonly partitions: readonly Partition[];
  /** Bytes taken up by partitions and by the table itself. */
  readonly used: readonly ByteRange[];
}

/** The bytes that partitions take up; an extended one is taken up by those inside it. */
export const volumesOf = (partitions: readonly Partition[]): ByteRange[] =>
  partitions.filter((part) => part.kind !== "extended").map((part) => ({ offset: part.start, length: part.length }));

/** The bytes of a partition, cut at the end of the disk; undefined when none of them is there. */
export function partitionDevice(
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
