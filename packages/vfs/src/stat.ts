import type { Stat } from "./types.js";

/**
 * The same with all fields its own. What readers answer decodes some of them when they are asked for, and so holds on to
 * memory of its volume, and loses them when it is spread: for who keeps many, or hands them to another thread.
 */
export function plainStat(stat: Stat): Stat {
  const { type, mode, uid, gid, size, nlink, ino, rdev, atimeNs, mtimeNs, ctimeNs, crtimeNs } = stat;
  return { type, mode, uid, gid, size, nlink, ino, rdev, atimeNs, mtimeNs, ctimeNs, crtimeNs };
}
