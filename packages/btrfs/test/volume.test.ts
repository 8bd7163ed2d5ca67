import { bufferDevice } from "@guestprobe/block";
import { describe, expect, it } from "vitest";
import { type Chunk, PROFILES } from "../src/chunk.js";
import { deviceExtents } from "../src/file-data.js";
import { type Member, Volume } from "../src/volume.js";

const KIB64 = 65536;
const uuid = (n: number): Uint8Array => new Uint8Array(16).fill(n);

/** A volume of one chunk at logical address 0, its stripes at byte 0 of devices that hold their own number. */
function volumeOf(name: string, count: number, length: number, missing: readonly number[] = []): Volume {
  const profile = PROFILES.find((candidate) => candidate.name === name)!;
  const stripes = Array.from({ length: count }, (_, n) => ({ devid: n + 1, offset: 0, deviceUuid: uuid(n) }));
  const chunk: Chunk = { logical: 0, length, type: 1, profile, stripes, stripeSize: length, offset: undefined };
  const volume = new Volume();
  for (let n = 0; n < count; n += 1) {
    if (missing.includes(n)) continue;
    const device = bufferDevice(new Uint8Array(4 * KIB64).fill(n + 1));
    const member: Member = { device, devid: n + 1, uuid: uuid(n), index: n, isStale: false };
    volume.add(member);
  }
  volume.chunkMap.set([chunk]);
  return volume;
}

const onBad = (): void => {};

describe("reading", () => {
  it("raid0 puts the stripes side by side", async () => {
    const data = await volumeOf("raid0", 3, 9 * KIB64).read(KIB64 - 1, KIB64 + 2, onBad, undefined);
    expect([data[0], data[1], data[KIB64], data[KIB64 + 1]]).toEqual([1, 2, 2, 3]);
  });

  it("raid1 takes the first copy that is there, and a stale one last", async () => {
    expect((await volumeOf("raid1c3", 3, KIB64, [0]).read(0, 1, onBad, undefined))[0]).toBe(2);
    const volume = new Volume();
    const whole = volumeOf("raid1", 2, KIB64);
    for (const n of [0, 1]) volume.add({ ...whole.member(n + 1, uuid(n))!, isStale: n === 0 });
    volume.chunkMap.set(whole.chunkMap.chunks);
    expect((await volume.read(0, 1, onBad, undefined))[0]).toBe(2);
  });

  it("a copy that cannot be read is told, and the next is taken", async () => {
    const volume = volumeOf("raid1", 2, 16 * KIB64, [1]);
    volume.add({ device: bufferDevice(new Uint8Array(16 * KIB64)), devid: 2, uuid: uuid(1), index: 1, isStale: false });
    const told: string[] = [];
    expect((await volume.read(8 * KIB64, 3, (_, error) => told.push(error.code), undefined)).length).toBe(3);
    expect(told).toEqual(["past-end"]);
  });

  it("raid5 without a device: its bytes are what the others add up to", async () => {
    // Devices are filled with 1, 2 and 3, of which any is the sum of the others, in every row.
    const whole = await volumeOf("raid5", 3, 6 * KIB64).read(0, 6 * KIB64, onBad, undefined);
    for (const gone of [0, 1, 2]) {
      const volume = volumeOf("raid5", 3, 6 * KIB64, [gone]);
      expect(volume.isReadable(volume.chunkMap.chunks[0]!)).toBe(true);
      expect(await volume.read(0, 6 * KIB64, onBad, undefined)).toEqual(whole);
    }
  });

  it("too few devices: the error names those that are needed", async () => {
    await expect(volumeOf("raid1", 2, KIB64, [0, 1]).read(0, 1, onBad, undefined)).rejects.toMatchObject({
      code: "io",
      reason: "logical address 0 needs device 1 or 2, which was not given",
    });
    await expect(volumeOf("raid5", 3, 4 * KIB64, [0, 2]).read(0, 1, onBad, undefined)).rejects.toMatchObject({
      code: "io",
    });
    for (const [missing, isReadable] of [
      [[0, 2], true],
      [[0, 1, 2], false],
    ] as const) {
      const volume = volumeOf("raid6", 4, 4 * KIB64, missing);
      expect(volume.isReadable(volume.chunkMap.chunks[0]!)).toBe(isReadable);
    }
  });

  it("a device of the same number in another volume is not taken", () => {
    const volume = volumeOf("single", 1, KIB64);
    expect(volume.member(1, uuid(0))?.index).toBe(0);
    expect(volume.member(1, uuid(9))).toBeUndefined();
  });
});

describe("where the bytes of a file lie", () => {
  it("an extent is split at stripes, and cut at the size of the file", () => {
    const extent = { kind: "data", logical: 4096, length: 3 * KIB64, address: KIB64 / 2 } as const;
    const parts = [...deviceExtents(volumeOf("raid0", 2, 8 * KIB64), extent, 4096 + KIB64)];
    expect(parts).toEqual([
      { kind: "data", logical: 4096, length: KIB64 / 2, physical: KIB64 / 2, device: 0 },
      { kind: "data", logical: 4096 + KIB64 / 2, length: KIB64 / 2, physical: 0, device: 1 },
    ]);
  });

  it("what an item claims costs nothing before it is asked for", () => {
    const extent = { kind: "data", logical: 0, length: 2 ** 50, address: 0 } as const;
    const parts = deviceExtents(volumeOf("raid0", 2, 2 ** 51), extent, 2 ** 52);
    expect(parts.next().value).toMatchObject({ length: KIB64, device: 0 });
    expect(parts.next().value).toMatchObject({ length: KIB64, device: 1 });
  });

  it("where the device is missing and parity tells, no place is named", () => {
    const extent = { kind: "data", logical: 0, length: KIB64, address: 0 } as const;
    const [part] = deviceExtents(volumeOf("raid5", 3, 4 * KIB64, [0]), extent, KIB64);
    expect(part).toEqual({ kind: "data", logical: 0, length: KIB64, physical: undefined });
  });
});
