import type { BlockDevice, Finding, Report } from "@guestprobe/block";

/**
 * - `mbr`, `gpt`: the tables of PCs.
 * - `bsd`: a disklabel on a disk of its own, or in an MBR partition of FreeBSD; `netbsd`, `openbsd`: found from an MBR
 *   partition of these, and counting from the start of the disk.
 * - `dfly`: DragonFly's disklabel64.
 * - `apple`, `sun`, `dvh` (SGI), `amiga`, `acorn` (Linux on Acorn): other machines' own.
 * - `sunpc`: Solaris on PCs. `plan`: Plan 9.
 *
 * But for `mbr`, these are GRUB's words.
 */
export type TableKind =
  | "mbr"
  | "gpt"
  | "bsd"
  | "netbsd"
  | "openbsd"
  | "dfly"
  | "apple"
  | "sun"
  | "sunpc"
  | "dvh"
  | "amiga"
  | "plan"
  | "acorn";

/**
 * What a table is there for.
 *
 * - `main`: it describes the disk.
 * - `protective`: an MBR whose only entry keeps old tools off a GPT disk.
 * - `hybrid`: an MBR beside a GPT, with entries of its own; or another table beside the main one, as on discs that start
 *   on Macs too.
 * - `stale`: a GPT left behind on a disk that an MBR describes now. Its partitions are not listed.
 */
export type TableRole = "main" | "protective" | "hybrid" | "stale";

export interface PartitionTable {
  readonly kind: TableKind;
  readonly role: TableRole;
  /** Bytes in the sectors that the table counts in. */
  readonly sectorSize: number;
  /** Where the table in use lies: bytes from the start of the disk. For GPT, its header (the backup, if that one is used). */
  readonly offset: number;
  /** GPT: the disk's GUID, in upper case. MBR: its signature as eight hexadecimal digits; undefined when zero. */
  readonly uuid: string | undefined;
  /** How many entries the table has room for: 4 for MBR. */
  readonly slots: number;
  /** The partition that it lies in; undefined for a table of the disk. */
  readonly parent: Partition | undefined;
  /** What is wrong with it; also handed to `report`. */
  readonly problems: readonly Finding[];
}

export interface PartitionType {
  /** MBR: "0x83". GPT: the type GUID, in upper case. Others: the number or text that the table has. */
  readonly id: string;
  /** Undefined for types that the table of names does not hold. */
  readonly name: string | undefined;
}

export interface Partition {
  /** As Linux counts: the slot from 1; logical partitions from 5 in the order of their chain. */
  readonly number: number;
  readonly table: TableKind;
  /** The partition that its table lies in, and which its name begins with; undefined for one of the disk itself. */
  readonly parent: Partition | undefined;
  /** Role of the table that it comes from. */
  readonly role: TableRole;
  /** `extended` holds the logical ones and is no volume itself. Always `primary` for GPT. */
  readonly kind: "primary" | "extended" | "logical";
  /** Bytes from the start of the disk. */
  readonly start: number;
  /** Bytes, as the table says; may pass the end of the disk. */
  readonly length: number;
  readonly type: PartitionType;
  /** MBR: status 0x80. GPT: the attribute "legacy BIOS bootable". Amiga: the flag "bootable". */
  readonly active: boolean;
  /** GPT, Apple, Amiga and Plan 9 only. */
  readonly name: string | undefined;
  /** GPT: the partition's GUID, in upper case. MBR: signature and number, "abcdef12-01", as PARTUUID has it. */
  readonly uuid: string | undefined;
  /** GPT attributes that are set: "required", "no-block-io", "legacy-boot", "bit-60", ... */
  readonly attributes: readonly string[];
  /** Where its entry lies: bytes from the start of the disk. */
  readonly offset: number;
  /** Its bytes, as far as the disk goes. Undefined for an extended one, and for one that begins past the end. */
  readonly device: BlockDevice | undefined;
}

/** Bytes that belong to no partition and no table. */
export interface Gap {
  /** Bytes from the start of the disk. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
}

export interface Partitions {
  /** The one that describes the disk first. Empty where there is none. */
  readonly tables: readonly PartitionTable[];
  /** Those of the main table by number, then those of other tables, then those of tables inside partitions. */
  readonly partitions: readonly Partition[];
  /** In order. Empty where there is no table. */
  readonly gaps: readonly Gap[];
}

export interface PartitionOptions {
  /** Bytes in a sector. Default: where the GPT header says, then what the device says, then 512. */
  readonly sectorSize?: number;
  /**
   * Whether to look for tables inside partitions: in those whose MBR type says that there is one (`announced`, the default),
   * or in all, at the cost of one read for each (`any`).
   */
  readonly nested?: "announced" | "any";
  readonly report?: Report;
  readonly signal?: AbortSignal;
}
