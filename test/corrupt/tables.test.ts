/** Tables of other machines, and tables in partitions: counts that lie, lists that loop, nesting without end. */
import { type BlockDevice, bufferDevice, countReads, FindingLog, ImageError } from "@guestprobe/block";
import { listDisk } from "@guestprobe/grub";
import { type Partitions, readPartitions } from "@guestprobe/partition";
import { describe, expect, test } from "vitest";
import { putMbr } from "../../packages/partition/test/build.js";
import { putAcorn, putAmiga, putApple, putBsd, putDragonFly, putPlan9, putSunPc } from "../lib/disk-labels.js";
import { Random } from "../lib/random.js";

const SECTORS = 8192;
const MAX_READS = 6000;

interface Outcome extends Partitions {
  readonly log: FindingLog;
  readonly codes: readonly string[];
  readonly names: readonly string[];
  readonly errors: Readonly<Record<string, string | undefined>>;
}

/** Both views of a device, in bounded reads; each finding with its place. */
async function look(device: BlockDevice): Promise<Outcome> {
  const log = new FindingLog();
  const counted = countReads(device);
  const found = await readPartitions(counted, { nested: "any", report: log.report });
  expect(found.partitions.length).toBeLessThanOrEqual(3000);
  const { devices, errors } = await listDisk({ name: "hd0", device: counted });
  expect(devices.length).toBeLessThanOrEqual(4097);
  expect(counted.stats.reads).toBeLessThan(MAX_READS);
  for (const entry of log.findings) expect(entry.offset, entry.message).toBeTypeOf("number");
  return { ...found, log, codes: log.findings.map(({ code }) => code), names: devices.map(({ name }) => name), errors };
}

const disk = (write: (bytes: Uint8Array, view: DataView) => void): BlockDevice => {
  const bytes = new Uint8Array(SECTORS * 512);
  write(bytes, new DataView(bytes.buffer));
  return bufferDevice(bytes);
};
const one = [{ slot: 1, start: 2048, sectors: 64 }];

describe("counts that lie", () => {
  test("a BSD label of 65,535 partitions", async () => {
    const { codes, partitions, names } = await look(
      disk((bytes, view) => {
        putBsd(bytes, one);
        view.setUint16(512 + 0x8a, 0xffff, true);
      }),
    );
    expect(codes).toContain("table-count");
    expect(partitions.map(({ number }) => number)).toEqual([1]);
    expect(names).toEqual(["hd0", "hd0,bsd1"]);
  });
  test("a disklabel64 of 2^32 - 1 partitions, and one at byte 2^64 - 1", async () => {
    const { codes, partitions } = await look(
      disk((bytes, view) => {
        putDragonFly(bytes, one);
        view.setUint32(512 + 12, 0xffff_ffff, true);
        view.setBigUint64(512 + 200 + 64, 0xffff_ffff_ffff_ffffn, true);
        view.setBigUint64(512 + 200 + 72, 512n, true);
      }),
    );
    expect(codes).toEqual(expect.arrayContaining(["table-count", "table-checksum", "part-outside-parent"]));
    expect(partitions.map(({ number }) => number)).toEqual([1]);
  });
  test("an Apple map of 2^32 - 1 entries, and one in blocks of no bytes", async () => {
    const long = await look(
      disk((bytes, view) => {
        putApple(bytes, one);
        view.setUint32(512 + 4, 0xffff_ffff);
      }),
    );
    expect(long.codes).toEqual(["table-count", "table-count"]);
    expect(long.partitions).toHaveLength(1);
    const none = await look(
      disk((bytes, view) => {
        putApple(bytes, one);
        view.setUint16(2, 0);
      }),
    );
    expect(none.tables).toEqual([]);
  });
  test("cylinders of 2^32 heads, and a partition that ends before it begins", async () => {
    const { partitions, codes } = await look(
      disk((bytes, view) => {
        putAmiga(bytes, one);
        for (const at of [0x8c, 0x94, 0xa4]) view.setUint32(3 * 512 + at, 0xffff_ffff);
        view.setUint32(3 * 512 + 0xa8, 0);
      }),
    );
    expect(codes).toEqual(expect.arrayContaining(["table-checksum", "part-off-disk"]));
    for (const { start, length } of partitions) {
      expect(Number.isSafeInteger(start)).toBe(true);
      expect(length).toBe(0);
    }
  });
  test("a table on a cylinder past the end of the disk", async () => {
    const { tables, names } = await look(disk((bytes) => putAcorn(bytes.subarray(), one, 500)));
    expect(tables).toHaveLength(1);
    expect(names).toHaveLength(2);
    const past = new Uint8Array(SECTORS * 512);
    putAcorn(past, one, 511);
    const cut = await look(bufferDevice(past.slice(0, 4096)));
    expect(cut.partitions).toEqual([]);
  });
});

describe("lists that loop", () => {
  test("Amiga: the last partition leads back to the first; GRUB would follow it without end", async () => {
    const { codes, partitions, errors } = await look(
      disk((bytes) => putAmiga(bytes, [...one, { slot: 2, start: 4096, sectors: 64 }], 2, [4, 3])),
    );
    expect(codes).toEqual(["table-loop"]);
    expect(partitions.map(({ number }) => number)).toEqual([1, 2]);
    expect(errors.amiga).toBe("GRUB follows the list without end");
  });
  test("Amiga: a link past the end, and one to something else", async () => {
    for (const block of [SECTORS + 5, 100, 0xffff_fffe]) {
      const { codes, partitions } = await look(disk((bytes) => putAmiga(bytes, one, 2, [block])));
      expect(codes, `block ${block}`).toEqual(["table-unreadable"]);
      expect(partitions).toHaveLength(1);
    }
  });
});

describe("tables inside partitions without end", () => {
  test("an MBR in an MBR in an MBR, sixty deep", async () => {
    const { codes, partitions, names } = await look(
      disk((bytes) => {
        for (let lba = 0; lba < 60; lba += 1) putMbr(bytes, [{ start: 1, sectors: SECTORS - 200 - lba }], { lba });
      }),
    );
    expect(codes).toContain("table-nesting");
    expect(partitions).toHaveLength(4);
    // GRUB's module looks inside of MINIX partitions only.
    expect(names).toEqual(["hd0", "hd0,msdos1"]);
  });
  test("four partitions in each of four in each of four, and so on", async () => {
    const { codes, partitions } = await look(
      disk((bytes) => {
        for (let lba = 0; lba < 4000; lba += 1) {
          const parts = [1, 2, 3, 4].map((start) => ({ start, sectors: 4000 - lba, type: 0xa5 }));
          putMbr(bytes, parts, { lba });
        }
      }),
    );
    expect(partitions.length).toBeLessThanOrEqual(1024 + 4);
    expect(codes.length).toBeGreaterThan(0);
  });
  test("a BSD label that describes its own partition", async () => {
    const { partitions } = await look(
      disk((bytes) => {
        putMbr(bytes, [{ type: 0xa5, start: 64, sectors: 4096 }]);
        putBsd(bytes, [{ slot: 1, start: 0, sectors: 4096 }], { sector: 64 });
      }),
    );
    expect(partitions.map(({ table, start }) => [table, start / 512])).toEqual([
      ["mbr", 64],
      ["bsd", 64],
    ]);
  });
  test("boot code of a file system is not taken for a table", async () => {
    const { tables } = await look(
      disk((bytes, view) => {
        putMbr(bytes, [{ start: 64, sectors: 4096 }]);
        // A boot sector of ext with GRUB in it: 55 AA, no entries.
        view.setUint16(64 * 512 + 510, 0xaa55, true);
        bytes.fill(0x90, 64 * 512, 64 * 512 + 440);
      }),
    );
    expect(tables).toHaveLength(1);
  });
});

describe("places that cannot be read", () => {
  test("the start of one partition hides neither the table nor the others", async () => {
    const bytes = new Uint8Array(SECTORS * 512);
    putMbr(bytes, [
      { type: 0xa5, start: 1024, sectors: 1024 },
      { type: 0xa5, start: 4096, sectors: 2048 },
    ]);
    putBsd(bytes, [{ slot: 1, start: 16, sectors: 64 }], { sector: 4096 });
    const sound = bufferDevice(bytes);
    const { codes, partitions } = await look({
      size: sound.size,
      read: (offset, length, signal) =>
        offset >= 1024 * 512 && offset < 2048 * 512
          ? Promise.reject(new ImageError("io", "a bad sector", { offset }))
          : sound.read(offset, length, signal),
    });
    expect(codes).toEqual(["table-unreadable"]);
    expect(partitions.map(({ table, number }) => `${table}${number}`)).toEqual(["mbr1", "mbr2", "bsd1"]);
  });
});

test("any bytes in: both views, bounded", async () => {
  const random = new Random(7);
  const writers: readonly ((bytes: Uint8Array) => void)[] = [
    (bytes) => putBsd(bytes, one, { slots: 16 }),
    (bytes) => putApple(bytes, one),
    (bytes) => putAmiga(bytes, one),
    (bytes) => putSunPc(bytes, one),
    (bytes) => putPlan9(bytes, one),
    (bytes) => putAcorn(bytes, one, 64),
    (bytes) => putDragonFly(bytes, one),
    (bytes) => {
      putMbr(bytes, [{ type: random.pick([0xa5, 0xa6, 0xa9, 0x81, 0xbf, 0x83]), start: 64, sectors: 8000 }]);
      putBsd(bytes, one, { sector: 64 });
    },
  ];
  for (let round = 0; round < 400; round += 1) {
    const bytes = new Uint8Array(SECTORS * 512);
    random.pick(writers)(bytes);
    for (let count = 0; count < 10; count += 1) {
      bytes[random.below(random.pick([2048, 8192, 64 * 512 + 2048]))] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
    }
    await look(bufferDevice(bytes));
  }
}, 60_000);
