import { decodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { befs_be, befs_le } from "./layout/befs.js";
import { type Found, labelOf, type ReadMore, type SignatureRow } from "./row.js";
import type { Window } from "./window.js";

const MAGIC_AT = befs_le.disk_super_block.$fields.magic1.offset;
const MAGIC_1 = 0x42465331;
const MAGIC_2 = 0xdd121031;
const MAGIC_3 = 0x15b6830e;
/** Stored so that the writer's own order reads as this. */
const BYTE_ORDER = 0x42494745;
const INODE_MAGIC = 0x3bbe0ad9;
const UINT64_TYPE = 0x554c4c47;
const VOLUME_ID = "be:volume_id";
/** What the small attributes are looked through at most: an inode takes one block. */
const MAX_BLOCK = 1 << 13;

type Befs = typeof befs_le;

/** The byte order in which all of the magic numbers read as they should. */
function orderOf(view: DataView): Befs | undefined {
  return [befs_le, befs_be].find(
    ({ disk_super_block: sb }) =>
      sb.magic1(view, 0) === MAGIC_1 &&
      sb.magic2(view, 0) === MAGIC_2 &&
      sb.magic3(view, 0) === MAGIC_3 &&
      sb.fs_byte_order(view, 0) === BYTE_ORDER,
  );
}

const superBlock = (window: Window, at: number): DataView | undefined =>
  window.view(at - MAGIC_AT, befs_le.disk_super_block.$size);

function decodeBefs(window: Window, at: number): Found | undefined {
  const view = superBlock(window, at);
  const order = view && orderOf(view);
  if (view === undefined || order === undefined) return undefined;
  const { disk_super_block: sb } = order;
  const shift = sb.block_shift(view, 0);
  if (shift < 10 || shift > 13 || sb.block_size(view, 0) !== 2 ** shift) return undefined;
  const version = order === befs_le ? "little-endian" : "big-endian";
  return { offset: at, version, label: labelOf(sb.name(view, 0)) };
}

/** What stands for a UUID is an attribute of the root directory. */
async function findVolumeId(window: Window, found: Found, read: ReadMore): Promise<Found> {
  const view = superBlock(window, found.offset);
  const order = view && orderOf(view);
  if (view === undefined || order === undefined) return found;
  const { disk_super_block: sb, bfs_inode } = order;
  const blockSize = sb.block_size(view, 0);
  const block = sb.root_dir_allocation_group(view, 0) * 2 ** sb.ag_shift(view, 0) + sb.root_dir_start(view, 0);
  const at = block * blockSize;
  const data = Number.isSafeInteger(at) ? await read(at, Math.min(blockSize, MAX_BLOCK)) : undefined;
  if (data === undefined || bfs_inode.magic1(viewOf(data), 0) !== INODE_MAGIC) {
    return { ...found, problem: "no inode where the root directory should be" };
  }
  const id = volumeId(data, order);
  return id === undefined || id === 0n ? found : { ...found, uuid: id.toString(16).padStart(16, "0") };
}

function volumeId(data: Uint8Array, { bfs_inode, small_data, uint64 }: Befs): bigint | undefined {
  const view = viewOf(data);
  const end = Math.min(data.length, bfs_inode.$size + bfs_inode.inode_size(view, 0));
  for (let at: number = bfs_inode.$size; at + small_data.$size <= end; ) {
    const [type, nameSize, dataSize] = [
      small_data.type(view, at),
      small_data.name_size(view, at),
      small_data.data_size(view, at),
    ];
    if (type === 0 && nameSize === 0 && dataSize === 0) return undefined;
    const nameAt = at + small_data.$size;
    const next = nameAt + nameSize + 3 + dataSize + 1;
    if (next > end) return undefined;
    const name = decodeText(data.subarray(nameAt, nameAt + nameSize));
    if (type === UINT64_TYPE && name === VOLUME_ID && dataSize === 8) {
      return uint64.value(view, nameAt + nameSize + 3);
    }
    at = next;
  }
  return undefined;
}

export const BEFS_ROW: SignatureRow = {
  kind: "befs",
  title: "BeFS file system",
  usage: "filesystem",
  source: "Haiku, headers/private/file_systems/bfs.h",
  minSize: 1440 << 10,
  magics: [0, 0x200].flatMap((at) => ["1SFB", "BFS1"].map((is) => ({ at: at + MAGIC_AT, is }))),
  decode: decodeBefs,
  more: findVolumeId,
};
