import { type BlockDevice, isImageError, readUpTo } from "@guestprobe/block";

/** GRUB's unit of a disk, whatever its sectors have. */
export const SECTOR = 512;

/** GRUB's partition-map modules, by the names that partitions get from them. */
export type MapName =
  | "sunpc"
  | "sun"
  | "plan"
  | "dvh"
  | "dfly"
  | "openbsd"
  | "netbsd"
  | "bsd"
  | "apple"
  | "amiga"
  | "acorn"
  | "msdos"
  | "gpt";

/** The bytes of a range as far as they are there and can be read. */
export type ReadBytes = (offset: number, length: number) => Promise<Uint8Array>;

/** A partition as one of GRUB's partition-map modules sees it. */
export interface MapPartition {
  /** "msdos", "gpt", "bsd": the first part of its name. */
  readonly map: MapName;
  /** From 1. */
  readonly number: number;
  /** Bytes from the start of the disk, or of the partition that it lies in. */
  readonly start: number;
  /** Bytes, as the table says. */
  readonly length: number;
  /** MBR only. */
  readonly msdosType: number | undefined;
}

/** What a module makes of a device: its partitions in the order it finds them, and why it stopped, if it did. */
export interface MapResult {
  readonly partitions: readonly MapPartition[];
  /** Undefined when the table is sound in GRUB's eyes. Partitions found before the error stay. */
  readonly error: string | undefined;
}

/** The bytes as far as the device goes; none when they cannot be read: to GRUB both are an error of this table alone. */
export async function tryRead(
  device: BlockDevice,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  try {
    return await readUpTo(device, offset, length, signal);
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return new Uint8Array(0);
  }
}
