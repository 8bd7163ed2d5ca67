import { ImageError, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { checkSelf, readBytes, type XfsContext } from "./context.js";
import type { Dinode } from "./dinode.js";
import { forkRecords, outside } from "./fork.js";
import { fsBlockToByte } from "./geometry.js";
import { XFS_SYMLINK_MAGIC, XFS_SYMLINK_MAXLEN, xfs_remote_hdr } from "./layout/da.js";
import { XFS_DINODE_FMT_LOCAL } from "./layout/inode.js";

/**
 * The target of a symbolic link: inside the inode, or in blocks of its own. XFS Algorithms & Data Structures, 3rd ed.,
 * "Symbolic Links".
 *
 * @throws ImageError `corrupt`, `bad-checksum`, `past-end`.
 */
export async function readSymlink(
  ctx: XfsContext,
  inode: Dinode,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { size, data: fork } = inode;
  const sizeAt = { format: "xfs", structure: "xfs_dinode", field: "di_size", offset: inode.at + 56 };
  if (size === 0 || size > XFS_SYMLINK_MAXLEN) {
    throw new ImageError("corrupt", `inode ${inode.ino}: a symbolic link of ${size} bytes`, sizeAt);
  }
  if (fork.format === XFS_DINODE_FMT_LOCAL) {
    if (size > fork.bytes.length) {
      const text = `inode ${inode.ino}: a link of ${size} bytes in a fork of ${fork.bytes.length}`;
      throw new ImageError("corrupt", text, sizeAt);
    }
    return untilNul(fork.bytes.subarray(0, size)).slice();
  }
  const target = new Uint8Array(size);
  let done = 0;
  // One byte to a block is the least that a piece can hold: the last block lies before block `size`.
  for await (const records of forkRecords(ctx, fork, 0, size, signal)) {
    for (const record of records) {
      if (done === size) break;
      const at = fsBlockToByte(ctx.sb, record.startBlock, record.count);
      if (at === undefined) throw outside(fork, record);
      // A target has three blocks at most; a longer extent is a lie that must not be read.
      const length = Math.min(record.count * ctx.sb.blockSize, 4 * Math.max(ctx.sb.blockSize, XFS_SYMLINK_MAXLEN));
      const data = await readBytes(ctx, at, length, signal);
      const piece = ctx.sb.version === 5 ? remotePiece(ctx, inode, data, at, done) : data.subarray(0, size - done);
      target.set(piece, done);
      done += piece.length;
    }
  }
  if (done < size) {
    const text = `inode ${inode.ino}: ${done} bytes of a link of ${size} are there`;
    throw new ImageError("corrupt", text, sizeAt);
  }
  return untilNul(target);
}

/** What one extent of a version 5 link holds, after the header at its start. */
function remotePiece(ctx: XfsContext, inode: Dinode, data: Uint8Array, at: number, done: number): Uint8Array {
  const structure = "xfs_dsymlink_hdr";
  const view = viewOf(data);
  const magic = xfs_remote_hdr.magic(view, 0);
  if (magic !== XFS_SYMLINK_MAGIC) {
    throw new ImageError("corrupt", `inode ${inode.ino}: magic is 0x${magic.toString(16)}, expected XSLM`, {
      format: "xfs",
      structure,
      field: "sl_magic",
      offset: at,
    });
  }
  checkSelf(ctx, data, at, { structure, crc: 12, uuid: 16, blkno: 40, owner: 32 }, inode.ino);
  const offset = xfs_remote_hdr.offset(view, 0);
  const bytes = xfs_remote_hdr.bytes(view, 0);
  if (offset !== done || bytes === 0 || bytes > data.length - xfs_remote_hdr.$size || done + bytes > inode.size) {
    const text = `inode ${inode.ino}: ${bytes} bytes from byte ${offset} of a link, where byte ${done} is due`;
    throw new ImageError("corrupt", text, { format: "xfs", structure, field: "sl_bytes", offset: at + 4 });
  }
  return data.subarray(xfs_remote_hdr.$size, xfs_remote_hdr.$size + bytes);
}
