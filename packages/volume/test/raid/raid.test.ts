import { bufferDevice, countReads, ImageError, isImageError } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { raidDevice } from "../../src/raid/device.js";
import { type ParityLayout, parityMap } from "../../src/raid/parity.js";
import { linearMap, raid0Map, raid1Map } from "../../src/raid/plain.js";
import { raid10Map } from "../../src/raid/raid10.js";
import type { RaidMap } from "../../src/raid/types.js";

const CHUNK = 512;

/**
 * The places of the chunks as a diagram has them: a line for each row of the members, the number of the chunk or the letter
 * of the parity.
 */
function diagram(map: RaidMap, rows: number): string[] {
  const table = Array.from({ length: rows }, () => new Array<string>(map.members).fill("-"));
  for (let chunk = 0; chunk * CHUNK < map.size; chunk += 1) {
    const { copies, row } = map.pieceAt(chunk * CHUNK, CHUNK);
    for (const { member, offset } of copies) table[offset / CHUNK]![member] = `${chunk}`;
    if (row === undefined) continue;
    table[copies[0]!.offset / CHUNK]![row.p] = "P";
    if (row.q !== undefined) table[copies[0]!.offset / CHUNK]![row.q] = "Q";
  }
  return table.map((cells) => cells.join(" "));
}

describe("places, as mdadm's and the kernel's documentation draw them", () => {
  const five = (layout: ParityLayout) =>
    diagram(parityMap({ parity: 1, layout, members: 3, memberSize: 3 * CHUNK, chunk: CHUNK }), 3);
  it("raid5", () => {
    expect(five("left-asymmetric")).toEqual(["0 1 P", "2 P 3", "P 4 5"]);
    expect(five("right-asymmetric")).toEqual(["P 0 1", "2 P 3", "4 5 P"]);
    expect(five("left-symmetric")).toEqual(["0 1 P", "3 P 2", "P 4 5"]);
    expect(five("right-symmetric")).toEqual(["P 0 1", "3 P 2", "4 5 P"]);
    expect(five("parity-first")).toEqual(["P 0 1", "P 2 3", "P 4 5"]);
    expect(five("parity-last")).toEqual(["0 1 P", "2 3 P", "4 5 P"]);
  });
  const six = (layout: ParityLayout) =>
    diagram(parityMap({ parity: 2, layout, members: 4, memberSize: 4 * CHUNK, chunk: CHUNK }), 4);
  it("raid6", () => {
    expect(six("left-symmetric")).toEqual(["Q 0 1 P", "2 3 P Q", "5 P Q 4", "P Q 6 7"]);
    expect(six("left-asymmetric")).toEqual(["Q 0 1 P", "2 3 P Q", "4 P Q 5", "P Q 6 7"]);
    expect(six("ddf-N-restart")).toEqual(["0 1 P Q", "2 P Q 3", "P Q 4 5", "Q 6 7 P"]);
    expect(six("ddf-N-continue")).toEqual(["0 1 Q P", "3 Q P 2", "Q P 4 5", "P 6 7 Q"]);
    expect(six("ddf-zero-restart")).toEqual(["P Q 0 1", "2 P Q 3", "4 5 P Q", "Q 6 7 P"]);
    expect(six("left-symmetric-6")).toEqual(["0 1 P Q", "3 P 2 Q", "P 4 5 Q", "6 7 P Q"]);
    expect(six("parity-first-6")).toEqual(["P 0 1 Q", "P 2 3 Q", "P 4 5 Q", "P 6 7 Q"]);
  });
  it("raid10: near over an odd number of members, far, offset", () => {
    const base = { chunk: CHUNK, isOffset: false };
    const near = raid10Map({ ...base, members: 3, memberSize: 2 * CHUNK, near: 2, far: 1 });
    expect(diagram(near, 2)).toEqual(["0 0 1", "1 2 2"]);
    const far = raid10Map({ ...base, members: 3, memberSize: 4 * CHUNK, near: 1, far: 2 });
    expect(diagram(far, 4)).toEqual(["0 1 2", "3 4 5", "2 0 1", "5 3 4"]);
    const offset = raid10Map({ ...base, members: 3, memberSize: 4 * CHUNK, near: 1, far: 2, isOffset: true });
    expect(diagram(offset, 4)).toEqual(["0 1 2", "2 0 1", "3 4 5", "5 3 4"]);
    const sets = raid10Map({ ...base, members: 4, memberSize: 2 * CHUNK, near: 1, far: 2, farSet: 2 });
    expect(diagram(sets, 2)).toEqual(["0 1 2 3", "1 0 3 2"]);
  });
  it("linear and raid0 over members of different sizes", () => {
    expect(diagram(linearMap([2 * CHUNK, 0, CHUNK]), 2)).toEqual(["0 - 2", "1 - -"]);
    const sizes = [3 * CHUNK + 1, CHUNK, 2 * CHUNK];
    // The second zone has two members. Its first chunk is the array's fourth: 3 modulo 2 is its second member.
    expect(diagram(raid0Map(sizes, CHUNK, "original"), 3)).toEqual(["0 1 2", "4 - 3", "5 - -"]);
    expect(diagram(raid0Map(sizes, CHUNK, "alternate"), 3)).toEqual(["0 1 2", "3 - 4", "5 - -"]);
  });
});

describe("reading", () => {
  const bytes = (seed: number) => Uint8Array.from({ length: 4 * CHUNK }, (_, at) => (at * 7 + seed * 31) & 0xff);
  it("a range within a chunk is one read of one member", async () => {
    const members = [0, 1, 2].map((seed) => countReads(bufferDevice(bytes(seed))));
    const map = parityMap({ parity: 1, layout: "left-symmetric", members: 3, memberSize: 4 * CHUNK, chunk: CHUNK });
    await raidDevice(map, members).read(CHUNK + 5, 100);
    expect(members.map(({ stats }) => stats.reads)).toEqual([0, 1, 0]);
  });
  it("raid1: a copy that ends early or cannot be read is passed over", async () => {
    const whole = bytes(1);
    const short = bufferDevice(whole.subarray(0, CHUNK));
    expect(await raidDevice(raid1Map(2, whole.length), [short, bufferDevice(whole)]).read(0, whole.length)).toEqual(
      whole,
    );
    const broken = { size: whole.length, read: () => Promise.reject(new ImageError("io", "a bad sector")) };
    const array = raidDevice(raid1Map(2, whole.length), [broken, bufferDevice(whole)]);
    expect(await array.read(5, CHUNK)).toEqual(whole.subarray(5, 5 + CHUNK));
    await expect(raidDevice(raid1Map(1, whole.length), [broken]).read(0, 1)).rejects.toThrow(/a bad sector/);
  });
  it("raid5: a stripe that is missing, cut short or unreadable is computed", async () => {
    const [first, second] = [bytes(1), bytes(2)];
    const parity = first.map((byte, at) => byte ^ second[at]!);
    const map = parityMap({ parity: 1, layout: "parity-last", members: 3, memberSize: 4 * CHUNK, chunk: CHUNK });
    const broken = { size: first.length, read: () => Promise.reject(new ImageError("io", "a bad sector")) };
    for (const other of [undefined, bufferDevice(second.subarray(0, CHUNK + 1)), broken]) {
      const array = raidDevice(map, [bufferDevice(first), other, bufferDevice(parity)]);
      const read = await array.read(0, map.size);
      for (let row = 0; row < 4; row += 1) {
        const at = row * CHUNK;
        expect(read.subarray(2 * at, 2 * at + CHUNK)).toEqual(first.subarray(at, at + CHUNK));
        expect(read.subarray(2 * at + CHUNK, 2 * at + 2 * CHUNK)).toEqual(second.subarray(at, at + CHUNK));
      }
    }
  });
  it("too few members is an error that names the one in need", async () => {
    const array = raidDevice(raid0Map([CHUNK, CHUNK], CHUNK), [undefined, bufferDevice(bytes(0))]);
    await expect(array.read(0, 1)).rejects.toThrow(/needs member 0/);
    expect(await array.read(CHUNK, 1)).toEqual(bytes(0).subarray(0, 1));
  });
});

describe("geometries that cannot be", () => {
  const wrong: [string, () => unknown][] = [
    ["no members", () => raid1Map(0, CHUNK)],
    ["2^31 members", () => raid1Map(2 ** 31, CHUNK)],
    ["a chunk of 0", () => raid0Map([CHUNK], 0)],
    ["a chunk of 513", () => raid0Map([CHUNK], 513)],
    ["a member of 2^53", () => linearMap([2 ** 53])],
    ["an array of 2^53", () => linearMap([2 ** 52, 2 ** 52])],
    [
      "raid5 of one",
      () => parityMap({ parity: 1, layout: "parity-last", members: 1, memberSize: CHUNK, chunk: CHUNK }),
    ],
    [
      "raid5 with a layout of raid6",
      () => parityMap({ parity: 1, layout: "ddf-N-restart", members: 3, memberSize: CHUNK, chunk: CHUNK }),
    ],
    [
      "more copies than members",
      () => raid10Map({ members: 2, memberSize: CHUNK, chunk: CHUNK, near: 3, far: 1, isOffset: false }),
    ],
    [
      "no near copies",
      () => raid10Map({ members: 2, memberSize: CHUNK, chunk: CHUNK, near: 0, far: 1, isOffset: false }),
    ],
  ];
  for (const [name, make] of wrong) {
    it(name, () => {
      expect(make).toThrow();
      try {
        make();
      } catch (error) {
        expect(isImageError(error, "corrupt")).toBe(true);
      }
    });
  }
});
