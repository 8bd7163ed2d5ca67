import { UsageError } from "./exit.js";

/** "a" to "z", "aa", ...: how Linux counts disks. */
function letters(index: number): string {
  const rest = Math.floor(index / 26);
  return (rest === 0 ? "" : letters(rest - 1)) + String.fromCharCode(0x61 + (index % 26));
}

/** What Xen calls virtual disks; GRUB shows those under "xen/". */
const XEN_NAME = /^(xvd|sd|hd)[a-z]+\d*$/;
/** GRUB's plain names for disks of a BIOS, and of its own test programs. */
const PLAIN_NAME = /^(hd|fd|cd)\d+$/;

/**
 * GRUB's names of the images of a command line: xen/xvda, xen/xvdb, ..., or what `--as NAME[,NAME...]` says.
 *
 * @throws UsageError for a name that is none, is given twice, or for more or fewer names than images.
 */
export function nameDisks(count: number, as: string | undefined): readonly string[] {
  if (as === undefined) return Array.from({ length: count }, (_, index) => `xen/xvd${letters(index)}`);
  const names = as.split(",").map((name) => {
    const bare = name.replace(/^xen\//, "");
    if (PLAIN_NAME.test(bare)) return bare;
    if (XEN_NAME.test(bare)) return `xen/${bare}`;
    throw new UsageError(`--as: "${name}" is no name of a disk`, ["--as xvda,xvdb", "--as xvda1,xvda2", "--as hd0"]);
  });
  if (names.length !== count) {
    throw new UsageError(`--as: names given: ${names.length}, images: ${count}`, [
      "one name for each IMAGE, in their order",
    ]);
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`--as: "${twice}" is given twice`);
  return names;
}
