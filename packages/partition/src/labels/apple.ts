import { decodeText, isImageError, readUpTo, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { TABLE_COUNT, TABLE_UNREADABLE } from "../findings.js";
import { APPLE_DDM_SIGNATURE, APPLE_PM_SIGNATURE, apple_ddm, apple_partition } from "../layout-labels.js";
import type { Label, LabelEntry, LabelPlace } from "./label.js";

/** Apple's tools make maps of 63 blocks; nothing makes more than these. */
const MAX_ENTRIES = 256;

/** An Apple partition map: block 0 says how large blocks are, and each block from 1 on describes one partition. */
export async function readApple({ device, start, note, signal }: LabelPlace): Promise<Label | undefined> {
  if (start.length < apple_ddm.$size) return undefined;
  const head = viewOf(start);
  if (apple_ddm.sbSig(head, 0) !== APPLE_DDM_SIGNATURE) return undefined;
  const blockSize = apple_ddm.sbBlkSize(head, 0);
  const where = { format: "apple", structure: "Partition", offset: blockSize };
  // Discs that are made for several block sizes have one map in each size: the header's counts.
  if (blockSize < 512 || blockSize > 4096 || start.length < blockSize + apple_partition.$size) return undefined;
  if (apple_partition.pmSig(head, blockSize) !== APPLE_PM_SIGNATURE) return undefined;
  const stated = apple_partition.pmMapBlkCnt(head, blockSize);
  const wanted = Math.min(stated, MAX_ENTRIES);
  if (wanted < stated) {
    note(TABLE_COUNT, `the map counts ${stated} entries; ${wanted} are looked at`, { ...where, field: "pmMapBlkCnt" });
  }
  const end = blockSize * (wanted + 1);
  let data = start;
  if (end > start.length) {
    try {
      data = await readUpTo(device, 0, end, signal);
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      note(TABLE_UNREADABLE, error.reason, where);
    }
  }
  const view = viewOf(data);
  const entries: LabelEntry[] = [];
  for (let index = 0; index < wanted; index += 1) {
    const at = blockSize * (index + 1);
    if (at + apple_partition.$size > data.length || apple_partition.pmSig(view, at) !== APPLE_PM_SIGNATURE) {
      note(TABLE_COUNT, `entry ${index + 1} of ${wanted} is not there`, { ...where, field: "pmSig", offset: at });
      break;
    }
    const type = decodeText(untilNul(apple_partition.pmParType(view, at)));
    const name = decodeText(untilNul(apple_partition.pmPartName(view, at)));
    entries.push({
      number: index + 1,
      start: apple_partition.pmPyPartStart(view, at) * blockSize,
      length: apple_partition.pmPartBlkCnt(view, at) * blockSize,
      type: { id: type, name: undefined },
      name: name === "" ? undefined : name,
      offset: at,
    });
  }
  return {
    kind: "apple",
    offset: blockSize,
    sectorSize: blockSize,
    slots: wanted,
    entries,
    used: [{ offset: 0, length: blockSize }],
  };
}
