import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/fat/layout";
import { AnatomyBuilder, type Dissect } from "../lib/spots.js";

/** Both forms of the boot sector and its copy, FSInfo, the first words of each FAT, and directories by their first clusters. */
export const dissectFat: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most);
  const view = viewOf(image);
  const { fat_boot_sector: bs, fat32_boot_sector: bs32 } = layout;
  found.add(bs, 0);
  const sector = bs.BPB_BytsPerSec(view, 0);
  const short = bs.BPB_FATSz16(view, 0);
  const fatBytes = (short || bs32.BPB_FATSz32(view, 0)) * sector;
  const fats = bs.BPB_RsvdSecCnt(view, 0) * sector;
  const root = fats + bs.BPB_NumFATs(view, 0) * fatBytes;
  const rootBytes = bs.BPB_RootEntCnt(view, 0) * layout.fat_dir_entry.$size;
  const cluster = bs.BPB_SecPerClus(view, 0) * sector;
  if (short === 0) {
    found.add(bs32, 0).add(layout.fat_fsinfo, bs32.BPB_FSInfo(view, 0) * sector);
    const copy = bs32.BPB_BkBootSec(view, 0) * sector;
    found.add(bs, copy).add(bs32, copy);
  }
  for (let at = fats; at < root; at += fatBytes) found.words("FAT", at, Math.min(fatBytes, 1024), short === 0 ? 4 : 2);
  const place = (first: number): number => root + rootBytes + (first - layout.FIRST_CLUSTER) * cluster;
  const ahead = [
    rootBytes > 0 ? { at: root, length: rootBytes } : { at: place(bs32.BPB_RootClus(view, 0)), length: cluster },
  ];
  for (let at = ahead.shift(); at !== undefined; at = ahead.shift()) {
    for (const first of addEntries(found, view, at.at, at.length)) ahead.push({ at: place(first), length: cluster });
  }
  return found;
};

/** The entries of one run of a directory; answers the first clusters of the directories in it. */
function addEntries(found: AnatomyBuilder, view: DataView, start: number, length: number): number[] {
  const { fat_dir_entry: entry, fat_long_entry: part } = layout;
  const directories: number[] = [];
  for (let at = start; at + entry.$size <= Math.min(start + length, found.image.length); at += entry.$size) {
    if (found.image[at] === layout.ENTRY_FREE) break;
    if (entry.DIR_Attr(view, at) === layout.ATTR_LONG_NAME) {
      found.add(part, at);
      continue;
    }
    found.add(entry, at);
    const isUp = found.image[at] === ".".charCodeAt(0);
    if (isUp || (entry.DIR_Attr(view, at) & layout.ATTR_DIRECTORY) === 0) continue;
    directories.push(entry.DIR_FstClusHI(view, at) * 65_536 + entry.DIR_FstClusLO(view, at));
  }
  return directories;
}
