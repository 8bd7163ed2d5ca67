import { bufferDevice, crc32 } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { crc32Be, decodeJournalHeader, decodeJournalSuper, decodeRevokes, decodeTags } from "../src/jbd2.js";
import { overlayDevice } from "../src/overlay.js";

const bytes = (text: string, size = 0): Uint8Array => {
  const data = Buffer.from(text.replaceAll(/\s/g, ""), "hex");
  return Uint8Array.from(Buffer.concat([data, Buffer.alloc(Math.max(0, size - data.length))]));
};

/** Version 2, blocks of 1 KiB, 100 of them, the log from block 1, transaction 5 at block 7. */
function journalSuper(edits: Record<number, string> = {}): Uint8Array {
  const data = bytes("c03b3998 00000004 00000000 00000400 00000064 00000001 00000005 00000007", 1024);
  for (const [offset, text] of Object.entries(edits)) data.set(bytes(text), Number(offset));
  return data;
}
const decode = (edits: Record<number, string> = {}) => decodeJournalSuper(journalSuper(edits), 4096, 1024, 100);

describe("journal superblock", () => {
  test("fields", () => {
    expect(decode()).toMatchObject({ first: 1, end: 100, sequence: 5, start: 7, has64bit: false, csumVersion: 0 });
    expect(decode({ 36: "00000001", 40: "00000003" })).toMatchObject({ has64bit: true, csumVersion: 1 });
    expect(decode({ 40: "00000020", 84: "0000000a" })).toMatchObject({ end: 90, fastCommitBlocks: 10 });
  });

  for (const [field, edits] of Object.entries<Record<number, string>>({
    h_magic: { 0: "00000000" },
    h_blocktype: { 4: "00000001" },
    s_blocksize: { 12: "00001000" },
    s_maxlen: { 16: "00000065" },
    s_first: { 20: "00000000" },
    s_start: { 28: "00000064" },
    s_checksum_type: { 40: "00000010" },
    s_checksum: { 40: "00000010", 80: "04" },
  })) {
    test(`${field} that cannot be`, () => {
      expect(() => decode(edits)).toThrow(
        expect.objectContaining({ code: "corrupt", field, offset: expect.any(Number) }),
      );
    });
  }

  test("a fast commit area that is larger than the journal, and a feature that is not known", () => {
    expect(() => decode({ 40: "00000020" })).toThrow(expect.objectContaining({ code: "corrupt", field: "s_first" }));
    expect(() => decode({ 40: "00000040" })).toThrow(expect.objectContaining({ code: "unsupported" }));
  });
});

describe("blocks of the log", () => {
  const head = "c03b3998 00000001 00000005";
  test("a block that is no part of the log", () => {
    expect(decodeJournalHeader(bytes("00", 12))).toBeUndefined();
    expect(decodeJournalHeader(bytes(head))).toEqual({ type: 1, sequence: 5 });
  });

  test("tags of 8 bytes, the first with a UUID after it", () => {
    const block = bytes(`${head} 00000064 0000 0001 ${"ee".repeat(16)} 00000065 0000 000a`, 1024);
    expect(decodeTags(decode(), block)).toEqual([
      { block: 100, isEscaped: true, checksum: 0 },
      { block: 101, isEscaped: false, checksum: 0 },
    ]);
  });

  test("tags of 14 bytes: 64-bit, version 2 checksums", () => {
    const journal = { ...decode({ 40: "00000002" }), csumVersion: 2 as const };
    const block = bytes(`${head} 00000064 abcd 0002 00000001 0000 00000065 1234 000a 00000000 0000`, 1024);
    expect(decodeTags(journal, block)).toEqual([
      { block: 2 ** 32 + 100, isEscaped: false, checksum: 0xabcd },
      { block: 101, isEscaped: false, checksum: 0x1234 },
    ]);
  });

  test("tags of 16 bytes: version 3 checksums", () => {
    const journal = { ...decode({ 40: "00000002" }), csumVersion: 3 as const };
    const block = bytes(`${head} 00000064 0000000a 00000001 89abcdef`, 1024);
    expect(decodeTags(journal, block)).toEqual([{ block: 2 ** 32 + 100, isEscaped: false, checksum: 0x89abcdef }]);
  });

  test("tags without a last one end with the block", () => {
    expect(decodeTags(decode(), bytes(`${head} ${"00000064 0000 0002".repeat(126)}`, 1024))).toHaveLength(126);
  });

  test("revoked blocks, and a count past the block", () => {
    expect(decodeRevokes(decode(), bytes(`${head} 00000018 00000064 00000065`, 1024))).toEqual([100, 101]);
    expect(decodeRevokes(decode({ 40: "00000002" }), bytes(`${head} 00000018 00000001 00000064`, 1024))).toEqual([
      2 ** 32 + 100,
    ]);
    expect(decodeRevokes(decode(), bytes(`${head} 00000401`, 1024))).toBeUndefined();
  });

  test("CRC-32 with the highest bit first: the check value of CRC-32/MPEG-2", () => {
    const digits = new TextEncoder().encode("123456789");
    expect(crc32Be(~0, digits)).toBe(0x0376e6e7);
    expect(crc32(digits)).toBe(0xcbf43926);
  });
});

describe("overlay", () => {
  const base = bufferDevice(Uint8Array.from({ length: 64 }, (_, n) => n));
  const copies = new Map([
    [1, { offset: 48, isEscaped: false }],
    [2, { offset: 32, isEscaped: true }],
  ]);
  const overlay = overlayDevice(base, 16, copies);

  test("newer copies in place of old blocks, at any offset", async () => {
    const all = await overlay.read(0, 64);
    const wanted = Buffer.alloc(
      64,
      Uint8Array.from({ length: 64 }, (_, n) => n),
    );
    wanted.set(wanted.subarray(48, 64), 16);
    wanted.writeUInt32BE(0xc03b3998, 32);
    expect(Buffer.from(all).equals(wanted)).toBe(true);
    for (const [offset, length] of [
      [20, 3],
      [15, 2],
      [31, 4],
      [0, 16],
      [40, 24],
    ] as const) {
      expect(Buffer.from(await overlay.read(offset, length)).equals(wanted.subarray(offset, offset + length))).toBe(
        true,
      );
    }
  });

  test("what is covered is not in memory, and the base is not changed", async () => {
    expect(overlay.peek?.(16, 1)).toBeUndefined();
    expect(overlay.peek?.(0, 16)).toBeDefined();
    expect((await base.read(32, 1))[0]).toBe(32);
  });

  test("past the end", async () => {
    await expect(overlay.read(60, 5)).rejects.toMatchObject({ code: "past-end" });
  });
});
