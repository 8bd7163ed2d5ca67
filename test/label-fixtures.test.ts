/** Labels of other machines: those that parted made hold what parted listed, for Linux's view and for GRUB's. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { listDisk } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { describe, expect, test } from "vitest";
import { putMbr } from "../packages/partition/test/build.js";
import { putAcorn, putDragonFly, putPlan9, putSunPc } from "./lib/disk-labels.js";

interface Listed {
  readonly number: number;
  readonly start: number;
  readonly sectors: number;
}
const folder = fileURLToPath(new URL("./fixtures/disk-label/", import.meta.url));
const labels = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.replace(".json", ""));
const imageOf = (label: string): Uint8Array => new Uint8Array(gunzipSync(readFileSync(`${folder}${label}.img.gz`)));
const byNumber = (a: Listed, b: Listed): number => a.number - b.number;

async function views(bytes: Uint8Array) {
  const log = new FindingLog();
  const device = bufferDevice(bytes);
  const { partitions } = await readPartitions(device, { nested: "any", report: log.report });
  const map = await listDisk({ name: "hd0", device });
  return {
    codes: log.findings.map(({ code }) => code),
    partitions: partitions.map(({ number, start, length }) => ({ number, start: start / 512, sectors: length / 512 })),
    // GRUB lists a disk, then its partitions from the last to the first.
    devices: map.devices.map(({ name, start }) => [name, start / 512] as const),
    errors: map.errors as Readonly<Record<string, string | undefined>>,
  };
}

describe.each(labels)("%s", (label) => {
  const { partitions: listed } = JSON.parse(readFileSync(`${folder}${label}.json`, "utf8")) as {
    partitions: readonly Listed[];
  };

  test("what parted made is what parted lists", async () => {
    const { partitions, devices, codes } = await views(imageOf(label));
    const inOrder = [...listed].sort(byNumber);
    expect([...partitions].sort(byNumber)).toEqual(inOrder);
    expect(codes).toEqual([]);
    const names = inOrder.map(({ number, start }) => [`hd0,${label}${number}`, start] as const);
    expect(devices).toEqual([["hd0", 0], ...names.reverse()]);
  });

  test("with a word changed it is another label for GRUB, and for Linux none or one with a finding", async () => {
    const image = imageOf(label);
    image[500]! ^= 1;
    const { partitions, devices, codes, errors } = await views(image);
    expect(devices).toEqual([["hd0", 0]]);
    expect(errors[label]).toBe("invalid checksum");
    // Sun's magic of two bytes is not enough by itself.
    if (label === "sun") expect([partitions, codes]).toEqual([[], []]);
    else expect([partitions.length, codes]).toEqual([listed.length, ["table-checksum"]]);
  });
});

describe("labels in a partition of an MBR", () => {
  const SECTORS = 8192;
  const parts = [
    { slot: 1, start: 64, sectors: 100 },
    { slot: 2, start: 200, sectors: 50 },
  ];
  const disk = (type: number, write: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = new Uint8Array(SECTORS * 512);
    putMbr(bytes, [{ type, start: 1024, sectors: 2048 }]);
    write(bytes);
    return bytes;
  };

  test("Solaris on PCs: its label counts from its partition", async () => {
    const { partitions, devices } = await views(disk(0xbf, (bytes) => putSunPc(bytes, parts, 1024)));
    expect(partitions.map(({ start, sectors }) => [start, sectors])).toEqual([
      [1024, 2048],
      [1088, 100],
      [1224, 50],
    ]);
    expect(devices.map(([name, start]) => [name, start])).toEqual([
      ["hd0", 0],
      ["hd0,msdos1,sunpc2", 1224],
      ["hd0,msdos1,sunpc1", 1088],
      ["hd0,msdos1", 1024],
    ]);
  });

  test("Solaris on PCs: a label whose words do not come out is none", async () => {
    const bytes = disk(0xbf, (image) => putSunPc(image, parts, 1024));
    bytes[1025 * 512 + 100]! ^= 1;
    const { partitions, devices } = await views(bytes);
    expect(partitions).toHaveLength(1);
    expect(devices.map(([name]) => name)).toEqual(["hd0", "hd0,msdos1"]);
  });

  test("MINIX: an MBR in its partition counts from the start of the disk", async () => {
    const bytes = disk(0x81, (image) =>
      putMbr(
        image,
        [
          { type: 0x81, start: 1100, sectors: 50 },
          { type: 0x81, start: 1200, sectors: 60 },
          { type: 0x81, start: 10, sectors: 5 },
        ],
        { lba: 1024 },
      ),
    );
    const { partitions } = await views(bytes);
    expect(partitions.map(({ number, start, sectors }) => [number, start, sectors])).toEqual([
      [1, 1024, 2048],
      [1, 1100, 50],
      [2, 1200, 60],
    ]);
  });

  test("MINIX: what passes the partition is told, and an MBR of nothing inside is none", async () => {
    const long = await views(
      disk(0x81, (image) => putMbr(image, [{ type: 0x81, start: 3000, sectors: 100 }], { lba: 1024 })),
    );
    expect(long.codes).toEqual(["part-outside-parent"]);
    const none = await views(
      disk(0x81, (image) => putMbr(image, [{ type: 0x81, start: 10, sectors: 5 }], { lba: 1024 })),
    );
    expect(none.partitions).toHaveLength(1);
  });
});

describe("whole disks", () => {
  const parts = [{ slot: 1, start: 1024, sectors: 64 }];
  test.each<[string, (bytes: Uint8Array) => void]>([
    ["dfly", (bytes) => putDragonFly(bytes, parts)],
    ["plan", (bytes) => putPlan9(bytes, parts)],
    ["acorn", (bytes) => putAcorn(bytes, parts, 4)],
  ])("%s", async (map, write) => {
    const bytes = new Uint8Array(8192 * 512);
    write(bytes);
    const { partitions, devices } = await views(bytes);
    expect(partitions.map(({ start, sectors }) => [start, sectors])).toEqual([[1024, 64]]);
    expect(devices.filter(([name]) => name.startsWith(`hd0,${map}`)).map(([, start]) => start)).toEqual([1024]);
  });
});
