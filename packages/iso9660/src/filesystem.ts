import { type BlockDevice, finding, isImageError, throwIfAborted } from "@guestprobe/block";
import { type FileSystem, type FileSystemFormat, InodeIndex, type OpenOptions } from "@guestprobe/vfs";
import { type DescriptorSet, readDescriptors, signatureOf, type VolumeDescriptor } from "./descriptors.js";
import { type BootEntry, readBootCatalogue } from "./el-torito.js";
import { EMPTY_ROCK_RIDGE, TRUNCATED, UDF_BRIDGE } from "./findings.js";
import { openAt, openDirectory } from "./iso-inode.js";
import { labelOf } from "./label.js";
import { iso_primary_descriptor } from "./layout.js";
import type { IsoEntry } from "./name-index.js";
import { corrupt, FORMAT, failure, placeOf } from "./place.js";
import { type DirectoryRecord, decodeRecord, isProblem } from "./record.js";
import { dateUuid } from "./times.js";
import { type NameScheme, readRockRidge, Volume } from "./volume.js";

/** An open ISO 9660 volume. */
export interface IsoFileSystem extends FileSystem {
  /** Which tree is shown: Rock Ridge's before Joliet's before the plain one, as Linux chooses. */
  readonly scheme: NameScheme;
  /** What firmware may boot from the disc, by the El Torito catalogue; empty where there is none. */
  bootEntries(signal?: AbortSignal): Promise<readonly BootEntry[]>;
}

export const isIso9660 = (fs: FileSystem): fs is IsoFileSystem => fs.kind === "iso9660" && "bootEntries" in fs;

/** ISO 9660 with Rock Ridge and Joliet, as Linux reads it. UDF alone and High Sierra are known and refused by name. */
export const iso9660: FileSystemFormat = {
  name: "iso9660",

  async probe(device, signal) {
    throwIfAborted(signal);
    try {
      return (await signatureOf(device, signal)) !== undefined;
    } catch (error) {
      if (!isImageError(error) || error.code === "aborted") throw error;
      return false;
    }
  },

  async open(device, options = {}) {
    throwIfAborted(options.signal);
    const set = await readDescriptors(device, options.report, options.signal);
    return openVolume(device, set, options);
  },
};

async function openVolume(device: BlockDevice, set: DescriptorSet, options: OpenOptions): Promise<IsoFileSystem> {
  const { report, signal } = options;
  const { primary, joliet } = set;
  if (primary.size > device.size) {
    const message = `the volume has ${primary.size} bytes, the device ${device.size}`;
    report?.(finding(TRUNCATED, message, placeOf(iso_primary_descriptor, "volume_space_size", primary.offset)));
  }
  if (set.hasUdf) report?.(finding(UDF_BRIDGE, "UDF's descriptors follow", { format: FORMAT }));
  const { scheme, skip } = await choose(device, set, options);
  const descriptor = scheme === "joliet" && joliet !== undefined ? joliet.descriptor : primary;
  const volume = new Volume({ device, set, descriptor, scheme, skip, report });
  const rootRecord = rootOf(descriptor);
  const rootIno = volume.inoAt(volume.blockOffset(rootRecord.extent));
  const root = await openDirectory(volume, { record: rootRecord, rock: undefined }, rootIno, signal);
  const index = new InodeIndex(root, ({ ref }) => (ref as IsoEntry).parts.map(({ offset }) => offset));
  return {
    kind: "iso9660",
    scheme,
    label: labelOf(set),
    uuid: dateUuid(primary.modified) ?? dateUuid(primary.created),
    blockSize: descriptor.blockSize,
    size: primary.size,
    features: [
      ...(scheme === "rock-ridge" ? ["Rock Ridge"] : []),
      ...(joliet === undefined ? [] : [`Joliet level ${joliet.level}`]),
      ...(set.bootCatalogue === undefined ? [] : ["El Torito"]),
      ...(set.hasUdf ? ["UDF"] : []),
    ],

    async root(rootSignal) {
      throwIfAborted(rootSignal);
      return root;
    },

    async inode(ino, inodeSignal) {
      throwIfAborted(inodeSignal);
      if (ino === rootIno) return root;
      const offsets = await index.find(ino, inodeSignal);
      if (offsets === undefined) throw failure("not-found", `no directory record has the number ${ino}`);
      return openAt(volume, offsets, inodeSignal);
    },

    async bootEntries(bootSignal) {
      throwIfAborted(bootSignal);
      if (set.bootCatalogue === undefined) return [];
      return readBootCatalogue(device, set.bootCatalogue, report, bootSignal);
    },
  };
}

function rootOf({ root, offset }: VolumeDescriptor): DirectoryRecord {
  const at = iso_primary_descriptor.$fields.root_directory_record.offset;
  const record = decodeRecord(root, 0, offset + at);
  if (record !== undefined && !isProblem(record)) return record;
  const reason = record?.reason ?? "no record of the root directory";
  throw corrupt(iso_primary_descriptor, "root_directory_record", offset, reason);
}

/**
 * Which tree is shown, and what to pass over in its system use areas. Linux, fs/isofs/inode.c, isofs_fill_super: Rock Ridge
 * where its root announces it, unless that root is empty and Joliet is there too.
 */
async function choose(
  device: BlockDevice,
  set: DescriptorSet,
  { report, signal }: OpenOptions,
): Promise<{ readonly scheme: NameScheme; readonly skip: number }> {
  const { primary, joliet } = set;
  const plain = new Volume({ device, set, descriptor: primary, scheme: "plain", skip: 0, report: undefined });
  const fallback = { scheme: joliet === undefined ? ("plain" as const) : ("joliet" as const), skip: 0 };
  try {
    const start = plain.blockOffset(rootOf(primary).extent);
    const own = await plain.ownRecord(start, signal);
    const rock = await readRockRidge({ device, report, descriptor: primary }, own, own.systemUse, true, signal);
    if (!rock.isAnnounced) return { ...fallback, skip: rock.skip ?? 0 };
    if (joliet !== undefined && (await isEmpty(plain, start, own.size, signal))) {
      report?.(finding(EMPTY_ROCK_RIDGE, "Joliet's tree is shown", { format: FORMAT, offset: start }));
      return fallback;
    }
    return { scheme: "rock-ridge", skip: rock.skip ?? 0 };
  } catch (error) {
    if (!isImageError(error) || error.code === "aborted") throw error;
    return fallback;
  }
}

async function isEmpty(volume: Volume, start: number, size: number, signal: AbortSignal | undefined): Promise<boolean> {
  for await (const _ of volume.records(start, size, undefined, signal)) return false;
  return true;
}
