/** Decoders of squashfs on bytes by hand, as Documentation/filesystems/squashfs.rst and squashfs_fs.h describe them. */
import { bufferDevice, decodeText, type ErrorCode, isImageError } from "@guestprobe/block";
import { decodeZlib } from "@guestprobe/codec";
import { describe, expect, test } from "vitest";
import { compressorOf, compressorOptions } from "../src/compressor.js";
import { ListingDecoder } from "../src/directory.js";
import { Metadata } from "../src/metadata.js";

async function failure(work: () => unknown): Promise<[ErrorCode, string, number | undefined]> {
  try {
    await work();
  } catch (error) {
    if (!isImageError(error)) throw error;
    return [error.code, error.reason, error.offset];
  }
  throw new Error("it was accepted");
}
const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

describe("compressor options", () => {
  test.each<[number, string, Uint8Array, string[]]>([
    [1, "gzip", words(9, 15), ["level=9", "window=15", "strategy=none"]],
    [1, "gzip", words(1, 8 | (0b10011 << 16)), ["level=1", "window=8", "strategy=default+filtered+fixed"]],
    [3, "lzo", words(4, 8), ["algorithm=lzo1x_999", "level=8"]],
    [3, "lzo", words(77, 0), ["algorithm=77", "level=0"]],
    [4, "xz", words(0x20000, 0), ["dictionary=131072", "filters=none"]],
    [4, "xz", words(8192, 0b101001), ["dictionary=8192", "filters=x86+arm+sparc"]],
    [5, "lz4", words(1, 0), ["fast"]],
    [5, "lz4", words(1, 1), ["hc"]],
    [6, "zstd", words(15), ["level=15"]],
  ])("%i, %s: %s", (id, name, data, wanted) => {
    const compressor = compressorOf(id)!;
    expect(compressor.name).toBe(name);
    expect(compressorOptions(compressor, data, 96)).toEqual(wanted);
  });

  test.each<[number, Uint8Array, ErrorCode, string]>([
    [1, new Uint8Array(7), "corrupt", "gzip options have 7 bytes, expected 8"],
    [3, new Uint8Array(0), "corrupt", "lzo options have 0 bytes, expected 8"],
    [4, new Uint8Array(4), "corrupt", "xz options have 4 bytes, expected 8"],
    [5, words(1), "corrupt", "lz4 options have 4 bytes, expected 8"],
    [5, words(2, 0), "unsupported", "lz4 blocks of version 2"],
    [6, new Uint8Array(3), "corrupt", "zstd options have 3 bytes, expected 4"],
    [2, words(0, 0), "corrupt", "lzma has no options, but the superblock says that they are stored"],
  ])("of compressor %i that cannot be", async (id, data, code, reason) => {
    expect(await failure(() => compressorOptions(compressorOf(id)!, data, 96))).toEqual([code, reason, 96]);
  });

  test("there is no compressor 0 and none after zstd", () => {
    expect([compressorOf(0), compressorOf(7)]).toEqual([undefined, undefined]);
  });
});

describe("metadata blocks", () => {
  const LIMIT = 1 << 16;
  /** Blocks stored as they are: bit 15 of the size says so. */
  const stored = (...blocks: readonly Uint8Array[]): Metadata => {
    const parts = blocks.flatMap((data) => [data.length & 0xff, 0x80 | (data.length >> 8), ...data]);
    return new Metadata(bufferDevice(Uint8Array.from(parts)), decodeZlib, 1 << 20);
  };
  const full = Uint8Array.from({ length: 8192 }, (_, n) => n & 0xff);
  const rest = Uint8Array.from({ length: 8192 }, (_, n) => 255 - (n & 0xff));

  test("a range that spans three blocks, and one that begins where a block ends", async () => {
    const metadata = stored(full, rest, full.subarray(0, 10));
    const { data, next } = await metadata.read({ block: 0, offset: 8190 }, 2 + 8192 + 3, LIMIT, undefined);
    expect([...data.subarray(0, 4)]).toEqual([254, 255, 255, 254]);
    expect([...data.subarray(-4)]).toEqual([0, 0, 1, 2]);
    expect(next).toEqual({ block: 2 * 8194, offset: 3 });
    const behind = await metadata.read({ block: 0, offset: 8192 }, 2, LIMIT, undefined);
    expect([[...behind.data], behind.next]).toEqual([[255, 254], { block: 8194, offset: 2 }]);
    const some = await metadata.readSome({ block: 0, offset: 8192 }, 9000, LIMIT, undefined);
    expect([some.data.length, some.next]).toEqual([8192, { block: 8194, offset: 8192 }]);
    expect(metadata.physical({ block: 8194, offset: 5 })).toBe(8194 + 2 + 5);
  });

  test.each<[string, Uint8Array, number, ErrorCode, string]>([
    ["of no bytes", Uint8Array.of(0, 0x80), 0, "corrupt", "stored size of a metadata block is 0"],
    ["of 8193 bytes", Uint8Array.of(1, 0xa0), 0, "corrupt", "stored size of a metadata block is 8193"],
    ["past the device", Uint8Array.of(9, 0x80, 1), 0, "past-end", "metadata block of 9 bytes passes"],
    ["that does not decode", Uint8Array.of(3, 0, 1, 2, 3), 0, "corrupt", "metadata block does not decode"],
    [
      "with an offset past its bytes",
      Uint8Array.of(2, 0x80, 1, 2),
      7,
      "corrupt",
      "offset 7 is outside a metadata block",
    ],
  ])("%s", async (_, bytes, offset, code, reason) => {
    const metadata = new Metadata(bufferDevice(bytes), decodeZlib, 1 << 20);
    const read = () => metadata.read({ block: 0, offset }, 1, LIMIT, undefined);
    expect(await failure(read)).toEqual([code, expect.stringContaining(reason), 0]);
    if (offset > 0) {
      const some = () => metadata.readSome({ block: 0, offset }, 1, LIMIT, undefined);
      expect((await failure(some))[0]).toBe(code);
    }
  });

  test("a chain that runs on past its table", async () => {
    const metadata = stored(full, rest);
    const read = () => metadata.read({ block: 0, offset: 8000 }, 300, 8194, undefined);
    expect(await failure(read)).toEqual(["corrupt", "metadata runs on past the end of its table at byte 8194", 8194]);
  });
});

describe("listings", () => {
  /** A run of entries: its header, then offset, difference of the inode number, type, length - 1 and name of each. */
  const run = (count: number, ...entries: readonly (readonly [type: number, name: string])[]): number[] => [
    ...words(count - 1, 64, 100),
    ...entries.flatMap(([type, name], n) => [
      n,
      0,
      n,
      0,
      type,
      0,
      (name.length - 1) & 0xff,
      (name.length - 1) >> 8,
      ...Buffer.from(name),
    ]),
  ];
  const bytes = Uint8Array.from([...run(2, [2, "file"], [1, "dir"]), ...run(1, [3, "link"])]);

  test("whole, and cut at every byte, it is the same", () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const decoder = new ListingDecoder(1000);
      const entries = [...decoder.push(bytes.subarray(0, cut), 7), ...decoder.push(bytes.subarray(cut), 7)];
      decoder.end(7);
      expect(entries.map(({ name, type, ino, ref }) => [decodeText(name), type, ino, ref])).toEqual([
        ["file", "file", 100, { block: 1064, offset: 0 }],
        ["dir", "dir", 101, { block: 1064, offset: 1 }],
        ["link", "symlink", 100, { block: 1064, offset: 0 }],
      ]);
    }
  });

  test.each<[string, number[], string]>([
    ["a run of 257 entries", run(257), "run of 257 entries, at most 256 are allowed"],
    ["a name of 257 bytes", run(1, [2, "n".repeat(257)]), "name of 257 bytes"],
    ["type 8", run(1, [8, "x"]), "type of an entry is 8, expected 1 to 7"],
    ["type 0", run(1, [0, "x"]), "type of an entry is 0, expected 1 to 7"],
  ])("%s", async (_, listing, reason) => {
    const work = () => new ListingDecoder(0).push(Uint8Array.from(listing), 7);
    expect(await failure(work)).toEqual(["corrupt", reason, 7]);
  });

  test("one that ends inside a run", async () => {
    const decoder = new ListingDecoder(0);
    decoder.push(Uint8Array.from(run(3, [2, "a"])), 7);
    expect(await failure(() => decoder.end(7))).toEqual([
      "corrupt",
      "the listing ends inside a run, 2 entries missing",
      7,
    ]);
  });
});
