import { bufferDevice } from "@guestprobe/block";
import { squashfs, squashfsWith } from "@guestprobe/squashfs";
import { filePieces, walkAll } from "@guestprobe/vfs";
import { expect, test } from "vitest";
// The built package: a worker thread loads its own file, which only a build has.
import { workerDecompressor } from "../packages/codec/dist/node/index.js";
import { fixtures } from "./lib/fixtures.js";

test.each(fixtures("squashfs").map((fixture) => [fixture.name, fixture] as const))(
  "%s: read through worker threads, every file is the same",
  async (name, { image }) => {
    await using pool = workerDecompressor({ threads: 2, minBytes: 0 });
    let decoded = 0;
    const counted: typeof pool.decode = (...args) => {
      decoded += 1;
      return pool.decode(...args);
    };
    const [plain, threaded] = await Promise.all([
      squashfs.open(bufferDevice(image())),
      squashfsWith({ decompressor: { decode: counted } }).open(bufferDevice(image())),
    ]);
    let many = false;
    for await (const { inode } of walkAll(threaded)) {
      if (inode?.stat.type !== "file") continue;
      many ||= inode.stat.size >= 8 * threaded.blockSize;
      const { size, ino } = inode.stat;
      const same = await (await plain.inode(ino)).read(0, size);
      expect(Buffer.from(await inode.read(0, size)).equals(same)).toBe(true);
      const before = decoded;
      const pieces: Uint8Array[] = [];
      for await (const piece of filePieces(inode, { reuse: true })) pieces.push(piece.slice());
      expect(Buffer.concat(pieces).equals(same)).toBe(true);
      // To where it belongs, and no block twice.
      let blocks = 0;
      for await (const batch of inode.extents()) blocks += batch.filter(({ kind }) => kind === "encoded").length;
      expect(decoded - before).toBeLessThanOrEqual(blocks);
    }
    // The volume has a file of so many blocks that threads are worth it, and they were used: but for stored blocks.
    expect(many).toBe(true);
    expect(decoded > 0).toBe(name !== "plain");
  },
);
