import { ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { Xattr } from "@guestprobe/vfs";
import { checkSelf, DA3_BLKINFO, type XfsContext } from "../context.js";
import type { Fork } from "../dinode.js";
import { type ForkBlock, readForkBlock } from "../fork.js";
import { decodeNode, forwardOf, indexKind } from "../hash-index.js";
import {
  XFS_ATTR_INCOMPLETE,
  XFS_ATTR_PARENT,
  XFS_ATTR3_RMT_MAGIC,
  XFS_XATTR_SIZE_MAX,
  xfs_remote_hdr,
} from "../layout/da.js";
import { XFS_DINODE_FMT_EXTENTS, XFS_DINODE_FMT_LOCAL } from "../layout/inode.js";
import { decodeLeafAttrs, decodeShortFormAttrs, type RemoteValue, type StoredAttr } from "./decode.js";
import { shownAs } from "./names.js";

/**
 * The extended attributes of a file, as Linux shows them to root.
 *
 * @throws ImageError `corrupt`, `bad-checksum`, `past-end`; `limit` for more than 64 MiB of values.
 */
export async function readAttrs(
  ctx: XfsContext,
  fork: Fork | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly Xattr[]> {
  if (fork === undefined) return [];
  if (fork.format === XFS_DINODE_FMT_LOCAL) {
    return decodeShortFormAttrs(fork.bytes, fork.at).flatMap(({ flags, name, value }) =>
      shownAs(flags, name, value as Uint8Array),
    );
  }
  // A fork without extents has no attributes: they were removed, or never written.
  if (fork.format === XFS_DINODE_FMT_EXTENTS && fork.extents === 0) return [];
  const shown: Xattr[] = [];
  let total = 0;
  for await (const stored of leafAttrs(ctx, fork, signal)) {
    for (const { flags, name, value } of stored) {
      if ((flags & (XFS_ATTR_PARENT | XFS_ATTR_INCOMPLETE)) !== 0) continue;
      const bytes = value instanceof Uint8Array ? value : await readRemoteValue(ctx, fork, value, signal);
      total += bytes.length;
      if (total > MAX_TOTAL) {
        throw new ImageError("limit", `more than ${MAX_TOTAL} bytes of attributes`, { format: "xfs", offset: fork.at });
      }
      shown.push(...shownAs(flags, name, bytes));
    }
  }
  return shown;
}

const MAX_TOTAL = 64 << 20;

/** The attributes of each leaf, from the first leaf on. */
async function* leafAttrs(
  ctx: XfsContext,
  fork: Fork,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly StoredAttr[], void, undefined> {
  const crc = ctx.sb.version === 5;
  let block = await readAttrBlock(ctx, fork, 0, signal);
  let level: number | undefined;
  for (let kind = indexKind(block, crc); kind !== "attr"; kind = indexKind(block, crc)) {
    if (kind !== "node") throw broken(fork, `its attributes begin with a block of kind ${kind}`, block.at);
    const node = decodeNode(block, crc);
    // Levels fall one by one, so a tree that leads back into itself ends.
    if (level !== undefined && node.level !== level - 1) throw broken(fork, `a node of level ${node.level}`, block.at);
    level = node.level;
    block = await readAttrBlock(ctx, fork, node.target(0), signal);
  }
  const visited = new Set<number>();
  for (;;) {
    visited.add(block.at);
    yield decodeLeafAttrs(block, crc);
    const next = forwardOf(block);
    if (next === 0) return;
    block = await readAttrBlock(ctx, fork, next, signal);
    if (visited.has(block.at) || indexKind(block, crc) !== "attr") {
      throw broken(fork, "its attribute leaves lead back, or to no leaf", block.at);
    }
  }
}

async function readAttrBlock(
  ctx: XfsContext,
  fork: Fork,
  first: number,
  signal: AbortSignal | undefined,
): Promise<ForkBlock> {
  const block = await readForkBlock(ctx, fork, first, 1, signal);
  if (block === undefined) throw broken(fork, `its attribute fork has no block ${first}`, fork.at);
  checkSelf(ctx, block.data, block.at, DA3_BLKINFO, fork.ino);
  return block;
}

/** A value in blocks of its own: in version 5 each of them begins with a header. "Remote Attribute Values". */
async function readRemoteValue(
  ctx: XfsContext,
  fork: Fork,
  remote: RemoteValue,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const structure = "xfs_attr3_rmt_hdr";
  if (remote.length > XFS_XATTR_SIZE_MAX) {
    const text = `inode ${fork.ino}: an attribute of ${remote.length} bytes`;
    throw new ImageError("corrupt", text, {
      format: "xfs",
      structure: "xfs_attr_leaf_name_remote",
      field: "valuelen",
      offset: remote.at,
    });
  }
  const value = new Uint8Array(remote.length);
  for (let done = 0, next = remote.block; done < value.length; next += 1) {
    const block = await readForkBlock(ctx, fork, next, 1, signal);
    if (block === undefined) throw broken(fork, `the value of an attribute has no block ${next}`, remote.at);
    if (ctx.sb.version !== 5) {
      value.set(block.data.subarray(0, value.length - done), done);
      done += block.data.length;
      continue;
    }
    const view = viewOf(block.data);
    const offset = xfs_remote_hdr.offset(view, 0);
    const bytes = xfs_remote_hdr.bytes(view, 0);
    const room = Math.min(block.data.length - xfs_remote_hdr.$size, value.length - done);
    if (xfs_remote_hdr.magic(view, 0) !== XFS_ATTR3_RMT_MAGIC || offset !== done || bytes !== room) {
      const text = `inode ${fork.ino}: ${bytes} bytes from byte ${offset} of an attribute, where byte ${done} is due`;
      throw new ImageError("corrupt", text, { format: "xfs", structure, offset: block.at });
    }
    checkSelf(ctx, block.data, block.at, { structure, crc: 12, uuid: 16, blkno: 40, owner: 32 }, fork.ino);
    value.set(block.data.subarray(xfs_remote_hdr.$size, xfs_remote_hdr.$size + bytes), done);
    done += bytes;
  }
  return value;
}

function broken(fork: Fork, reason: string, offset: number): ImageError {
  const text = `inode ${fork.ino}: ${reason}`;
  return new ImageError("corrupt", text, { format: "xfs", structure: "xfs_da_blkinfo", offset });
}
