import { bufferDevice, countReads, type Finding } from "@guestprobe/block";
import { assembleVolumes } from "@guestprobe/volume";
import { describe, expect, test } from "vitest";
import { buildPv, linear, lvText, MIB, PV_AT, sealPv, uuidOf, vgText } from "../../../test/lib/lvm-builder.js";

const EXTENT = 64 << 10;
/** Where extent n of a physical volume begins. */
const extentAt = (n: number): number => EXTENT * (n + 1);

async function assemble(disks: Readonly<Record<string, Uint8Array>>) {
  const findings: Finding[] = [];
  const members = Object.entries(disks).map(([name, data]) => ({ name, device: bufferDevice(data) }));
  const result = await assembleVolumes(members, { report: (entry) => findings.push(entry) });
  return { ...result, findings, codes: findings.map(({ code }) => code) };
}
const fill = (data: Uint8Array, extent: number, value: number, count = 1): Uint8Array =>
  data.fill(value, extentAt(extent), extentAt(extent + count));
const first = async (device: { read(at: number, length: number): Promise<Uint8Array> }, ...at: number[]) =>
  Promise.all(at.map(async (offset) => (await device.read(offset, 1))[0]));

describe("a group", () => {
  test("names, members, and bytes on two physical volumes given in another order", async () => {
    const text = vgText({
      name: "my-vg",
      pvs: ["A", "B"],
      lvs: [
        lvText("r-1", [
          [0, 1, linear("pv0", 3)],
          [1, 2, linear("pv1", 0)],
        ]),
      ],
    });
    const a = fill(buildPv({ letter: "A", text }), 3, 1);
    const b = fill(fill(buildPv({ letter: "B", text }), 0, 2), 1, 3);
    const { volumes, taken, codes } = await assemble({ b, other: new Uint8Array(MIB), a });
    expect(codes).toEqual([]);
    expect(volumes).toHaveLength(1);
    expect(volumes[0]).toMatchObject({
      kind: "lvm2",
      name: "lvm/my--vg-r--1",
      aliases: [`lvmid/${uuidOf("V")}/${uuidOf("L")}`],
      linuxNames: ["/dev/mapper/my--vg-r--1", "/dev/my-vg/r-1"],
      members: ["b", "a"],
      layout: "linear",
    });
    expect(await first(volumes[0]!.device, 0, EXTENT, 2 * EXTENT, 3 * EXTENT - 1)).toEqual([1, 2, 3, 3]);
    expect([...taken]).toEqual([
      ["b", "volume group my-vg"],
      ["a", "volume group my-vg"],
    ]);
  });

  test("a text that goes on at the start of its ring", async () => {
    const text = vgText({ lvs: [lvText("root", [[0, 1, linear("pv0", 0)]])] });
    const { volumes, codes } = await assemble({ a: buildPv({ text, areaSize: 4096, textAt: 4000 }) });
    expect(codes).toEqual([]);
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-root"]);
  });

  test("the newest text counts, wherever it is, and the older ones are told", async () => {
    const old = vgText({ seqno: 3, pvs: ["A", "B"], lvs: [lvText("old", [[0, 1, linear("pv0", 0)]])] });
    const text = vgText({ seqno: 4, pvs: ["A", "B"], lvs: [lvText("new", [[0, 1, linear("pv0", 0)]])] });
    const { volumes, findings } = await assemble({ a: buildPv({ text: old }), b: buildPv({ letter: "B", text }) });
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-new"]);
    expect(findings.map(({ code, message }) => [code, message])).toEqual([
      ["lvm-metadata-old", "the text of vg has number 4; number 3 on (a)"],
    ]);
  });

  test("a damaged text is passed over for a sound older one", async () => {
    const old = vgText({ seqno: 3, pvs: ["A", "B"], lvs: [lvText("old", [[0, 1, linear("pv0", 0)]])] });
    const text = vgText({ seqno: 4, pvs: ["A", "B"], lvs: [lvText("new", [[0, 1, linear("pv0", 0)]])] });
    const a = buildPv({ text });
    a[PV_AT.mda + 512 + text.indexOf("sda")] = 0x78;
    const { volumes, codes } = await assemble({ a, b: buildPv({ letter: "B", text: old }) });
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-old"]);
    expect(codes).toEqual(["lvm-metadata-area"]);
  });

  test("the only text is used although its checksum is wrong", async () => {
    const text = vgText({ lvs: [lvText("root", [[0, 1, linear("pv0", 0)]])] });
    const a = buildPv({ text });
    a[PV_AT.mda + 512 + text.indexOf("sda")] = 0x78;
    const { volumes, findings } = await assemble({ a });
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-root"]);
    expect(findings[0]).toMatchObject({ code: "lvm-metadata-area", device: "a", offset: 4608 });
  });

  test("a physical volume without a text, known from another's", async () => {
    const text = vgText({ pvs: ["A", "B"], lvs: [lvText("root", [[0, 1, linear("pv1", 0)]])] });
    const { volumes, groups, codes } = await assemble({
      b: fill(buildPv({ letter: "B" }), 0, 9),
      a: buildPv({ text }),
    });
    expect(codes).toEqual([]);
    expect(await first(volumes[0]!.device, 0)).toEqual([9]);
    expect(groups[0]?.members.map(({ name, firstArea }) => [name, firstArea?.name])).toEqual([
      ["b", undefined],
      ["a", "vg"],
    ]);
  });

  test("a missing physical volume costs what lies on it", async () => {
    const text = vgText({
      pvs: ["A", "B"],
      lvs: [
        lvText("here", [[0, 1, linear("pv0", 0)]]),
        lvText("half", [
          [0, 1, linear("pv0", 1)],
          [1, 1, linear("pv1", 0)],
        ]),
      ],
    });
    const { volumes, findings } = await assemble({ a: fill(buildPv({ text }), 1, 5) });
    expect(volumes.map(({ name }) => name)).toEqual(["lvm/vg-here", "lvm/vg-half"]);
    expect(await first(volumes[1]!.device, 0)).toEqual([5]);
    await expect(volumes[1]!.device.read(EXTENT - 1, 2)).rejects.toMatchObject({ code: "io" });
    expect(findings).toHaveLength(1);
    expect(findings[0]?.message).toMatch(/vg lacks pv1, BBBBBB.*\/dev\/sdb.*part of half/);
  });

  test("a physical volume that was cut short", async () => {
    const text = vgText({ lvs: [lvText("root", [[0, 31, linear("pv0", 0)]])] });
    const { volumes, codes } = await assemble({ a: fill(buildPv({ text }), 2, 7).subarray(0, MIB) });
    expect(codes).toEqual(["lvm-pv-short"]);
    expect(await first(volumes[0]!.device, 2 * EXTENT)).toEqual([7]);
    await expect(volumes[0]!.device.read(20 * EXTENT, 1)).rejects.toMatchObject({ code: "past-end" });
  });

  test("two devices of one UUID: the first is read", async () => {
    const text = vgText({ lvs: [lvText("root", [[0, 1, linear("pv0", 0)]])] });
    const a = fill(buildPv({ text }), 0, 1);
    const { volumes, findings } = await assemble({ a, copy: fill(a.slice(), 0, 2) });
    expect(volumes).toHaveLength(1);
    expect(await first(volumes[0]!.device, 0)).toEqual([1]);
    expect(findings.map(({ code, device }) => [code, device])).toEqual([["lvm-pv-duplicate", "copy"]]);
  });

  test("two groups of one name are told apart by UUID, and named as GRUB does", async () => {
    const lvs = [lvText("root", [[0, 1, linear("pv0", 0)]])];
    const a = fill(buildPv({ text: vgText({ lvs }) }), 0, 1);
    const b = fill(buildPv({ letter: "B", text: vgText({ letter: "W", pvs: ["B"], lvs }) }), 0, 2);
    const { volumes, codes } = await assemble({ a, b });
    expect(volumes.map(({ name, group }) => [name, group])).toEqual([
      ["lvm/vg-root", uuidOf("V")],
      ["lvm/vg-root_1", uuidOf("W")],
    ]);
    expect(await first(volumes[1]!.device, 0)).toEqual([2]);
    expect(codes).toEqual(["lvm-vg-name"]);
  });

  test("a physical volume of no group", async () => {
    const { volumes, findings, taken } = await assemble({ a: buildPv() });
    expect(volumes).toEqual([]);
    expect(findings.map(({ code, device }) => [code, device])).toEqual([["lvm-orphan", "a"]]);
    expect(taken.get("a")).toBe("LVM");
  });
});

describe("volumes on volumes", () => {
  test("a group on a logical volume of another", async () => {
    const outer = vgText({ lvs: [lvText("store", [[0, 30, linear("pv0", 0)]])] });
    const inner = vgText({
      name: "in",
      letter: "W",
      pvs: ["B"],
      peCount: 10,
      lvs: [lvText("root", [[0, 1, linear("pv0", 2)]])],
    });
    const data = buildPv({ text: outer });
    data.set(fill(buildPv({ letter: "B", text: inner, size: 20 * EXTENT }), 2, 8), extentAt(0));
    const { volumes, taken, scanned, codes } = await assemble({ disk: data });
    expect(codes).toEqual([]);
    expect(volumes.map(({ name, members }) => [name, members])).toEqual([
      ["lvm/vg-store", ["disk"]],
      ["lvm/in-root", ["lvm/vg-store"]],
    ]);
    expect(await first(volumes[1]!.device, 0)).toEqual([8]);
    expect(taken.get("lvm/vg-store")).toBe("volume group in");
    expect(scanned).toEqual(["disk", "lvm/vg-store", "lvm/in-root"]);
  });

  test.each([
    ["itself", [lvText("a", [[0, 1, linear("a", 0)]])], /"a" is part of itself/],
    ["each other", [lvText("a", [[0, 1, linear("b", 0)]]), lvText("b", [[0, 1, linear("a", 0)]])], /is part of itself/],
    ["what is not there", [lvText("a", [[0, 1, linear("nobody", 0)]])], /there is no volume "nobody"/],
    [
      "extents past the end",
      [lvText("a", [[0, 2, linear("pv0", 30)]])],
      /extents 30 to 32 are not all in pv0, which has 31/,
    ],
  ])("a volume on %s is a finding, and the others are read", async (_, bad, message) => {
    const text = vgText({ lvs: [...bad, lvText("good", [[0, 1, linear("pv0", 0)]])] });
    const { volumes, unread, findings } = await assemble({ a: buildPv({ text }) });
    expect(volumes.map(({ name }) => name)).toContain("lvm/vg-good");
    expect(findings[0]).toMatchObject({
      code: "lvm-volume",
      message: expect.stringMatching(message),
      device: "lvm/vg-a",
    });
    expect(unread[0]?.devices).toEqual(["lvm/vg-a"]);
  });

  test("a tower of mirrors of mirrors is refused before it is read", async () => {
    const mirror = (on: string): string =>
      `type = "mirror"\nmirror_count = 3\nmirrors = ["${on}", 0, "${on}", 0, "${on}", 0]`;
    const tower = Array.from({ length: 12 }, (_, n) =>
      lvText(`m${n}`, [[0, 1, mirror(n === 0 ? "pv0" : `m${n - 1}`)]]),
    );
    const { volumes, findings } = await assemble({ a: buildPv({ text: vgText({ lvs: tower }) }) });
    // Six at each level: each of three legs, and once more where it failed.
    expect(volumes).toHaveLength(4);
    expect(findings.find(({ code }) => code === "lvm-volume")?.message).toMatch(/one read could take 7776 below it/);
  });
});

test("a disk that is part of nothing costs six reads, whatever its size", async () => {
  const disk = countReads({ size: 2 ** 40, read: async (_, length) => new Uint8Array(length) });
  const { volumes, taken } = await assembleVolumes([{ name: "disk", device: disk }]);
  expect([volumes, taken.size]).toEqual([[], 0]);
  expect(disk.stats.reads).toBeLessThanOrEqual(6);
  expect(disk.stats.bytes).toBeLessThanOrEqual(32 << 10);
});

test("a label that fails its checks is read, as GRUB would", async () => {
  const a = buildPv({ text: vgText({ lvs: [lvText("root", [[0, 1, linear("pv0", 0)]])] }) });
  a[PV_AT.pvHeader + 33] = 0x77;
  const { volumes, codes } = await assemble({ a });
  expect(volumes).toHaveLength(1);
  expect(codes).toEqual(["lvm-label"]);
  expect((await assemble({ a: sealPv(a) })).codes).toEqual([]);
});
