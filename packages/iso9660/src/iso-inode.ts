import { finding, ImageError, isImageError, throwIfAborted } from "@guestprobe/block";
import {
  clampRead,
  type Dirent,
  type Extent,
  type FileType,
  type Inode,
  isUsableName,
  readThroughExtents,
  type Stat,
  type Xattr,
} from "@guestprobe/vfs";
import { BAD_NAME, BAD_RECORD } from "./findings.js";
import { FLAG_HIDDEN, iso_directory_record, rrip_cl, rrip_zf } from "./layout.js";
import { type IsoEntry, listEntries } from "./name-index.js";
import { corrupt, FORMAT, failure, placeOf } from "./place.js";
import { type DirectoryRecord, decodeRecord, isDirectoryRecord, isProblem } from "./record.js";
import { type RockRidge, typeOfMode } from "./rock-ridge.js";
import type { IsoRecord, Telling, Volume } from "./volume.js";

/** Most bytes of one `read`: beyond that an array would not be had anyway. */
const MAX_READ = 2 ** 31 - 1;
/** Longest record. */
const MAX_RECORD = 255;

/** A part of a file's content: bytes from the start of the device, and how many. */
interface Section {
  readonly start: number;
  readonly size: number;
}

export interface IsoInodeParts {
  readonly volume: Volume;
  readonly stat: Stat;
  /** The record that describes it. */
  readonly record: DirectoryRecord;
  readonly rock: RockRidge | undefined;
  /** The content of a file or directory. */
  readonly sections: readonly Section[];
}

/** A file or directory of an open volume. */
export class IsoInode implements Inode {
  readonly stat: Stat;
  readonly offset: number;
  readonly flags: readonly string[];
  readonly #volume: Volume;
  readonly #record: DirectoryRecord;
  readonly #rock: RockRidge | undefined;
  readonly #sections: readonly Section[];

  constructor({ volume, stat, record, rock, sections }: IsoInodeParts) {
    this.#volume = volume;
    this.#record = record;
    this.#rock = rock;
    this.#sections = sections;
    this.stat = stat;
    this.offset = record.offset;
    this.flags = [
      ...((record.flags & FLAG_HIDDEN) !== 0 ? ["hidden"] : []),
      ...(rock?.zisofs === undefined ? [] : ["compressed"]),
    ];
  }

  async *entries(signal?: AbortSignal): AsyncGenerator<readonly Dirent[]> {
    throwIfAborted(signal);
    const volume = this.#volume;
    const { start, size } = this.#directory();
    const block = start / volume.descriptor.blockSize;
    await volume.pathTable.check(block, this.offset, signal);
    const telling: Telling = { directories: new Set(), isDamaged: false };
    for await (const batch of listEntries(volume, start, size, telling, signal)) {
      const usable = batch.filter((entry) => this.#isUsable(entry));
      if (usable.length > 0) yield usable.map((entry) => direntOf(volume, entry));
    }
    // Records that were passed over may have been those of directories.
    if (!telling.isDamaged) await volume.pathTable.checkChildren(block, telling.directories, signal);
  }

  async lookup(name: Uint8Array, signal?: AbortSignal): Promise<IsoInode | undefined> {
    throwIfAborted(signal);
    const { start, size } = this.#directory();
    const found = await this.#volume.names.find(start, size, name, signal);
    return found === undefined ? undefined : openAt(this.#volume, found, signal);
  }

  async child(entry: Dirent, signal?: AbortSignal): Promise<IsoInode> {
    throwIfAborted(signal);
    const { first, parts } = entry.ref as IsoEntry;
    return openEntry(this.#volume, first, parts, signal);
  }

  async readLink(signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (this.stat.type !== "symlink") throw this.#wrongType("not-a-symlink");
    const target = this.#rock?.target;
    if (target === undefined || target.length === 0) {
      throw failure("corrupt", "a symbolic link without a target", this.offset, "SL");
    }
    return target.slice();
  }

  async read(offset: number, length: number, signal?: AbortSignal, into?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal);
    const { type, size } = this.stat;
    if (type === "dir") throw this.#wrongType("is-a-directory");
    if (type === "symlink") return (await this.readLink(signal)).subarray(offset, offset + length);
    if (type !== "file") throw this.#wrongType("invalid-argument");
    const count = clampRead(size, offset, length);
    if (count === 0) return new Uint8Array(0);
    if (count > MAX_READ) throw failure("limit", `a read of ${count} bytes at once`, this.offset);
    this.#refuseUnread();
    return readThroughExtents(this.#volume.device, this.#extents(), offset, count, signal, into);
  }

  async *extents(signal?: AbortSignal): AsyncGenerator<readonly Extent[]> {
    throwIfAborted(signal);
    if (this.stat.type !== "file" || this.stat.size === 0) return;
    this.#refuseUnread();
    yield this.#extents();
  }

  async xattrs(): Promise<readonly Xattr[]> {
    return [];
  }

  #extents(): Extent[] {
    const extents: Extent[] = [];
    let logical = 0;
    for (const { start, size } of this.#sections) {
      if (size > 0) extents.push({ kind: "data", logical, length: size, physical: start });
      logical += size;
    }
    return extents;
  }

  /** What is stored in a way that is not read here. */
  #refuseUnread(): void {
    const zisofs = this.#rock?.zisofs;
    if (zisofs !== undefined) {
      const place = { format: FORMAT, structure: rrip_zf.$name, field: "algorithm", offset: this.offset };
      throw new ImageError("unsupported", `zisofs, algorithm "${zisofs.algorithm}"`, place);
    }
    if (!this.#record.isInterleaved) return;
    throw new ImageError(
      "unsupported",
      "interleaved content",
      placeOf(iso_directory_record, "interleave", this.offset),
    );
  }

  #directory(): Section {
    const [section] = this.#sections;
    if (this.stat.type !== "dir" || section === undefined) throw this.#wrongType("not-a-directory");
    return section;
  }

  #isUsable({ name, parts }: IsoEntry): boolean {
    if (isUsableName(name)) return true;
    const place = placeOf(iso_directory_record, "name_len", parts[0]!.offset);
    this.#volume.report?.(finding(BAD_NAME, "a name that no path can hold", place));
    return false;
  }

  #wrongType(code: "is-a-directory" | "not-a-directory" | "not-a-symlink" | "invalid-argument"): ImageError {
    return failure(code, `inode ${this.stat.ino} is a ${this.stat.type}`, this.offset);
  }
}

/** A record's directory is found by its content, all else by the place of the record. */
function inoOf(volume: Volume, { record, rock }: IsoRecord): number {
  const isMoved = rock?.child !== undefined;
  return volume.inoAt(isDirectoryRecord(record) && !isMoved ? volume.blockOffset(record.extent) : record.offset);
}

function direntOf(volume: Volume, entry: IsoEntry): Dirent {
  const { record, rock } = entry.first;
  const type: FileType | undefined = rock?.child === undefined ? typeOf(record, rock) : "dir";
  return { name: entry.name, ino: inoOf(volume, entry.first), type, ref: entry };
}

/** Rock Ridge's word counts, as for Linux; where it names no type, the record's flag does. */
const typeOf = (record: DirectoryRecord, rock: RockRidge | undefined): FileType =>
  (rock?.mode === undefined ? undefined : typeOfMode(rock.mode)) ?? (isDirectoryRecord(record) ? "dir" : "file");

function statOf({ record, rock }: IsoRecord, ino: number, size: number): Stat {
  const type = typeOf(record, rock);
  return {
    type,
    // Everybody may read and enter, where nobody says otherwise: Linux, fs/isofs/inode.c.
    mode: rock?.mode === undefined ? 0o555 : rock.mode & 0o7777,
    uid: rock?.uid ?? 0,
    gid: rock?.gid ?? 0,
    size: type === "symlink" ? (rock?.target?.length ?? 0) : (rock?.zisofs?.realSize ?? size),
    nlink: rock?.nlink ?? 1,
    ino,
    rdev: type === "char" || type === "block" ? (rock?.rdev ?? { major: 0, minor: 0 }) : undefined,
    atimeNs: rock?.atimeNs ?? record.timeNs,
    mtimeNs: rock?.mtimeNs ?? record.timeNs,
    ctimeNs: rock?.ctimeNs ?? record.timeNs,
    crtimeNs: rock?.crtimeNs,
  };
}

/** The inode whose records lie there. */
export async function openAt(
  volume: Volume,
  offsets: readonly number[],
  signal: AbortSignal | undefined,
): Promise<IsoInode> {
  const parts: DirectoryRecord[] = [];
  for (const offset of offsets) {
    const length = Math.min(MAX_RECORD, volume.device.size - offset);
    const record = decodeRecord(await volume.device.read(offset, length, signal), 0, offset);
    if (record === undefined || isProblem(record)) {
      throw corrupt(iso_directory_record, "length", offset, record?.reason ?? "no record");
    }
    parts.push(record);
  }
  return openEntry(volume, await volume.rockOf(parts[0]!, true, signal), parts, signal);
}

async function openEntry(
  volume: Volume,
  first: IsoRecord,
  parts: readonly DirectoryRecord[],
  signal: AbortSignal | undefined,
): Promise<IsoInode> {
  const { record, rock } = first;
  const ino = inoOf(volume, first);
  if (rock?.child !== undefined) return openMoved(volume, first, rock.child, ino, signal);
  if (isDirectoryRecord(record)) return openDirectory(volume, first, ino, signal);
  const sections = parts.map(({ extent, size }) => ({ start: volume.blockOffset(extent), size }));
  const size = sections.reduce((total, section) => total + section.size, 0);
  return new IsoInode({ volume, stat: statOf(first, ino, size), record, rock, sections });
}

/**
 * A directory is described by its own first record, as for Linux; where that does not fit, by its parent's.
 *
 * @param named The record that its parent has of it, or that the volume descriptor has of the root.
 */
export async function openDirectory(
  volume: Volume,
  named: IsoRecord,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<IsoInode> {
  const start = volume.blockOffset(named.record.extent);
  let own = named;
  try {
    own = await volume.rockOf(await volume.ownRecord(start, signal), false, signal);
  } catch (error) {
    if (!isImageError(error, "corrupt")) throw error;
    volume.report?.(finding(BAD_RECORD, error.reason, placeOf(iso_directory_record, "length", start)));
  }
  return directoryInode(volume, own, start, ino);
}

/** A directory that lies elsewhere, since it was too deep for the standard. RRIP, 4.1.5. */
async function openMoved(
  volume: Volume,
  { record }: IsoRecord,
  block: number,
  ino: number,
  signal: AbortSignal | undefined,
): Promise<IsoInode> {
  const start = volume.blockOffset(block);
  if (start >= volume.device.size) {
    throw corrupt(rrip_cl, "location", record.offset, `a directory was moved to block ${block}, past the device`);
  }
  const own = await volume.rockOf(await volume.ownRecord(start, signal), false, signal);
  return directoryInode(volume, own, start, ino);
}

function directoryInode(volume: Volume, own: IsoRecord, start: number, ino: number): IsoInode {
  const { record, rock } = own;
  const { size } = record;
  return new IsoInode({ volume, stat: statOf(own, ino, size), record, rock, sections: [{ start, size }] });
}
