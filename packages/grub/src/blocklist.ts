import { parseNumber } from "./number.js";

/**
 * Whether a file name that does not begin with "/" can be opened: GRUB takes it for a list of runs of sectors, "0+8,20+1".
 * GRUB 2.06, kern/fs.c, grub_fs_blocklist_open: each run must have a length and lie on the disk; on a partition it is still the
 * disk's size that counts.
 *
 * @param diskSectors Size of the whole disk, in sectors of 512 bytes.
 */
export function isBlocklist(name: string, diskSectors: number): boolean {
  let at = 0;
  // GRUB counts commas first and then reads as many runs, so that a last comma asks for one more.
  for (let runs = name.split(",").length; runs > 0; runs -= 1) {
    let offset = 0;
    if (name[at] !== "+") {
      const number = parseNumber(name, at);
      if (number === undefined || name[number.end] !== "+") return false;
      offset = number.value;
      at = number.end;
    }
    const length = parseNumber(name, at + 1);
    if (length === undefined || length.value === 0 || offset + length.value > diskSectors) return false;
    if (length.end < name.length && !/[,\s]/.test(name[length.end]!)) return false;
    at = length.end + 1;
  }
  return true;
}
