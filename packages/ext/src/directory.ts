import type { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { FILE_TYPE_OF_DIRENT, type FileType, StoredDirent } from "@guestprobe/vfs";
import { ext4_dir_entry_2 as dirent } from "./layout.js";
import { corrupt } from "./place.js";

/** The hash stored after a name, in directories that are both encrypted and casefold. */
export type StoredHash = readonly [hash: number, minor: number];

/** A used entry of a directory. `ref` is where it lies: bytes from the start of the device. */
export class RawDirent extends StoredDirent<number> {
  readonly hash: StoredHash | undefined;

  constructor(
    block: Uint8Array,
    nameAt: number,
    nameLength: number,
    ino: number,
    type: FileType | undefined,
    ref: number,
    hash: StoredHash | undefined,
  ) {
    super(block, nameAt, nameLength, ino, type, ref);
    this.hash = hash;
  }
}

/** How the entries of a directory are written. */
export interface DirentForm {
  /** Whether the type has a byte of its own; otherwise the length of the name has 16 bits. */
  readonly hasType: boolean;
  /** Whether eight bytes of hash follow the name. */
  readonly hasHash: boolean;
  /** Bytes of a block of the volume: lengths above 65532 are folded into 16 bits. */
  readonly blockSize: number;
}

/** The entries that are sound, and what ended the block early. */
export interface DirBlock {
  readonly entries: readonly RawDirent[];
  readonly error: ImageError | undefined;
}

/** `rec_len` as a number of bytes. Kernel: ext4_rec_len_from_disk. */
export function recordLength(stored: number, blockSize: number): number {
  if (blockSize < 65536) return stored;
  return stored === 65535 || stored === 0 ? blockSize : (stored & 65532) | ((stored & 3) << 16);
}

/**
 * Decodes the entries of a block, "." and ".." included.
 *
 * @param data A block, or the part of an inode that holds entries.
 * @param at Where it lies: bytes from the start of the device.
 */
export function decodeDirBlock(data: Uint8Array, at: number, form: DirentForm): DirBlock {
  const view = viewOf(data);
  const entries: RawDirent[] = [];
  let base = 0;
  const bad = (field: keyof typeof dirent.$fields, reason: string): DirBlock => ({
    entries,
    error: corrupt(dirent, field, at + base, `directory entry: ${reason}`),
  });
  while (base < data.length) {
    if (base + dirent.$size > data.length) return bad("rec_len", `${data.length - base} bytes are left for it`);
    const length = recordLength(dirent.rec_len(view, base), form.blockSize);
    const nameLength = dirent.name_len(view, base) + (form.hasType ? 0 : dirent.file_type(view, base) * 256);
    if (length < 12 || length % 4 !== 0 || base + length > data.length) {
      return bad("rec_len", `length is ${length}, with ${data.length - base} bytes left`);
    }
    const ino = dirent.inode(view, base);
    if (ino !== 0) {
      const nameEnd = dirent.$size + nameLength;
      if (nameEnd > length) {
        return bad("name_len", `a name of ${nameLength} bytes in ${length}`);
      }
      const hashAt = base + Math.ceil(nameEnd / 4) * 4;
      const hasHash = form.hasHash && hashAt + 8 <= base + length;
      const type = form.hasType ? FILE_TYPE_OF_DIRENT[dirent.file_type(view, base) & 7] : undefined;
      const hash: StoredHash | undefined = hasHash
        ? [view.getUint32(hashAt, true), view.getUint32(hashAt + 4, true)]
        : undefined;
      entries.push(new RawDirent(data, base + dirent.$size, nameLength, ino, type, at + base, hash));
    }
    base += length;
  }
  return { entries, error: undefined };
}
