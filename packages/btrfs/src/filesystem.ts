import {
  type BlockDevice,
  featureNames,
  finding,
  formatUuid,
  ImageError,
  LruCache,
  throwIfAborted,
} from "@guestprobe/block";
import { type Decompressor, inlineDecompressor } from "@guestprobe/codec";
import { type FileSystem, type Inode, type OpenOptions, resolve } from "@guestprobe/vfs";
import {
  type BtrfsDevice,
  bootstrapChunks,
  chunkName,
  findMembers,
  inspectDevices,
  readChunkTree,
} from "./assemble.js";
import { loadChecksum } from "./checksum.js";
import type { Context } from "./context.js";
import { COMPAT_RO, INCOMPAT } from "./features.js";
import { BTRFS_LOG_TREE, BTRFS_METADUMP } from "./findings.js";
import { readInode, requireInode } from "./inode.js";
import { btrfs_super_block, FS_TREE_OBJECTID, ROOT_TREE_OBJECTID } from "./layout.js";
import type { RootItem } from "./root-item.js";
import { type Subvolume, Subvolumes } from "./subvolume.js";
import { TreeReader } from "./tree.js";
import { Volume } from "./volume.js";

/** An open btrfs volume, seen from one of its subvolumes. */
export interface BtrfsFileSystem extends FileSystem {
  /** Id of the subvolume whose root is the root here; 5 is the top level, where GRUB begins. */
  readonly subvolume: number;
  /** Devices that the volume consists of, whether they were given or not. */
  readonly devices: readonly BtrfsDevice[];
  /** Profiles in use: "dup metadata", "single data". */
  readonly profiles: readonly string[];
  /** "crc32c", "xxhash64", "sha256", "blake2". */
  readonly checksum: string;
  /** Transaction of the superblock. */
  readonly generation: number;
  /** All subvolumes and snapshots, the top level first. */
  subvolumes(signal?: AbortSignal): Promise<readonly Subvolume[]>;
  /** Id of the subvolume that Linux mounts when none is named. */
  defaultSubvolume(signal?: AbortSignal): Promise<number>;
  /**
   * The same volume seen from another subvolume; caches are shared.
   *
   * @throws ImageError `not-found`.
   */
  openSubvolume(id: number, signal?: AbortSignal): Promise<BtrfsFileSystem>;
}

/** Bytes of nodes and of decoded extents that are kept, half each. */
const CACHE_BUDGET = 32 << 20;

class BtrfsView implements BtrfsFileSystem {
  readonly kind = "btrfs";
  readonly label: Uint8Array;
  readonly uuid: string;
  readonly blockSize: number;
  readonly size: number;
  readonly features: readonly string[];
  readonly subvolume: number;
  readonly devices: readonly BtrfsDevice[];
  readonly profiles: readonly string[];
  readonly checksum: string;
  readonly generation: number;
  readonly #context: Context;
  readonly #root: RootItem;

  constructor(context: Context, devices: readonly BtrfsDevice[], root: RootItem) {
    const { superblock, checksum, volume } = context;
    this.label = superblock.label;
    this.uuid = formatUuid(superblock.fsid);
    this.blockSize = superblock.sectorsize;
    this.size = superblock.totalBytes;
    this.features = [
      ...featureNames(superblock.incompatFlags, INCOMPAT),
      ...featureNames(superblock.compatRoFlags, COMPAT_RO),
    ];
    this.subvolume = root.id;
    this.devices = devices;
    this.profiles = [...new Set(volume.chunkMap.chunks.map(chunkName))];
    this.checksum = checksum.name;
    this.generation = superblock.generation;
    this.#context = context;
    this.#root = root;
  }

  async root(signal?: AbortSignal): Promise<Inode> {
    return requireInode(this.#context, this.#root, this.#root.dirid, signal);
  }

  async inode(ino: number, signal?: AbortSignal): Promise<Inode> {
    const isPossible = Number.isSafeInteger(ino) && ino >= 0;
    const inode = isPossible ? await readInode(this.#context, this.#root, ino, signal) : undefined;
    if (inode === undefined) {
      throw new ImageError("not-found", `subvolume ${this.subvolume} has no inode ${ino}`, { format: "btrfs" });
    }
    return inode;
  }

  subvolumes(signal?: AbortSignal): Promise<readonly Subvolume[]> {
    return this.#context.subvolumes.list(signal);
  }

  defaultSubvolume(signal?: AbortSignal): Promise<number> {
    return this.#context.subvolumes.defaultId(signal);
  }

  async openSubvolume(id: number, signal?: AbortSignal): Promise<BtrfsFileSystem> {
    return new BtrfsView(this.#context, this.devices, await this.#context.subvolumes.open(id, signal));
  }
}

/** The view that `OpenOptions.subvol` asks for: "top", "default", an id, or the path of a subvolume. */
async function selectSubvolume(
  top: BtrfsFileSystem,
  wanted: string,
  signal: AbortSignal | undefined,
): Promise<BtrfsFileSystem> {
  if (wanted === "top") return top;
  if (wanted === "default") return top.openSubvolume(await top.defaultSubvolume(signal), signal);
  if (/^\d+$/.test(wanted)) return top.openSubvolume(Number(wanted), signal);
  const found = await resolve(top, wanted.startsWith("/") ? wanted : `/${wanted}`, { signal });
  const id = found?.inode.subvolume;
  const view =
    id === undefined || found?.inode.standsFor !== undefined ? undefined : await top.openSubvolume(id, signal);
  if (view === undefined || (await view.root(signal)).stat.ino !== found?.inode.stat.ino) {
    throw new ImageError("not-found", `"${wanted}" is not the path of a subvolume`, { format: "btrfs" });
  }
  return view;
}

/** Opens btrfs: what `btrfs.open` does, with compressed extents decoded by `decompressor`. */
export async function openBtrfs(
  device: BlockDevice,
  options: OpenOptions = {},
  decompressor: Decompressor = inlineDecompressor,
): Promise<BtrfsFileSystem> {
  const { report, signal, checksums = "report", cacheBudget = CACHE_BUDGET } = options;
  throwIfAborted(signal);
  const { superblock, members, fsids } = await findMembers(device, options);
  const checksum = await loadChecksum(superblock.csumType, superblock.offset);
  const volume = new Volume();
  for (const member of members) volume.add(member);
  bootstrapChunks(superblock, volume);
  const { nodesize, sectorsize } = superblock;
  const budget = cacheBudget / 2;
  const trees = new TreeReader({
    volume,
    checksum,
    policy: checksums,
    nodesize,
    sectorsize,
    fsids,
    cacheBudget: budget,
    report,
  });
  const items = await readChunkTree(superblock, volume, trees, signal);
  const devices = inspectDevices(superblock, volume, items, report);
  const place = { format: "btrfs", structure: btrfs_super_block.$name };
  if (superblock.logRoot !== 0) {
    const offset = superblock.offset + btrfs_super_block.$fields.log_root.offset;
    report?.(
      finding(BTRFS_LOG_TREE, "there is a log tree; it is not applied", { ...place, field: "log_root", offset }),
    );
  }
  if (superblock.isMetadump) {
    report?.(finding(BTRFS_METADUMP, "the image is a dump of metadata", { ...place, field: "flags" }));
  }
  const { root, rootLevel: level, generation } = superblock;
  const rootTree = { logical: root, level, generation, tree: ROOT_TREE_OBJECTID };
  const subvolumes = new Subvolumes(superblock, trees, rootTree);
  const context: Context = {
    superblock,
    volume,
    trees,
    subvolumes,
    checksum,
    policy: checksums,
    verify: options.verify ?? false,
    decoded: new LruCache(budget),
    decoding: new Map(),
    decompressor,
    decompressors: new Map(),
    report,
  };
  const top = new BtrfsView(context, devices, await subvolumes.tree(FS_TREE_OBJECTID, signal));
  return selectSubvolume(top, options.subvol ?? "top", signal);
}
