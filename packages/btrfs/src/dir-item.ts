import { crc32cRaw } from "@guestprobe/block";
import { FILE_TYPE_OF_DIRENT, type FileType, isUsableName } from "@guestprobe/vfs";
import { type Key, readKey } from "./key.js";
import { FT_ENCRYPTED, btrfs_dir_item as item, NAME_LEN } from "./layout.js";
import { bytesOf, type ItemBytes } from "./node.js";
import { corrupt } from "./place.js";

/** One name of a directory, or one extended attribute. */
export interface DirItem {
  readonly name: Uint8Array;
  /** An attribute's value; empty in directories. */
  readonly value: Uint8Array;
  /** Key of the inode item, or of the root item of a subvolume. */
  readonly location: Key;
  readonly type: FileType | undefined;
}

const NOTHING = new Uint8Array(0);

/** Offset of the DIR_ITEM and XATTR_ITEM keys of a name: CRC-32C from ~1, without the inversion at the end. */
export function nameHash(name: Uint8Array): number {
  return crc32cRaw(name, 0xffff_fffe);
}

/**
 * Decodes the names in one item: more than one only where they share a hash.
 *
 * @param kind `name` for directories, where "/" and NUL are refused; `xattr` for attributes.
 * @throws ImageError `corrupt`.
 */
export function decodeDirItems({ view, start, size, offset }: ItemBytes, kind: "name" | "xattr"): DirItem[] {
  const items: DirItem[] = [];
  const stop = start + size;
  let at = start;
  const wrong = (field: keyof typeof item.$fields | "name", reason: string) => {
    const within = at - start + (field === "name" ? item.$size : item.$fields[field].offset);
    return corrupt(`directory entry: ${reason}`, {
      structure: item.$name,
      field,
      offset: offset === undefined ? undefined : offset + within,
    });
  };
  while (at < stop) {
    if (at + item.$size > stop) throw wrong("location", "the item ends inside it");
    const nameLength = item.name_len(view, at);
    const valueLength = item.data_len(view, at);
    const nameAt = at + item.$size;
    const end = nameAt + nameLength + valueLength;
    if (nameLength === 0 || nameLength > NAME_LEN) throw wrong("name_len", `a name of ${nameLength} bytes`);
    if (end > stop) throw wrong("name_len", "the item ends inside the name");
    if (kind === "name" && valueLength > 0) throw wrong("data_len", `a name with ${valueLength} bytes of data`);
    const name = bytesOf(view, nameAt, nameLength);
    if (kind === "name" ? !isUsableName(name) : name.includes(0)) throw wrong("name", "the name has forbidden bytes");
    items.push({
      name,
      value: valueLength === 0 ? NOTHING : bytesOf(view, nameAt + nameLength, valueLength),
      location: readKey(view, at),
      type: FILE_TYPE_OF_DIRENT[item.type(view, at) & ~FT_ENCRYPTED],
    });
    at = end;
  }
  return items;
}
