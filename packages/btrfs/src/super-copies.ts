import { type BlockDevice, equalBytes, finding, ImageError, isImageError, type Report } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { ChecksumPolicy } from "@guestprobe/vfs";
import { checksumMatches, loadChecksum } from "./checksum.js";
import { BTRFS_BAD_BLOCK, BTRFS_SUPER_COPY } from "./findings.js";
import { btrfs_super_block, CSUM_SIZE, SUPER_OFFSETS, SUPER_SIZE } from "./layout.js";
import { decodeSuperblock, hasSuperMagic, type Superblock } from "./superblock.js";

/** One copy of the superblock, and what is wrong with it. */
interface Copy {
  readonly offset: number;
  readonly superblock: Superblock | undefined;
  readonly error: ImageError | undefined;
  readonly checksumMatches: boolean;
}

/** The copy at `offset`; undefined where the device ends before it or the magic is not there. */
async function readCopy(
  device: BlockDevice,
  offset: number,
  policy: ChecksumPolicy,
  signal: AbortSignal | undefined,
): Promise<Copy | undefined> {
  if (offset + SUPER_SIZE > device.size) return undefined;
  try {
    const data = await device.read(offset, SUPER_SIZE, signal);
    if (!hasSuperMagic(data)) return undefined;
    const checksum = await loadChecksum(btrfs_super_block.csum_type(viewOf(data), 0), offset);
    const matches = policy === "ignore" || checksumMatches(checksum, data, data.subarray(CSUM_SIZE));
    return { offset, superblock: decodeSuperblock(data, offset), error: undefined, checksumMatches: matches };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return { offset, superblock: undefined, error, checksumMatches: false };
  }
}

const badChecksum = (offset: number): ImageError =>
  new ImageError("bad-checksum", `the superblock at byte ${offset} fails its checksum`, {
    format: "btrfs",
    structure: btrfs_super_block.$name,
    field: "csum",
    offset,
  });

/**
 * The newest sound copy of the superblock. Copies of another volume, left over from before a format, do not count as
 * long as the first copy is sound.
 *
 * @throws ImageError `not-this-format` when no copy has the magic; else the error of the first one that does.
 */
export async function readSuperblock(
  device: BlockDevice,
  policy: ChecksumPolicy,
  report: Report | undefined,
  signal: AbortSignal | undefined,
): Promise<Superblock> {
  const all = await Promise.all(SUPER_OFFSETS.map((offset) => readCopy(device, offset, policy, signal)));
  const copies = all.filter((copy) => copy !== undefined);
  const first = copies[0];
  // Nothing is there: the decoder says so, with the place where it looked.
  if (first === undefined) return decodeSuperblock(new Uint8Array(0), SUPER_OFFSETS[0]);
  // An unknown feature is no damage: an older copy without it would show a volume that is no more.
  if (first.error?.code === "unsupported") throw first.error;

  const sound = copies.filter((copy) => copy.superblock !== undefined && copy.checksumMatches);
  const family = sound.filter((copy) => equalBytes(copy.superblock!.fsid, sound[0]!.superblock!.fsid));
  const newest = family.reduce<Copy | undefined>(
    (best, copy) => (best !== undefined && best.superblock!.generation >= copy.superblock!.generation ? best : copy),
    undefined,
  );
  if (newest?.superblock === undefined) {
    if (first.superblock === undefined) throw first.error ?? badChecksum(first.offset);
    const error = badChecksum(first.offset);
    if (policy === "require") throw error;
    report?.(finding(BTRFS_BAD_BLOCK, error.reason, placeOf(error)));
    return first.superblock;
  }
  for (const copy of copies) {
    if (sound.includes(copy)) continue;
    const error = copy.error ?? badChecksum(copy.offset);
    report?.(finding(BTRFS_SUPER_COPY, error.reason, placeOf(error)));
  }
  if (newest.offset !== SUPER_OFFSETS[0]) {
    report?.(
      finding(
        BTRFS_SUPER_COPY,
        `the copy at byte ${newest.offset} is in use, of generation ${newest.superblock.generation}`,
        {
          format: "btrfs",
          structure: btrfs_super_block.$name,
          offset: newest.offset,
        },
      ),
    );
  }
  return newest.superblock;
}

/** The place of an error, as a finding has it. */
export function placeOf(error: ImageError): Pick<ImageError, "format" | "structure" | "field" | "offset"> {
  const { format, structure, field, offset } = error;
  return { format, structure, field, offset };
}
