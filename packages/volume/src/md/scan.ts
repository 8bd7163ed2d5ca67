import {
  type BlockDevice,
  encodeText,
  equalBytes,
  finding,
  findingFromError,
  ImageError,
  isImageError,
  readUpTo,
  sliceDevice,
} from "@guestprobe/block";
import type { AssembleOptions, VolumeMember } from "../types.js";
import { withoutBadBlocks } from "./bad-blocks.js";
import { MD_AMBIGUOUS } from "./findings.js";
import { SECTOR_SIZE } from "./layout.js";
import { decodeSuperblock0, endianOf0, superblock0Offset } from "./superblock-0.js";
import { decodeSuperblock1, hasMagic1, superblock1Offset } from "./superblock-1.js";
import type { MdMember, MdSuperblock } from "./types.js";

/** Metadata of a kind that md leaves to mdadm: the device belongs to arrays that this toolkit does not read. */
export interface MdContainer {
  readonly member: VolumeMember;
  readonly kind: "imsm" | "ddf";
  /** Bytes from the start of the device. */
  readonly offset: number;
}

/** What there is of md on a set of devices. */
export interface MdScan {
  readonly members: readonly MdMember[];
  readonly containers: readonly MdContainer[];
}

const SUPERBLOCK_BYTES = 4096;
/** The anchor of Intel's metadata lies in the last sector but one, that of DDF in the last. */
const IMSM_SIGNATURE = encodeText("Intel Raid ISM Cfg Sig. ");
const DDF_SIGNATURE = Uint8Array.of(0xde, 0x11, 0xde, 0x11);

/**
 * Looks for superblocks of md on each device, in the order given. A damaged one is a finding, and the others are read. Four
 * reads of some kilobytes for a device.
 */
export async function findMdMembers(members: readonly VolumeMember[], options: AssembleOptions = {}): Promise<MdScan> {
  const found = await Promise.all(members.map((member) => scanMember(member, options)));
  return {
    members: found.flatMap(({ md }) => (md === undefined ? [] : [md])),
    containers: found.flatMap(({ container }) => (container === undefined ? [] : [container])),
  };
}

async function scanMember(
  member: VolumeMember,
  options: AssembleOptions,
): Promise<{ readonly md?: MdMember | undefined; readonly container?: MdContainer | undefined }> {
  const { report, signal } = options;
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      report?.(findingFromError(error, { device: member.name }));
      return undefined;
    }
  };
  const { device } = member;
  const found: MdSuperblock[] = [];
  for (const { offset, decode } of places(device.size)) {
    const superblock = await attempt(async () =>
      decode(await readUpTo(device, offset, SUPERBLOCK_BYTES, signal), offset),
    );
    if (superblock !== undefined) found.push(superblock);
  }
  // mdadm believes the youngest: an older one was left behind when the device was used anew.
  const [newest, ...others] = found.sort((a, b) => b.created - a.created);
  if (newest === undefined) {
    const container = await attempt(() => findContainer(member, signal));
    return { container };
  }
  if (others.length > 0) {
    const versions = others.map(({ version }) => version).join(" and ");
    const message = `the superblock of version ${newest.version} is younger than that of version ${versions}`;
    report?.(finding(MD_AMBIGUOUS, message, { ...placeOf(newest), device: member.name }));
  }
  const data = await attempt(() => dataOf(device, newest, options.signal));
  return { md: data === undefined ? undefined : { member, superblock: newest, data } };
}

/** The place of a superblock, for findings. */
export const placeOf = ({ structure, offset }: MdSuperblock) => ({ format: "md", structure, offset });

interface Place {
  readonly offset: number;
  /** Undefined where no superblock of this version is. @throws ImageError */
  decode(data: Uint8Array, offset: number): MdSuperblock | undefined;
}

/** Every place where a superblock may lie on a device of `size` bytes. */
function places(size: number): Place[] {
  const list: Place[] = [];
  for (const minor of [1, 2, 0] as const) {
    const offset = superblock1Offset(minor, size);
    if (offset === undefined) continue;
    const decode = (data: Uint8Array) => (hasMagic1(data) ? decodeSuperblock1(data, minor, offset, size) : undefined);
    list.push({ offset, decode });
  }
  const offset = superblock0Offset(size);
  if (offset !== undefined) {
    const decode = (data: Uint8Array) => {
      const endian = endianOf0(data);
      return endian === undefined ? undefined : decodeSuperblock0(data, endian, offset);
    };
    list.push({ offset, decode });
  }
  return list;
}

async function dataOf(
  device: BlockDevice,
  { dataOffset, dataSize, badBlocks }: MdSuperblock,
  signal: AbortSignal | undefined,
): Promise<BlockDevice> {
  const data = sliceDevice(device, dataOffset, Math.min(dataSize, device.size - dataOffset));
  if (badBlocks === undefined) return data;
  const list = await device.read(badBlocks.offset, badBlocks.length, signal);
  return withoutBadBlocks(data, list, badBlocks.unit, dataOffset);
}

async function findContainer(member: VolumeMember, signal: AbortSignal | undefined): Promise<MdContainer | undefined> {
  const { size, sectorSize = SECTOR_SIZE } = member.device;
  const offset = size - 2 * sectorSize;
  if (offset < 0) return undefined;
  const data = await member.device.read(offset, 2 * sectorSize, signal);
  const begins = (at: number, signature: Uint8Array) => equalBytes(data.subarray(at, at + signature.length), signature);
  if (begins(0, IMSM_SIGNATURE)) return { member, kind: "imsm", offset };
  return begins(sectorSize, DDF_SIGNATURE) ? { member, kind: "ddf", offset: offset + sectorSize } : undefined;
}

/** Why the arrays of a container are not read. */
export function containerError({ kind, offset }: MdContainer): ImageError {
  const what = kind === "imsm" ? "Intel's (imsm)" : "of the Disk Data Format (ddf)";
  const structure = kind === "imsm" ? "imsm_super" : "ddf_header";
  return new ImageError("unsupported", `arrays whose metadata are ${what}`, { format: "md", structure, offset });
}
