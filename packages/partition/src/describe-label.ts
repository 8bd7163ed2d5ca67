import { type BlockDevice, FindingLog } from "@guestprobe/block";
import { readApple } from "./labels/apple.js";
import { decodeBsdLabel, readDisklabel64 } from "./labels/bsd.js";
import type { Label, LabelPlace, LabelReader } from "./labels/label.js";
import { readAcorn, readAmiga, readPlan9 } from "./labels/small.js";
import { readDvh, readSun, readSunPc } from "./labels/unix.js";
import { checkOverlaps } from "./layout-check.js";
import { noteTo } from "./note.js";
import { partitionDevice, type TableParts, volumesOf } from "./table-parts.js";
import type { Partition, TableRole } from "./types.js";

const readBsd: LabelReader = async ({ start, note }) => decodeBsdLabel("bsd", start, 0, false, note);

/** A label in an MBR partition of FreeBSD: its offsets count from where its slot "c" begins. */
export const readFreeBsd: LabelReader = async ({ start, note }) => decodeBsdLabel("bsd", start, 0, true, note);

/** The tables of other machines, in the order in which GRUB's names for them stand in its list. */
export const LABEL_READERS: readonly LabelReader[] = [
  readAcorn,
  readAmiga,
  readApple,
  readBsd,
  readDisklabel64,
  readDvh,
  readPlan9,
  readSun,
  readSunPc,
];

/** A smaller table as it goes into the answer; undefined where there is none. */
export async function describeLabel(
  read: LabelReader,
  device: BlockDevice,
  start: Uint8Array,
  role: TableRole,
  signal: AbortSignal | undefined,
): Promise<TableParts | undefined> {
  const log = new FindingLog();
  const note = noteTo(log);
  const place: LabelPlace = { device, start, note, signal };
  const label = await read(place);
  return label === undefined ? undefined : labelParts(label, device, role, log);
}

/**
 * Where what lies behind all disks is said to be, bytes: cylinders of 2^32 sectors, counted by 2^32, pass what a number can
 * hold, and places inside partitions are added up.
 */
const BEYOND = 2 ** 51;

/** The partitions of a label, as far as the device that it describes goes. */
export function labelParts(label: Label, device: BlockDevice, role: TableRole, log: FindingLog): TableParts {
  const note = noteTo(log);
  const partitions = label.entries.map(({ number, type, name, active, offset, ...claimed }): Partition => {
    const [start, length] = [Math.min(claimed.start, BEYOND), Math.min(claimed.length, BEYOND)];
    return {
      number,
      table: label.kind,
      parent: undefined,
      role,
      kind: "primary",
      start,
      length,
      type,
      active: active ?? false,
      name,
      uuid: undefined,
      attributes: [],
      offset,
      device: partitionDevice(device, number, start, length, note, { format: label.kind, offset }),
    };
  });
  // Slots that show the same bytes twice are usual in labels; Apple's map is a partition of itself.
  if (label.kind === "apple" || label.kind === "amiga") checkOverlaps(partitions, note);
  const { kind, offset, sectorSize, slots } = label;
  return {
    table: { kind, role, sectorSize, offset, uuid: undefined, slots, parent: undefined, problems: log.findings },
    partitions,
    used: [...label.used, ...volumesOf(partitions)],
  };
}
