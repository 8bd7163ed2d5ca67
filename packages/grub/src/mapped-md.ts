import type { MdArray } from "@guestprobe/volume";

/** Layouts of RAID 5 and 6 that GRUB knows: left and right, symmetric or not. Others it reads as if they were one of these. */
const MAX_PARITY_LAYOUT = 3;
/** Of RAID 6, GRUB takes the data of a row in another order than Linux. */
const LEFT_ASYMMETRIC = 0;
/** Copies that stay within sets of members: GRUB takes the bit for offset copies. */
const RAID10_FAR_SETS = 0x2_0000;

/** Why GRUB does not read an array; undefined when it does. GRUB 2.06, disk/mdraid1x_linux.c, disk/diskfilter.c. */
export function mdObstacle({ level, layout, raidDisks, members }: MdArray): string | undefined {
  const have = members.length;
  const lacks = (need: number): string | undefined =>
    have < need ? `GRUB wants ${need} of its ${raidDisks} members, ${have} are there` : undefined;
  switch (level) {
    case 0:
      return lacks(raidDisks);
    case 1:
      return lacks(1);
    case 4:
      return lacks(raidDisks - 1);
    case 5:
    case 6:
      if (layout > MAX_PARITY_LAYOUT || (level === 6 && layout === LEFT_ASYMMETRIC))
        return `GRUB misreads layout ${layout} of RAID ${level}`;
      return lacks(raidDisks - (level - 4));
    case 10: {
      if (layout >= RAID10_FAR_SETS) return "GRUB misreads copies that stay within sets of members";
      const near = layout & 0xff;
      const copies = near === 1 ? (layout >> 8) & 0xff : near;
      return lacks(raidDisks - copies + 1);
    }
    default:
      return `GRUB does not read arrays of level ${level === -1 ? "linear" : level}`;
  }
}
