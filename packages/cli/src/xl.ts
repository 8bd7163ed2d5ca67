import { readFileSync } from "node:fs";
import { ImageError } from "@guestprobe/block";
import { parseXlGuest, type XlDisk, type XlGuest } from "@guestprobe/boot";
import { UsageError } from "./exit.js";

/** Reads a Xen guest configuration of the host. */
export function readXlGuest(path: string): XlGuest {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new ImageError("io", `${path} cannot be read`, { cause });
  }
  return parseXlGuest(bytes);
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
