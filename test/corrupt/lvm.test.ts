import { bufferDevice, encodeText, type Finding, ImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { assembleVolumes } from "@guestprobe/volume";
import { describe, expect, test } from "vitest";
import * as layout from "../../packages/volume/src/lvm2/layout.js";
import { buildPv, linear, lvText, PV_AT, sealPv, vgText } from "../lib/lvm-builder.js";
import { Random } from "../lib/random.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const MAX_MS = 5000;
const EXTENT = 64 << 10;
const TEXT = vgText({ lvs: [lvText("root", [[0, 3, linear("pv0", 0)]]), lvText("data", [[0, 2, linear("pv0", 5)]])] });

/**
 * Assembles what is on a disk and reads the ends of each volume. Whatever is wrong is a finding or fails a read with an
 * ImageError, soon.
 */
async function exercise(...disks: Uint8Array[]) {
  const findings: Finding[] = [];
  const spent = stopwatch();
  const members = disks.map((data, index) => ({ name: `disk${index}`, device: bufferDevice(data) }));
  const result = await assembleVolumes(members, { report: (entry) => findings.push(entry) });
  const failed = new Map<string, string>();
  for (const { name, device } of result.volumes) {
    const piece = Math.min(4096, device.size);
    for (const at of [0, device.size - piece]) {
      await device.read(at, piece).catch((error: { code?: string }) => failed.set(name, error.code ?? String(error)));
    }
  }
  expect(spent()).toBeLessThan(MAX_MS);
  return { ...result, findings, failed, codes: findings.map(({ code }) => code) };
}

/** Values that a field of so many bytes may be made to have. */
function values(size: number, value: bigint): bigint[] {
  const max = (1n << BigInt(8 * size)) - 1n;
  return [0n, 1n, max, value + 1n, value - 1n, value << 8n].map((each) => each & max);
}

interface Layout {
  readonly $name: string;
  readonly $fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

/** Every numeric field of `structure` at byte `at`, at values that lie; the checksums are right. */
function* lies(structure: Layout, at: number): Generator<[string, Uint8Array]> {
  for (const [field, { offset, size }] of Object.entries(structure.$fields)) {
    // Without its magic it is no label, and nothing is to be told.
    if (size > 8 || field === "id" || field === "type") continue;
    const original = buildPv({ text: TEXT });
    const view = viewOf(original);
    const value = size === 8 ? view.getBigUint64(at + offset, true) : BigInt(view.getUint32(at + offset, true));
    for (const lie of values(size, value)) {
      const data = original.slice();
      if (size === 8) viewOf(data).setBigUint64(at + offset, lie, true);
      else viewOf(data).setUint32(at + offset, Number(lie), true);
      yield [`${structure.$name}.${field} = ${lie}`, /crc|checksum_xl/.test(field) ? data : sealPv(data)];
    }
  }
}

describe("fields of the headers that lie", () => {
  const all = [
    ...lies(layout.label_header, PV_AT.label),
    ...lies(layout.pv_header, PV_AT.pvHeader),
    ...lies(layout.disk_locn, PV_AT.dataArea),
    ...lies(layout.disk_locn, PV_AT.dataArea + 32),
    ...lies(layout.mda_header, PV_AT.mda),
    ...lies(layout.raw_locn, PV_AT.rawLocn),
  ];
  test.each(all)("%s", async (_, data) => {
    const { volumes, codes } = await exercise(data);
    // Either the text was found all the same, or something tells why not.
    if (volumes.length !== 2) expect([codes.length > 0, volumes.length]).toEqual([true, 0]);
  });
});

describe("sizes that lie", () => {
  test("a metadata area and a text of 512 MiB", async () => {
    const data = buildPv({ text: TEXT });
    const view = viewOf(data);
    view.setBigUint64(PV_AT.dataArea + 40, 512n << 20n, true);
    view.setBigUint64(PV_AT.mda + 32, 512n << 20n, true);
    view.setBigUint64(PV_AT.rawLocn + 8, (512n << 20n) - 1024n, true);
    const { volumes, findings } = await exercise(sealPv(data));
    expect(volumes).toEqual([]);
    expect(findings[0]).toMatchObject({
      code: "lvm-metadata-area",
      message: expect.stringMatching(/536869888 bytes; 33554432/),
    });
  });

  test("the same on a device that has all these bytes", async () => {
    const start = buildPv({ text: TEXT, areaSize: 512 << 20 });
    const view = viewOf(start);
    view.setBigUint64(PV_AT.rawLocn + 8, 30n << 20n, true);
    sealPv(start);
    let most = 0;
    const device = {
      size: 2 ** 40,
      async read(at: number, length: number): Promise<Uint8Array> {
        most = Math.max(most, length);
        const data = new Uint8Array(length).fill(0x20);
        if (at < start.length) data.set(start.subarray(at, Math.min(at + length, PV_AT.mda + 512 + TEXT.length)));
        return data;
      },
    };
    const findings: Finding[] = [];
    const { volumes } = await assembleVolumes([{ name: "disk", device }], { report: (entry) => findings.push(entry) });
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-root", "lvm/vg-data"]);
    expect(findings.map(({ code }) => code)).toEqual(["lvm-metadata-area"]);
    expect(most).toBeLessThanOrEqual(32 << 20);
  });

  test("a text whose place lies past the end of its ring", async () => {
    for (const at of [511n, 60n << 10n, (60n << 10n) - 1n, 1n << 40n]) {
      const data = buildPv({ text: TEXT });
      viewOf(data).setBigUint64(PV_AT.rawLocn, at, true);
      const { volumes, codes } = await exercise(sealPv(data));
      expect(volumes).toEqual([]);
      expect(codes).toContain("lvm-metadata-area");
    }
  });

  test.each(["2147483648", "2147483647", "9007199254740991", "9007199254740992", "-1", '"31"'])(
    "%s extents of a physical volume",
    async (count) => {
      const { volumes, codes } = await exercise(
        buildPv({ text: TEXT.replace("pe_count = 31", `pe_count = ${count}`) }),
      );
      if (volumes.length === 2) expect(codes).toEqual(["lvm-pv-short"]);
      else expect(codes).toContain("lvm-metadata-area");
    },
  );

  test("2^31 physical volumes, stripes, images and segments are as many as there are", async () => {
    const bodies = [
      'type = "striped"\nstripe_count = 2147483648\nstripe_size = 8\nstripes = ["pv0", 0]',
      'type = "raid5"\ndevice_count = 2147483648\nstripe_size = 8\nraids = ["a", "b"]',
      'type = "raid0"\nstripe_count = 2147483648\nstripe_size = 8\nraid0_lvs = ["a", "b"]',
      'type = "mirror"\nmirror_count = 2147483648\nmirrors = ["pv0", 0]',
    ];
    const lvs = bodies.map((body, index) => lvText(`bad${index}`, [[0, 1, body]]));
    const text = vgText({ lvs: [...lvs, lvText("good", [[0, 1, linear("pv0", 0)]])] });
    const { volumes, unread, codes } = await exercise(
      buildPv({ text: text.replace("max_pv = 0", "max_pv = 2147483648") }),
    );
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-good"]);
    expect(unread).toHaveLength(4);
    expect(codes).toEqual(["lvm-volume", "lvm-volume", "lvm-volume", "lvm-volume"]);
  });

  test("an extent of 2^52 sectors", async () => {
    const { volumes, codes } = await exercise(
      buildPv({ text: TEXT.replace("extent_size = 128", `extent_size = ${2 ** 52}`) }),
    );
    expect(volumes).toEqual([]);
    expect(codes).toContain("lvm-metadata-area");
  });
});

describe("segments", () => {
  test("that overlap are told, and both volumes read", async () => {
    const lvs = [lvText("a", [[0, 3, linear("pv0", 0)]]), lvText("b", [[0, 3, linear("pv0", 2)]])];
    const { volumes, findings, failed } = await exercise(buildPv({ text: vgText({ lvs }) }));
    expect(volumes).toHaveLength(2);
    expect(findings.map(({ code, message }) => [code, message])).toEqual([
      ["lvm-overlap", "extent 2 of pv0 belongs to a and to b"],
    ]);
    expect([...failed]).toEqual([]);
  });

  test("a ring of thin pools, caches, snapshots and stripes ends", async () => {
    const lvs = [
      lvText("thin", [[0, 1, 'type = "thin"\nthin_pool = "pool"\ndevice_id = 1']]),
      lvText("pool", [[0, 1, 'type = "thin-pool"\nmetadata = "thin"\npool = "thin"\nchunk_size = 128']]),
      lvText("cache", [[0, 1, 'type = "cache"\ncache_pool = "x"\norigin = "cache"']]),
      lvText("snap0", [[0, 1, 'type = "snapshot"\nchunk_size = 8\norigin = "o"\ncow_store = "s"']]),
      lvText("o", [[0, 1, linear("s", 0)]]),
      lvText("s", [[0, 1, linear("o", 0)]]),
      lvText("m", [[0, 1, 'type = "snapshot"\nchunk_size = 8\norigin = "n"\nmerging_store = "n"']]),
      lvText("n", [[0, 1, linear("n", 0)]]),
    ];
    const { volumes, codes } = await exercise(buildPv({ text: vgText({ lvs }) }));
    expect(volumes).toEqual([]);
    expect(codes.length).toBeGreaterThanOrEqual(5);
    expect(new Set(codes)).toEqual(new Set(["lvm-volume"]));
  });

  test("two thousand volumes, each on the one before", async () => {
    const lvs = Array.from({ length: 2000 }, (_, n) =>
      lvText(`v${n}`, [[0, 1, linear(n === 0 ? "pv0" : `v${n - 1}`, 0)]]),
    );
    const reversed = [...lvs].reverse();
    const size = 8 << 20;
    for (const order of [lvs, reversed]) {
      const data = buildPv({ text: vgText({ lvs: order }), size, areaSize: 4 << 20 });
      const { volumes, unread } = await exercise(data);
      expect(volumes.length + unread.length).toBe(2000);
    }
  });

  test("fifteen stripes of the same volume twice, over blocks that cannot be read, fail after one try each", async () => {
    const lvs = Array.from({ length: 14 }, (_, n) => {
      const below = `"v${n}", 0, "v${n}", 0`;
      return lvText(`v${n + 1}`, [[0, 2, `type = "striped"\nstripe_count = 2\nstripe_size = 8\nstripes = [${below}]`]]);
    });
    const data = buildPv({ text: vgText({ lvs: [lvText("v0", [[0, 2, linear("pv0", 0)]]), ...lvs] }) });
    let reads = 0;
    const device = {
      size: data.length,
      async read(at: number, length: number): Promise<Uint8Array> {
        if (at + length <= EXTENT) return data.subarray(at, at + length);
        reads += 1;
        throw new ImageError("io", "a bad block");
      },
    };
    const { volumes } = await assembleVolumes([{ name: "disk", device }], { report: () => {} });
    expect(volumes).toHaveLength(15);
    reads = 0;
    await expect(volumes.at(-1)!.device.read(0, 512)).rejects.toThrow("a bad block");
    expect(reads).toBe(1);
  });

  test("thin metadata, a snapshot's store and a RAID's superblocks of random bytes", async () => {
    const lvs = [
      lvText("thin", [[0, 8, 'type = "thin"\nthin_pool = "pool"\ndevice_id = 1']]),
      lvText("pool", [[0, 8, 'type = "thin-pool"\nmetadata = "meta"\npool = "data"\nchunk_size = 128']]),
      lvText("meta", [[0, 2, linear("pv0", 0)]], { status: '"READ"' }),
      lvText("data", [[0, 4, linear("pv0", 2)]], { status: '"READ"' }),
      lvText("snapshot0", [[0, 1, 'type = "snapshot"\nchunk_size = 8\norigin = "o"\ncow_store = "s"']]),
      lvText("o", [[0, 2, linear("pv0", 6)]]),
      lvText("s", [[0, 2, linear("pv0", 8)]], { status: '"READ"' }),
      lvText("r", [
        [0, 2, 'type = "raid5"\ndevice_count = 3\nstripe_size = 8\nraids = ["m0", "d0", "m1", "d1", "m2", "d2"]'],
      ]),
      ...[0, 1, 2].flatMap((n) => [
        lvText(`m${n}`, [[0, 1, linear("pv0", 10 + n)]], { status: '"READ"' }),
        lvText(`d${n}`, [[0, 1, linear("pv0", 13 + n)]], { status: '"READ"' }),
      ]),
    ];
    const random = new Random(7);
    const data = buildPv({ text: vgText({ lvs }) });
    for (let at = EXTENT; at < data.length; at += 1) data[at] = random.below(256);
    data.set(encodeText("DmRd"), EXTENT * 11);
    const { volumes, failed } = await exercise(data);
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-thin", "lvm/vg-s", "lvm/vg-o", "lvm/vg-r"]);
    expect([...failed]).toEqual([
      ["lvm/vg-thin", "corrupt"],
      ["lvm/vg-s", "corrupt"],
    ]);
  });
});

test("texts cut short and changed at random end as volumes or as findings", async () => {
  const random = new Random(11);
  for (let round = 0; round < 300; round += 1) {
    const bytes = encodeText(TEXT);
    const cut = bytes.slice(0, round % 3 === 0 ? random.below(bytes.length) : bytes.length);
    for (let n = random.below(4); n > 0; n -= 1) cut[random.below(cut.length || 1)] = random.below(256);
    const text = new TextDecoder("latin1").decode(cut).replaceAll("\0", " ");
    const { volumes, unread } = await exercise(buildPv({ text }));
    expect(volumes.length + unread.length).toBeLessThanOrEqual(2);
  }
});
