import { isPowerOfTwo, readUpTo } from "@guestprobe/block";
import { LE, struct, u16, u32, u64big, viewOf } from "@guestprobe/block/struct";
import type { GrubVersionId } from "../versions.js";
import type { Gate, GateVerdict } from "./types.js";

/** A compressor of squashfs, and what GRUB's driver does about it. */
export interface GrubCompressor {
  /** The value of the superblock's `compression`. */
  readonly id: number;
  /** As mksquashfs calls it. */
  readonly name: string;
  readonly verdict: "read" | "refuse";
  readonly why: string;
}

/** GRUB 2.06, fs/squash4.c, squash_mount: three cases, and an error for all else; 2.12 and Red Hat's builds the same. */
export const GRUB_SQUASH4_COMPRESSORS: readonly GrubCompressor[] = [
  { id: 1, name: "gzip", verdict: "read", why: "by the module gzio" },
  { id: 2, name: "lzma", verdict: "refuse", why: "GRUB has no case for it" },
  { id: 3, name: "lzo", verdict: "read", why: "by the minilzo that comes with GRUB" },
  { id: 4, name: "xz", verdict: "read", why: "by the module xzio, branch filters included" },
  { id: 5, name: "lz4", verdict: "refuse", why: "GRUB has no case for it" },
  { id: 6, name: "zstd", verdict: "refuse", why: "GRUB has no case for it" },
];

/** The builds that `GRUB_SQUASH4_COMPRESSORS` holds for. */
export const GRUB_SQUASH4_VERSIONS: readonly GrubVersionId[] = ["debian-2.06", "2.12", "redhat-2.12"];

/** The fields that GRUB's driver decides by. fs/squash4.c, struct grub_squash_super; little-endian. */
const grub_squash_super = struct("grub_squash_super", 96, LE, {
  magic: u32(0),
  block_size: u32(12), // bytes
  compression: u16(20),
  fragment_table: u64big(80), // bytes from the start of the device
});
const MAGIC = 0x7371_7368;
/** Where a pointer of 8 bytes is read when the volume is mounted, whether or not it has fragments. */
const FRAGMENT_POINTER = 8n;

/**
 * Decides from the first 96 bytes and the size of the device. GRUB 2.06, fs/squash4.c, squash_mount: neither version
 * nor any other table is looked at before a file is asked for. There is no label and no UUID.
 */
export function judgeSquash4(data: Uint8Array, deviceSize: number): GateVerdict {
  if (data.length < grub_squash_super.$size) return { verdict: "not-mine" };
  const view = viewOf(data);
  if (grub_squash_super.magic(view, 0) !== MAGIC) return { verdict: "not-mine" };
  const refuse = (reason: string): GateVerdict => ({ verdict: "refuse", error: "bad-fs", reason });
  const blockSize = grub_squash_super.block_size(view, 0);
  if (!isPowerOfTwo(blockSize)) return refuse(`block size of ${blockSize} bytes`);
  const fragments = grub_squash_super.fragment_table(view, 0);
  if (fragments + FRAGMENT_POINTER > BigInt(deviceSize)) return refuse("the fragment table lies past the device");
  const id = grub_squash_super.compression(view, 0);
  const compressor = GRUB_SQUASH4_COMPRESSORS.find((known) => known.id === id);
  if (compressor?.verdict === "read") return { verdict: "accept", label: undefined, uuid: undefined };
  return refuse(`GRUB does not read the compressor ${compressor?.name ?? id}`);
}

/** GRUB's driver for squashfs. */
export const squash4Gate: Gate = {
  driver: "squash4",
  kinds: ["squashfs"],
  async probe(device, _version, signal) {
    return judgeSquash4(await readUpTo(device, 0, grub_squash_super.$size, signal), device.size);
  },
};
