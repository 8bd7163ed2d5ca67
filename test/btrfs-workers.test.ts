import { bufferDevice } from "@guestprobe/block";
import { btrfs, btrfsWith } from "@guestprobe/btrfs";
import { filePieces, type Inode, walkAll } from "@guestprobe/vfs";
import { expect, test } from "vitest";
// The built package: a worker thread loads its own file, which only a build has.
import { workerDecompressor } from "../packages/codec/dist/node/index.js";
import { fixtures } from "./lib/fixtures.js";

/** In pieces that no extent begins or ends with. */
async function inPieces(inode: Inode, piece: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < inode.stat.size; at += piece) parts.push(await inode.read(at, piece));
  return Buffer.concat(parts);
}

test.each(["dup-zstd", "lzo-zlib"])("%s: read through worker threads, every file is the same", async (name) => {
  const { image } = fixtures("btrfs").find((fixture) => fixture.name === name)!;
  await using pool = workerDecompressor({ threads: 2, minBytes: 0 });
  let decoded = 0;
  const counted: typeof pool.decode = (...args) => {
    decoded += 1;
    return pool.decode(...args);
  };
  const plain = await btrfs.open(bufferDevice(image()));
  const threaded = await btrfsWith({ decompressor: { decode: counted } }).open(bufferDevice(image()));
  for await (const { inode } of walkAll(threaded)) {
    if (inode?.stat.type !== "file" || inode.subvolume !== plain.subvolume) continue;
    const same = await (await plain.inode(inode.stat.ino)).read(0, inode.stat.size);
    expect((await inPieces(inode, 50_000)).equals(same)).toBe(true);
    const pieces: Uint8Array[] = [];
    for await (const piece of filePieces(inode, { reuse: true })) pieces.push(piece.slice());
    expect(Buffer.concat(pieces).equals(same)).toBe(true);
  }
  // Threads are for large files, and only one of the volumes has such a file.
  expect(decoded > 0).toBe(name === "dup-zstd");
});
