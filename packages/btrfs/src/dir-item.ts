import { crc32cRaw, type ImageError } from "@guestprobe/block";
import { FILE_TYPE_OF_DIRENT, type FileType, isUsableName, StoredDirent } from "@guestprobe/vfs";
import { KEY_TYPE, type Key, readKey } from "./key.js";
import { FT_ENCRYPTED, INODE_ITEM_KEY, btrfs_dir_item as item, NAME_LEN, ROOT_ITEM_KEY } from "./layout.js";
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

/** Names have neither "/" nor NUL and no data; attributes have no NUL. */
type Kind = "name" | "xattr";

/** Where the entry at byte `at` of an item ends. @throws ImageError `corrupt` for one that passes the item, or has no name. */
function endOf(bytes: ItemBytes, at: number, kind: Kind): number {
  const { view, start, size } = bytes;
  const stop = start + size;
  if (at + item.$size > stop) throw wrong(bytes, at, "location", "the item ends inside it");
  const nameLength = item.name_len(view, at);
  const valueLength = item.data_len(view, at);
  const end = at + item.$size + nameLength + valueLength;
  if (nameLength === 0 || nameLength > NAME_LEN) throw wrong(bytes, at, "name_len", `a name of ${nameLength} bytes`);
  if (end > stop) throw wrong(bytes, at, "name_len", "the item ends inside the name");
  if (kind === "name" && valueLength > 0) {
    throw wrong(bytes, at, "data_len", `a name with ${valueLength} bytes of data`);
  }
  return end;
}

function wrong(
  { start, offset }: ItemBytes,
  at: number,
  field: keyof typeof item.$fields | "name",
  reason: string,
): ImageError {
  const within = at - start + (field === "name" ? item.$size : item.$fields[field].offset);
  return corrupt(`directory entry: ${reason}`, {
    structure: item.$name,
    field,
    offset: offset === undefined ? undefined : offset + within,
  });
}

const typeAt = (view: DataView, at: number): FileType | undefined =>
  FILE_TYPE_OF_DIRENT[item.type(view, at) & ~FT_ENCRYPTED];

const FORBIDDEN = "the name has forbidden bytes";

/**
 * Decodes the names in one item: more than one only where they share a hash.
 *
 * @throws ImageError `corrupt`.
 */
export function decodeDirItems(bytes: ItemBytes, kind: Kind): DirItem[] {
  const items: DirItem[] = [];
  const { view, start, size } = bytes;
  for (let at = start; at < start + size; ) {
    const end = endOf(bytes, at, kind);
    const nameAt = at + item.$size;
    const valueAt = nameAt + item.name_len(view, at);
    const name = bytesOf(view, nameAt, valueAt - nameAt);
    if (kind === "name" ? !isUsableName(name) : name.includes(0)) throw wrong(bytes, at, "name", FORBIDDEN);
    const value = valueAt === end ? NOTHING : bytesOf(view, valueAt, end - valueAt);
    items.push({ name, value, location: readKey(view, at), type: typeAt(view, at) });
    at = end;
  }
  return items;
}

/** A name of a directory. Where it leads to another subvolume, or where nothing can be, `ref` is the key of the item. */
export type NamedDirent = StoredDirent<Key | undefined>;

/** Inode number of the root directory of every subvolume that was made by a kernel or mkfs. */
const FIRST_INODE = 256;

/**
 * Adds the names in one item to those of a directory, as `decodeDirItems` decodes them.
 *
 * @throws ImageError `corrupt`.
 */
export function pushDirents(bytes: ItemBytes, names: NamedDirent[]): void {
  const { view, start, size } = bytes;
  for (let at = start; at < start + size; ) {
    const end = endOf(bytes, at, "name");
    const nameAt = at + item.$size;
    const isInode = view.getUint8(at + KEY_TYPE) === INODE_ITEM_KEY;
    const location = isInode ? undefined : readKey(view, at);
    // A number of 2^53 and above is refused when somebody asks for the inode: it hides no other name.
    const number = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
    const ino = location?.type === ROOT_ITEM_KEY ? FIRST_INODE : number;
    const entry = new StoredDirent(bytes.bytes, nameAt, end - nameAt, ino, typeAt(view, at), location);
    if (!entry.isPossible || entry.isDots) throw wrong(bytes, at, "name", FORBIDDEN);
    names.push(entry);
    at = end;
  }
}
