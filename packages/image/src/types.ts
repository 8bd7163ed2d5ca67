import type { BlockDevice, Report } from "@guestprobe/block";

/** The formats that are read. "vhd" is what QEMU calls "vpc". */
export type ImageFormat = "raw" | "qcow2" | "vhd" | "vhdx" | "vmdk" | "vdi";

/** Formats that are recognised, and refused by name. The last four are a compressed file of any kind. */
export type ForeignFormat = "qcow" | "qed" | "parallels" | "gzip" | "xz" | "zstd" | "bzip2";

/**
 * What a header names a file for.
 *
 * - `backing`: the image below, which holds what this one does not (also called parent or base).
 * - `extent`: a part of this very disk (VMDK).
 * - `data-file`: the file with the guest's clusters (qcow2 with an external data file).
 */
export type ReferenceKind = "backing" | "extent" | "data-file";

/**
 * Supplies a file that an image names, or undefined for "not allowed". Nothing that an image names is ever opened in
 * another way. The name is the image's own text, from a possibly hostile guest: relative, absolute, with `..`, a UNC
 * path, a URL. An image that gives several names for one file (VHD, VHDX) is asked about in turn until one is supplied.
 *
 * @param depth 0 for files that the image itself names, 1 for those its backing file names, and so on.
 */
export type ResolveFile = (name: string, kind: ReferenceKind, depth: number) => Promise<BlockDevice | undefined>;

export interface OpenImageOptions {
  /** The format, instead of looking at the content. "raw" makes any file its own disk. */
  readonly format?: ImageFormat | undefined;
  /** Without it no named file is opened: what needs one is reported, and rejects when it is read. */
  readonly resolve?: ResolveFile | undefined;
  /** qcow2: the internal snapshot to read instead of the current state, by id or, failing that, by name. */
  readonly snapshot?: string | undefined;
  /** Bytes of mapping tables and decoded clusters kept for the whole chain together. Default 32 MiB. */
  readonly cacheBudget?: number | undefined;
  readonly report?: Report | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A state of the disk that is kept inside the image. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970 UTC. */
  readonly timeMs: number;
  /** Bytes of the virtual disk at that time. */
  readonly virtualSize: number;
  /** Bytes of saved machine state; 0 for a disk-only snapshot. */
  readonly vmStateSize: number;
}

/** A file that a header names. */
export interface FileReference {
  readonly kind: ReferenceKind;
  /** The names it goes by, as stored, most useful first. VDI knows its parent by UUID alone: that is then the name. */
  readonly names: readonly string[];
  /** The format that the header states for it, in the header's own words: "raw", "qcow2". */
  readonly format: string | undefined;
}

/** What the headers say. */
export interface ImageInfo {
  /** "v2", "v3", "fixed", "dynamic", "differencing", "monolithicSparse", ...: the format's own word. */
  readonly subformat: string | undefined;
  /** Bytes in the unit of allocation (cluster, block, grain). */
  readonly clusterSize: number | undefined;
  /** Every file that the headers name, whether or not it was supplied. */
  readonly references: readonly FileReference[];
  readonly snapshots: readonly Snapshot[];
  /** Names of dirty bitmaps, which do not matter to a reader. */
  readonly bitmaps: readonly string[];
  /** Feature names that are set, as the format's tools print them. */
  readonly features: readonly string[];
  /** "zlib" or "zstd" where clusters may be compressed. */
  readonly compression: string | undefined;
  /** The program that wrote the image, as it signs itself. */
  readonly creator: string | undefined;
}

/** Where a run of the virtual disk is stored. */
export interface AllocationRun {
  /** Bytes from the start of the virtual disk. */
  readonly offset: number;
  /** Bytes of the virtual disk. */
  readonly length: number;
  /** `zero` is marked as zeros; `absent` is in no image of the chain, and reads as zeros too. */
  readonly kind: "data" | "compressed" | "zero" | "absent";
  /** Which image of the chain decides: 0 is the one that was opened, 1 its backing file. */
  readonly depth: number;
  /** Where `data` starts: bytes from the start of the file that stores it. */
  readonly physical: number | undefined;
}

/** An open image. It owns no resource but memory: files below are the caller's to close. */
export interface DiskImage {
  readonly format: ImageFormat;
  /** The virtual disk. Its `map` knows the holes. */
  readonly device: BlockDevice;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  readonly info: ImageInfo;
  /** The image below, if this one names one that was supplied and could be opened. */
  readonly backing: DiskImage | undefined;
  /** Where the bytes of a range of the virtual disk come from, in order and without a gap. */
  allocation(offset: number, length: number, signal?: AbortSignal): AsyncIterable<readonly AllocationRun[]>;
}
