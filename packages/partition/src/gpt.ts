import {
  type BlockDevice,
  checkedMul,
  crc32,
  decodeUtf16,
  equalBytes,
  formatGuid,
  ImageError,
  isImageError,
  isPowerOfTwo,
  isZero,
} from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { GPT_ENTRIES_CUT, GPT_ENTRY_BAD } from "./findings.js";
import { GPT_SIGNATURE, gpt_entry, gpt_header } from "./layout.js";
import type { Note } from "./note.js";

/** A header whose fields are possible on its disk. LBAs are sectors from the start of the disk. */
export interface GptHeader {
  /** Bytes from the start of the disk. */
  readonly offset: number;
  readonly sectorSize: number;
  readonly checksumMatches: boolean;
  readonly myLba: number;
  readonly alternateLba: number;
  readonly firstUsableLba: number;
  readonly lastUsableLba: number;
  readonly diskGuid: string;
  readonly entryLba: number;
  readonly entryCount: number;
  /** Bytes. */
  readonly entrySize: number;
  readonly entriesChecksum: number;
}

/** A header with its array of entries. */
export interface GptCopy {
  readonly header: GptHeader;
  /** As much of the array as the disk has. */
  readonly entries: Uint8Array;
  /** Whether both checksums match and nothing is cut. */
  readonly sound: boolean;
}

export interface GptEntry {
  /** 1 for the first. */
  readonly number: number;
  readonly typeGuid: string;
  readonly guid: string;
  readonly firstLba: number;
  readonly lastLba: number;
  readonly attributes: bigint;
  readonly name: string;
  /** Bytes from the start of the disk. */
  readonly offset: number;
}

/** Bytes of entries that are read; the usual array has 16 KiB, and Linux refuses one of more than 4 MiB. */
const MAX_ENTRY_BYTES = 4 << 20;
/** UEFI Specification 2.10, 5.3.2: 128 * 2^n. The bound keeps one entry within a sector of the largest kind. */
const MAX_ENTRY_SIZE = 4096;

/** Whether a GPT header begins here. */
export function hasGptSignature(data: Uint8Array): boolean {
  return data.length >= gpt_header.$size && equalBytes(data.subarray(0, 8), GPT_SIGNATURE);
}

/**
 * Decodes the header in one sector.
 *
 * @param data One sector; its length is the sector size.
 * @param origin Where it lies: bytes from the start of the disk.
 * @throws ImageError `not-this-format` without "EFI PART"; `corrupt` for a size or number that no table can have. A
 * checksum that does not match is a field of the result, not an error.
 */
export function decodeGptHeader(data: Uint8Array, origin: number): GptHeader {
  const place = (field: string, at: number) => ({ format: "gpt", structure: "gpt_header", field, offset: origin + at });
  if (!hasGptSignature(data)) throw new ImageError("not-this-format", 'no "EFI PART"', place("Signature", 0));
  const view = viewOf(data);
  const headerSize = gpt_header.HeaderSize(view, 0);
  if (headerSize < gpt_header.$size || headerSize > data.length) {
    throw new ImageError(
      "corrupt",
      `header of ${headerSize} bytes, expected ${gpt_header.$size} to ${data.length}`,
      place("HeaderSize", 0x0c),
    );
  }
  const entrySize = gpt_header.SizeOfPartitionEntry(view, 0);
  if (entrySize < gpt_entry.$size || entrySize > MAX_ENTRY_SIZE || !isPowerOfTwo(entrySize)) {
    throw new ImageError(
      "corrupt",
      `entries of ${entrySize} bytes, expected 128 times a power of two, to ${MAX_ENTRY_SIZE}`,
      place("SizeOfPartitionEntry", 0x54),
    );
  }
  // Not `slice`: a Node Buffer's shares memory, and the device's bytes must stay as they are.
  const header = Uint8Array.from(data.subarray(0, headerSize));
  header.fill(0, 0x10, 0x14);
  const lba = (field: "MyLBA" | "AlternateLBA" | "FirstUsableLBA" | "LastUsableLBA" | "PartitionEntryLBA") => {
    try {
      return gpt_header[field](view, 0);
    } catch (error) {
      if (!isImageError(error)) throw error;
      throw new ImageError("corrupt", error.reason, {
        ...place(field, gpt_header.$fields[field].offset),
        cause: error,
      });
    }
  };
  const entryLba = lba("PartitionEntryLBA");
  checkedMul(entryLba, data.length, place("PartitionEntryLBA", 0x48));
  return {
    offset: origin,
    sectorSize: data.length,
    checksumMatches: crc32(header) === gpt_header.HeaderCRC32(view, 0),
    myLba: lba("MyLBA"),
    alternateLba: lba("AlternateLBA"),
    firstUsableLba: lba("FirstUsableLBA"),
    lastUsableLba: lba("LastUsableLBA"),
    diskGuid: formatGuid(gpt_header.DiskGUID(view, 0)),
    entryLba,
    entryCount: gpt_header.NumberOfPartitionEntries(view, 0),
    entrySize,
    entriesChecksum: gpt_header.PartitionEntryArrayCRC32(view, 0),
  };
}

/** Reads the entries that a header points to, as far as the disk goes and no more than is sane. */
export async function readGptCopy(
  device: BlockDevice,
  header: GptHeader,
  note: Note,
  signal?: AbortSignal,
): Promise<GptCopy> {
  const start = header.entryLba * header.sectorSize;
  const claimed = header.entryCount * header.entrySize;
  const present = Math.max(0, Math.min(claimed, MAX_ENTRY_BYTES, device.size - start));
  if (present < claimed) {
    note(
      GPT_ENTRIES_CUT,
      `${header.entryCount} entries of ${header.entrySize} bytes from byte ${start}, read ${present}`,
      {
        format: "gpt",
        structure: "gpt_header",
        field: "NumberOfPartitionEntries",
        offset: header.offset + gpt_header.$fields.NumberOfPartitionEntries.offset,
      },
    );
  }
  const entries = present === 0 ? new Uint8Array(0) : await device.read(start, present, signal);
  const sound = header.checksumMatches && present === claimed && crc32(entries) === header.entriesChecksum;
  return { header, entries, sound };
}

/** The entries in use, each by itself: one that makes no sense is noted and left out. */
export function decodeGptEntries(copy: GptCopy, note: Note): GptEntry[] {
  const { header, entries } = copy;
  const view = viewOf(entries);
  const found: GptEntry[] = [];
  for (let at = 0; at + header.entrySize <= entries.length; at += header.entrySize) {
    const type = gpt_entry.PartitionTypeGUID(view, at);
    if (isZero(type)) continue;
    const offset = header.entryLba * header.sectorSize + at;
    const number = at / header.entrySize + 1;
    const where = { format: "gpt", structure: "gpt_entry", offset };
    try {
      const firstLba = gpt_entry.StartingLBA(view, at);
      const lastLba = gpt_entry.EndingLBA(view, at);
      checkedMul(Math.max(firstLba, lastLba) + 1, header.sectorSize);
      if (lastLba < firstLba) {
        note(GPT_ENTRY_BAD, `partition ${number} ends at sector ${lastLba}, before its start at ${firstLba}`, where);
        continue;
      }
      found.push({
        number,
        typeGuid: formatGuid(type),
        guid: formatGuid(gpt_entry.UniquePartitionGUID(view, at)),
        firstLba,
        lastLba,
        attributes: gpt_entry.Attributes(view, at),
        name: decodeUtf16(gpt_entry.PartitionName(view, at)),
        offset,
      });
    } catch (error) {
      if (!isImageError(error, "corrupt")) throw error;
      note(GPT_ENTRY_BAD, `partition ${number}: ${error.reason}`, where);
    }
  }
  return found;
}

/** Names of the attribute bits that are set. UEFI Specification 2.10, table 5.8; bits 48 to 63 belong to the type. */
export function attributeNames(attributes: bigint): string[] {
  const names: string[] = [];
  for (let bit = 0n; bit < 64n; bit += 1n) {
    if ((attributes >> bit) % 2n === 0n) continue;
    names.push(["required", "no-block-io", "legacy-boot"][Number(bit)] ?? `bit-${bit}`);
  }
  return names;
}
