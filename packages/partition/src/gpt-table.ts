import { type BlockDevice, equalBytes, isImageError } from "@guestprobe/block";
import {
  GPT_BACKUP_BAD,
  GPT_BACKUP_NOT_AT_END,
  GPT_CHECKSUM,
  GPT_COPIES_DIFFER,
  GPT_HEADER_FIELD,
  GPT_PRIMARY_BAD,
} from "./findings.js";
import { decodeGptHeader, type GptCopy, type GptHeader, hasGptSignature, readGptCopy } from "./gpt.js";
import { gpt_header } from "./layout.js";
import type { Note } from "./note.js";

/** Sector sizes of real disks, the usual one first. The header lies in sector 1, so where it is tells the size. */
export const SECTOR_SIZES: readonly number[] = [512, 4096, 1024, 2048];

export interface GptTable {
  /** The copy in use. */
  readonly copy: GptCopy;
  readonly isBackup: boolean;
  /** Each copy that was found, for what it takes up on the disk. */
  readonly copies: readonly GptCopy[];
}

/**
 * Finds both copies of a GPT and chooses one: the first if it is sound, else the backup if that is, else the first for
 * what it is worth (GRUB reads it without checking), else the backup. Undefined when neither is there.
 *
 * @param start The first sectors of the disk, at least as far as sector 1 of the largest size, where the disk has them.
 * @param preferred Sector size to look at first.
 */
export async function readGpt(
  device: BlockDevice,
  start: Uint8Array,
  preferred: number,
  note: Note,
  signal?: AbortSignal,
): Promise<GptTable | undefined> {
  const sizes = [preferred, ...SECTOR_SIZES.filter((size) => size !== preferred)];
  const primary = await firstCopy(device, start, sizes, note, signal);
  const backup = await backupCopy(device, primary?.header, sizes, note, signal);
  const copies = [primary, backup].filter((copy) => copy !== undefined);
  const copy = copies.find((candidate) => candidate.sound) ?? copies[0];
  if (copy === undefined) return undefined;
  compareCopies(device, primary, backup, copy, note);
  return { copy, isBackup: copy === backup, copies };
}

/** The copy after the MBR. When more than one sector size has the magic, one with a valid checksum is preferred. */
async function firstCopy(
  device: BlockDevice,
  start: Uint8Array,
  sizes: readonly number[],
  note: Note,
  signal: AbortSignal | undefined,
): Promise<GptCopy | undefined> {
  const headers = sizes
    .map((size) => tryHeader(start.subarray(size, 2 * size), size, size, note))
    .filter((header) => header !== undefined);
  const header = headers.find((candidate) => candidate.checksumMatches && candidate.myLba === 1) ?? headers[0];
  return header === undefined ? undefined : tryCopy(device, header, note, signal);
}

/** The copy that the first one points to; if it does not lead anywhere, the one in the last sector. */
async function backupCopy(
  device: BlockDevice,
  primary: GptHeader | undefined,
  sizes: readonly number[],
  note: Note,
  signal: AbortSignal | undefined,
): Promise<GptCopy | undefined> {
  if (primary !== undefined) {
    const { sectorSize: size, alternateLba } = primary;
    const header = await headerAt(device, alternateLba * size, size, note, signal);
    if (header !== undefined) return tryCopy(device, header, note, signal);
  }
  const candidates = primary === undefined ? sizes : [primary.sectorSize];
  // Asked together: the last sectors of all sizes lie side by side.
  const headers = await Promise.all(
    candidates.map((size) => headerAt(device, (Math.floor(device.size / size) - 1) * size, size, note, signal)),
  );
  // Without a first copy only what it says of itself makes it this disk's, as for Linux: the last sector of a member of an
  // array, whose data begin further on, is often that of the array, with the array's own backup in it.
  const isOurs = ({ myLba, sectorSize, offset }: GptHeader): boolean => myLba * sectorSize === offset;
  const header = headers.find((candidate) => candidate !== undefined && (primary !== undefined || isOurs(candidate)));
  return header === undefined ? undefined : tryCopy(device, header, note, signal);
}

/** The header in one sector. None in sectors 0 and 1: that is the first copy, on a disk too small for two. */
async function headerAt(
  device: BlockDevice,
  offset: number,
  size: number,
  note: Note,
  signal: AbortSignal | undefined,
): Promise<GptHeader | undefined> {
  if (offset <= size || offset + size > device.size) return undefined;
  try {
    return tryHeader(await device.read(offset, size, signal), size, offset, note);
  } catch (error) {
    noteReadError(error, offset, note);
    return undefined;
  }
}

function compareCopies(
  device: BlockDevice,
  primary: GptCopy | undefined,
  backup: GptCopy | undefined,
  used: GptCopy,
  note: Note,
): void {
  const where = (copy: GptCopy, field: "Signature" | "AlternateLBA" | "PartitionEntryArrayCRC32" | "HeaderCRC32") => ({
    format: "gpt",
    structure: "gpt_header",
    field,
    offset: copy.header.offset + gpt_header.$fields[field].offset,
  });
  if (used === backup) {
    const reason = primary === undefined ? "is not there" : describeUnsound(primary);
    note(GPT_PRIMARY_BAD, `the first copy ${reason}; the backup is used`, where(backup, "Signature"));
  } else if (primary !== undefined && !primary.sound) {
    note(GPT_CHECKSUM, `the first copy ${describeUnsound(primary)}`, where(primary, checksumField(primary)));
  }
  if (primary === undefined) {
    if (backup !== undefined && !backup.sound) {
      note(GPT_CHECKSUM, `the backup ${describeUnsound(backup)}`, where(backup, checksumField(backup)));
    }
    return;
  }
  if (backup === undefined) {
    const { alternateLba } = primary.header;
    note(
      GPT_BACKUP_BAD,
      `no backup at sector ${alternateLba} or at the end of the disk`,
      where(primary, "AlternateLBA"),
    );
    return;
  }
  if (!backup.sound)
    note(GPT_BACKUP_BAD, `the backup ${describeUnsound(backup)}`, where(backup, checksumField(backup)));
  const { sectorSize, offset } = backup.header;
  const unclaimed = Math.floor((device.size - offset) / sectorSize) - 1;
  if (unclaimed > 0) {
    note(GPT_BACKUP_NOT_AT_END, `${unclaimed} sectors follow the backup`, where(backup, "Signature"));
  }
  if (primary.sound && backup.sound && !sameContent(primary, backup)) {
    note(GPT_COPIES_DIFFER, "both copies have valid checksums and differ", where(backup, "PartitionEntryArrayCRC32"));
  }
}

const checksumField = (copy: GptCopy) => (copy.header.checksumMatches ? "PartitionEntryArrayCRC32" : "HeaderCRC32");

const describeUnsound = (copy: GptCopy): string =>
  copy.header.checksumMatches
    ? "has entries that do not match their checksum"
    : "has a header that does not match its checksum";

const sameContent = (a: GptCopy, b: GptCopy): boolean =>
  a.header.diskGuid === b.header.diskGuid &&
  a.header.entrySize === b.header.entrySize &&
  a.header.firstUsableLba === b.header.firstUsableLba &&
  a.header.lastUsableLba === b.header.lastUsableLba &&
  equalBytes(a.entries, b.entries);

function tryHeader(data: Uint8Array, size: number, origin: number, note: Note): GptHeader | undefined {
  if (data.length < size || !hasGptSignature(data)) return undefined;
  try {
    return decodeGptHeader(data, origin);
  } catch (error) {
    if (!isImageError(error, "corrupt")) throw error;
    note(GPT_HEADER_FIELD, error.reason, error);
    return undefined;
  }
}

async function tryCopy(
  device: BlockDevice,
  header: GptHeader,
  note: Note,
  signal: AbortSignal | undefined,
): Promise<GptCopy | undefined> {
  try {
    return await readGptCopy(device, header, note, signal);
  } catch (error) {
    noteReadError(error, header.entryLba * header.sectorSize, note);
    return undefined;
  }
}

function noteReadError(error: unknown, offset: number, note: Note): void {
  if (!isImageError(error) || error.code === "aborted") throw error;
  note(GPT_HEADER_FIELD, error.reason, { format: "gpt", structure: "gpt_header", offset: error.offset ?? offset });
}
