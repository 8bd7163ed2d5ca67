import { ImageError } from "@guestprobe/block";
import { parseXlGuest, type XlDisk, type XlGuest } from "@guestprobe/boot";
import { UsageError } from "./exit.js";
import { readHostFile } from "./host-file.js";

/** As much as `parseXlGuest` takes. */
const MAX_CONFIG = 1 << 20;

/** Reads a Xen guest configuration of the host. */
export function readXlGuest(path: string): XlGuest {
  return parseXlGuest(readHostFile(path, MAX_CONFIG));
}

/** The guest's disks that hold something, drives for media left out. */
export function disksOf(guest: XlGuest, path: string): readonly XlDisk[] {
  const disks = guest.disks.filter(({ target, cdrom }) => target !== "" && !cdrom);
  if (disks.length === 0) throw new UsageError(`${path} names no disk`);
  for (const { format, target } of disks) {
    if (format !== "raw" && format !== "qcow2" && format !== "vhd") {
      throw new ImageError("unsupported", `${target} is of the format ${format}`, { format: "xl.cfg", field: "disk" });
    }
  }
  return disks;
}
