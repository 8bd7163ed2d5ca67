import { viewOf } from "@guestprobe/block/struct";
import { squashfs_super_block } from "@guestprobe/squashfs/layout";
import { AnatomyBuilder, type Dissect } from "../lib/spots.js";

/**
 * The superblock, and every word of the tables behind the data. In a volume whose metadata is stored as it is, these
 * are the fields of inodes, directories, fragments and attributes; elsewhere, bytes of compressed blocks.
 */
export const dissectSquashfs: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "LE", most * 16);
  const view = viewOf(image);
  const sb = squashfs_super_block;
  found.add(sb, 0);
  const end = sb.bytes_used(view, 0);
  const starts = [
    ["inode table", sb.inode_table_start(view, 0)],
    ["directory table", sb.directory_table_start(view, 0)],
    ["fragment table", sb.fragment_table_start(view, 0)],
    ["lookup table", sb.lookup_table_start(view, 0)],
    ["id table", sb.id_table_start(view, 0)],
    ["xattr table", sb.xattr_id_table_start(view, 0)],
  ] as const;
  const places = starts.flatMap(([name, at]) => (at === undefined || at >= end ? [] : [{ name, at }]));
  places.sort((a, b) => a.at - b.at);
  for (const [index, { name, at }] of places.entries()) {
    // What a table points at lies in front of its list of pointers.
    const from = at - (index < 2 ? 0 : Math.min(64, at - places[index - 1]!.at));
    const length = (places[index + 1]?.at ?? end) - from;
    found
      .words(`${name} header`, from, 2, 2)
      .words(name, from + 2, length - 2, 4)
      .words(`${name} halves`, from, length, 2);
  }
  return found;
};
