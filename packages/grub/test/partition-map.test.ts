import { bufferDevice } from "@guestprobe/block";
import { type GrubDiskMap, listDisk } from "@guestprobe/grub";
import { describe, expect, test } from "vitest";
import { putGpt, putMbr } from "../../partition/test/build.js";

async function list(build: (disk: Uint8Array) => void): Promise<GrubDiskMap & { names: string[] }> {
  const disk = new Uint8Array(1000 * 512);
  build(disk);
  const map = await listDisk({ name: "hd0", device: bufferDevice(disk) });
  return { ...map, names: map.devices.map(({ name }) => name) };
}

/** An MBR with one primary partition and a chain of boot records that begins at sector 100. */
const head = (disk: Uint8Array): void =>
  putMbr(disk, [
    { start: 10, sectors: 20 },
    { type: 5, start: 100, sectors: 800 },
  ]);
/** A boot record; `next` counts from sector 100. */
const record = (disk: Uint8Array, lba: number, next?: number, status = 0): void =>
  putMbr(
    disk,
    [{ start: 5, sectors: 10, status }, ...(next === undefined ? [] : [{ type: 5, start: next, sectors: 50 }])],
    { lba },
  );

// Each list is what `ls` of grub-emu 2.06-13+deb12u2 printed for the same disk.
describe("MBR as GRUB lists it", () => {
  test("a record that leads to itself", async () => {
    const { names, errors } = await list((disk) => {
      head(disk);
      record(disk, 100, 0);
    });
    expect(names).toEqual(["hd0", "hd0,msdos5", "hd0,msdos1"]);
    expect(errors.msdos).toBe("loop detected");
  });

  test("two records that lead to each other", async () => {
    const { names } = await list((disk) => {
      head(disk);
      record(disk, 100, 100);
      record(disk, 200, 0);
    });
    expect(names).toEqual(["hd0", "hd0,msdos6", "hd0,msdos5", "hd0,msdos1"]);
  });

  test("a loop that GRUB notices late lists a partition twice", async () => {
    const { names, devices } = await list((disk) => {
      head(disk);
      record(disk, 100, 100);
      record(disk, 200, 200);
      record(disk, 300, 100);
    });
    expect(names).toEqual(["hd0", "hd0,msdos8", "hd0,msdos7", "hd0,msdos6", "hd0,msdos5", "hd0,msdos1"]);
    expect(devices.map(({ start }) => start / 512)).toEqual([0, 205, 305, 205, 105, 10]);
  });

  test("a bad status byte or a missing signature further down leaves what came before", async () => {
    const expected = ["hd0", "hd0,msdos5", "hd0,msdos1"];
    const status = await list((disk) => {
      head(disk);
      record(disk, 100, 100);
      record(disk, 200, undefined, 1);
    });
    expect([status.names, status.errors.msdos]).toEqual([expected, "bad boot flag"]);
    const signature = await list((disk) => {
      head(disk);
      record(disk, 100, 100);
    });
    expect([signature.names, signature.errors.msdos]).toEqual([expected, "no signature"]);
  });

  test("an extended partition at sector 0", async () => {
    const { names } = await list((disk) =>
      putMbr(disk, [
        { type: 5, start: 0, sectors: 800 },
        { start: 10, sectors: 20 },
      ]),
    );
    expect(names).toEqual(["hd0", "hd0,msdos2"]);
  });

  test("0xEE anywhere, without a GPT", async () => {
    const { names, errors } = await list((disk) =>
      putMbr(disk, [
        { start: 10, sectors: 20 },
        { type: 0xee, start: 1, sectors: 5 },
      ]),
    );
    expect(names).toEqual(["hd0"]);
    expect(errors).toMatchObject({ msdos: "dummy mbr", gpt: "no valid GPT header" });
  });
});

describe("GPT as GRUB lists it", () => {
  test("entries of no bytes are the first one over and over", async () => {
    const { names } = await list((disk) =>
      putGpt(disk, {
        entries: [{ slot: 1, first: 50, last: 60 }],
        count: 3,
        edit: (header) => header.setUint32(84, 0, true),
      }),
    );
    expect(names).toEqual(["hd0", "hd0,gpt3", "hd0,gpt2", "hd0,gpt1"]);
  });

  test("entries of 1024 bytes", async () => {
    const { names } = await list((disk) =>
      putGpt(disk, {
        entries: [
          { slot: 1, first: 50, last: 60 },
          { slot: 3, first: 70, last: 75 },
        ],
        entrySize: 1024,
        count: 4,
      }),
    );
    expect(names).toEqual(["hd0", "hd0,gpt3", "hd0,gpt1"]);
  });

  test("a header at sector 1 of 4096 bytes, and none behind an MBR without 0xEE", async () => {
    const disk = new Uint8Array(100 * 4096);
    putGpt(disk, { sectorSize: 4096, entries: [{ slot: 2, first: 20, last: 29 }] });
    const at4k = await listDisk({ name: "hd0", device: bufferDevice(disk) });
    expect(at4k.devices.map(({ name, start, device }) => [name, start, device?.size])).toEqual([
      ["hd0", 0, 100 * 4096],
      ["hd0,gpt2", 20 * 4096, 10 * 4096],
    ]);
    const bare = await list((image) => {
      putGpt(image, { entries: [{ slot: 1, first: 50, last: 60 }] });
      putMbr(image, [{ start: 50, sectors: 11 }]);
    });
    expect(bare.names).toEqual(["hd0", "hd0,msdos1"]);
    expect(bare.errors.gpt).toBe("no GPT partition map found");
  });
});
