import type { AssembledVolumes, LvmGroup, MappedVolume } from "@guestprobe/volume";
import type { GrubDisk } from "./enumerate.js";
import { type GrubGroup, grubGroup } from "./mapped-lvm.js";
import { mdObstacle } from "./mapped-md.js";

/** A volume that GRUB does not have, and why. */
export interface HiddenDisk {
  readonly disk: GrubDisk;
  readonly reason: string;
}

/** Logical volumes and arrays in GRUB's eyes. */
export interface GrubMapped {
  /** In the order in which GRUB visits them. */
  readonly disks: readonly GrubDisk[];
  readonly hidden: readonly HiddenDisk[];
}

/**
 * What GRUB makes of the volumes that were assembled: what it lists, in which order, and what it does not read.
 *
 * GRUB 2.06, disk/diskfilter.c: a group is put in front of those that were found before; the volumes of a group in front
 * of one another as the text is read, and behind all others those with a cache, which so come first.
 */
export function grubMapped(assembled: AssembledVolumes): GrubMapped {
  const { volumes, groups, scanned } = assembled;
  const rank = (name: string | undefined): number => (name === undefined ? scanned.length : scanned.indexOf(name));
  const found: { readonly rank: number; readonly disks: readonly GrubDisk[] }[] = [];
  const hidden: HiddenDisk[] = [];
  for (const group of groups) {
    const own = volumes.filter((volume) => volume.group === group.vg.uuid);
    const { first, disks } = judgeGroup(group, own, hidden);
    found.push({ rank: rank(first), disks });
  }
  for (const array of volumes) {
    if (array.kind !== "md") continue;
    const reason = mdObstacle(array);
    if (reason === undefined) found.push({ rank: rank(array.members[0]), disks: [diskOf(array)] });
    else hidden.push({ disk: diskOf(array), reason });
  }
  return { disks: found.toSorted((a, b) => b.rank - a.rank).flatMap(({ disks }) => disks), hidden };
}

function judgeGroup(
  group: LvmGroup,
  volumes: readonly MappedVolume[],
  hidden: HiddenDisk[],
): { readonly first: string | undefined; readonly disks: readonly GrubDisk[] } {
  const seen: GrubGroup = grubGroup(group);
  const disks: { readonly place: number; readonly disk: GrubDisk }[] = [];
  for (const volume of volumes) {
    if (volume.kind !== "lvm2") continue;
    const obstacle = seen.obstacle ?? seen.volumes.get(volume.lv.name) ?? "GRUB's text of the group does not have it";
    if (typeof obstacle === "number") disks.push({ place: obstacle, disk: diskOf(volume) });
    else hidden.push({ disk: diskOf(volume), reason: obstacle });
  }
  return { first: seen.first, disks: disks.toSorted((a, b) => a.place - b.place).map(({ disk }) => disk) };
}

const diskOf = ({ name, aliases, device }: MappedVolume): GrubDisk => ({ name, aliases, device });
