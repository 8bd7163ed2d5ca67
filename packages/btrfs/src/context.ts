import type { LruCache, Report } from "@guestprobe/block";
import type { Decompressor } from "@guestprobe/codec";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import type { Checksum } from "./checksum.js";
import type { Decompress } from "./decompress.js";
import type { Subvolumes } from "./subvolume.js";
import type { Superblock } from "./superblock.js";
import type { TreeReader } from "./tree.js";
import type { Volume } from "./volume.js";

/** What the parts of an open volume share. */
export interface Context {
  readonly superblock: Superblock;
  readonly volume: Volume;
  readonly trees: TreeReader;
  readonly subvolumes: Subvolumes;
  readonly checksum: Checksum;
  readonly policy: ChecksumPolicy;
  /** Whether file data is verified. */
  readonly verify: boolean;
  /** Decoded extents by their place on the disk. */
  readonly decoded: LruCache<string, Uint8Array>;
  /** Those that are being decoded, so that nobody starts on them again. */
  readonly decoding: Map<string, Promise<Uint8Array>>;
  readonly decompressor: Decompressor;
  /** By compression, and by whether they are for large files. */
  readonly decompressors: Map<string, Decompress>;
  readonly report: Report | undefined;
}
