import { crc32cRaw } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { FILE_TYPE_OF_DIRENT, type FileType } from "@guestprobe/vfs";
import { type Key, readKey } from "./key.js";
import { FT_ENCRYPTED, btrfs_dir_item as item, NAME_LEN } from "./layout.js";
import { corrupt, decodeAt } from "./place.js";

/** One name of a directory, or one extended attribute. */
export interface DirItem {
  readonly name: Uint8Array;
  /** An attribute's value; empty in directories. */
  readonly value: Uint8Array;
  /** Key of the inode item, or of the root item of a subvolume. */
  readonly location: Key;
  readonly type: FileType | undefined;
}

/** Offset of the DIR_ITEM and XATTR_ITEM keys of a name: CRC-32C from ~1, without the inversion at the end. */
export function nameHash(name: Uint8Array): number {
  return crc32cRaw(name, 0xffff_fffe);
}

/**
 * Decodes the names in one item: more than one only where they share a hash.
 *
 * @param kind `name` for directories, where "/" and NUL are refused; `xattr` for attributes.
 * @param offset Where `data` lies: bytes from the start of the device.
 * @throws ImageError `corrupt`.
 */
export function decodeDirItems(data: Uint8Array, kind: "name" | "xattr", offset: number | undefined): DirItem[] {
  const view = viewOf(data);
  const items: DirItem[] = [];
  for (let at = 0; at < data.length; ) {
    const wrong = (field: keyof typeof item.$fields | "name", reason: string) => {
      const within = at + (field === "name" ? item.$size : item.$fields[field].offset);
      return corrupt(`directory entry: ${reason}`, {
        structure: item.$name,
        field,
        offset: offset === undefined ? undefined : offset + within,
      });
    };
    if (at + item.$size > data.length) throw wrong("location", "the item ends inside it");
    const nameLength = item.name_len(view, at);
    const valueLength = item.data_len(view, at);
    const nameAt = at + item.$size;
    const end = nameAt + nameLength + valueLength;
    if (nameLength === 0 || nameLength > NAME_LEN) throw wrong("name_len", `a name of ${nameLength} bytes`);
    if (end > data.length) throw wrong("name_len", "the item ends inside the name");
    if (kind === "name" && valueLength > 0) throw wrong("data_len", `a name with ${valueLength} bytes of data`);
    const name = data.subarray(nameAt, nameAt + nameLength);
    if (name.includes(0) || (kind === "name" && !isName(name))) throw wrong("name", "the name has forbidden bytes");
    items.push({
      name,
      value: data.subarray(nameAt + nameLength, end),
      location: decodeAt(offset, () => readKey(view, at)),
      type: FILE_TYPE_OF_DIRENT[item.type(view, at) & ~FT_ENCRYPTED],
    });
    at = end;
  }
  return items;
}

/** "." and ".." are not stored; a slash would make a name a path. */
function isName(name: Uint8Array): boolean {
  const isDots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  return !isDots && !name.includes(0x2f);
}
