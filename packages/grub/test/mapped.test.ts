import { bufferDevice } from "@guestprobe/block";
import { grubMapped } from "@guestprobe/grub";
import { assembleVolumes, type MdArray } from "@guestprobe/volume";
import { describe, expect, test } from "vitest";
import { buildPv, linear, lvText, PV_AT, sealPv, vgText } from "../../../test/lib/lvm-builder.js";

async function mapped(disks: Readonly<Record<string, Uint8Array>>) {
  const members = Object.entries(disks).map(([name, data]) => ({ name, device: bufferDevice(data) }));
  const { disks: seen, hidden } = grubMapped(await assembleVolumes(members));
  return {
    seen: seen.map(({ name }) => name),
    hidden: Object.fromEntries(hidden.map(({ disk, reason }) => [disk.name, reason])),
  };
}
const plain = (name: string, at: number): string => lvText(name, [[0, 1, linear("pv0", at)]]);
const part = (name: string, at: number): string =>
  lvText(name, [[0, 1, linear("pv0", at)]], { status: '"READ", "WRITE"' });

describe("logical volumes in GRUB's eyes", () => {
  test("last in the text first, the group found last first, a cached volume before all others of its group", async () => {
    const cache = 'type = "cache"\ncache_pool = "fast"\norigin = "c_corig"';
    const lvs = [plain("a", 0), lvText("c", [[0, 1, cache]]), plain("b", 1), part("c_corig", 2)];
    const { seen, hidden } = await mapped({
      one: buildPv({ text: vgText({ lvs }) }),
      two: buildPv({ letter: "B", text: vgText({ name: "w", letter: "W", pvs: ["B"], lvs: [plain("x", 0)] }) }),
    });
    expect(seen).toEqual(["lvm/w-x", "lvm/vg-c", "lvm/vg-b", "lvm/vg-a"]);
    expect(hidden).toEqual({});
  });

  test("types that GRUB does not know hide one volume", async () => {
    const lvs = [plain("a", 0), lvText("z", [[0, 1, 'type = "zero"']])];
    expect(await mapped({ one: buildPv({ text: vgText({ lvs }) }) })).toEqual({
      seen: ["lvm/vg-a"],
      hidden: { "lvm/vg-z": "GRUB reads no volumes of type zero" },
    });
  });

  test("a cache by another word than its own", async () => {
    const cache = 'type = "cache+CACHE_USES_CACHEVOL"\ncache_pool = "fast"\norigin = "o"\ncache_mode = "writeback"';
    const { seen, hidden } = await mapped({
      one: buildPv({ text: vgText({ lvs: [lvText("c", [[0, 1, cache]]), part("o", 0)] }) }),
    });
    expect(seen).toEqual([]);
    expect(hidden["lvm/vg-c"]).toMatch(/cache\+CACHE_USES_CACHEVOL/);
  });

  test("one volume on something that GRUB did not take loses the group", async () => {
    const mirror = 'type = "mirror"\nmirror_count = 1\nmirrors = ["z", 0]';
    const lvs = [
      plain("a", 0),
      lvText("z", [[0, 1, 'type = "zero"']], { status: '"READ"' }),
      lvText("m", [[0, 1, mirror]]),
    ];
    const { seen, hidden } = await mapped({ one: buildPv({ text: vgText({ lvs }) }) });
    expect(seen).toEqual([]);
    expect(hidden["lvm/vg-a"]).toBe("GRUB drops the group: m lies on z, which it does not know");
  });

  test("GRUB keeps to the text that it meets first, however old", async () => {
    const pvs = ["A", "B"];
    const old = vgText({ pvs, lvs: [plain("same", 0), plain("moved", 1)] });
    const text = vgText({ seqno: 2, pvs, lvs: [plain("same", 0), plain("moved", 2), plain("new", 3)] });
    const { seen, hidden } = await mapped({ a: buildPv({ text: old }), b: buildPv({ letter: "B", text }) });
    expect(seen).toEqual(["lvm/vg-same"]);
    expect(Object.keys(hidden)).toEqual(["lvm/vg-moved", "lvm/vg-new"]);
    expect(hidden["lvm/vg-new"]).toMatch(/number 1, and the newest is number 2/);
  });

  test("a physical volume without a text is none to GRUB", async () => {
    const lvs = [plain("here", 0), lvText("there", [[0, 1, linear("pv1", 0)]])];
    const a = buildPv({ text: vgText({ pvs: ["A", "B"], lvs }) });
    expect(await mapped({ a, b: buildPv({ letter: "B" }) })).toEqual({
      seen: ["lvm/vg-here"],
      hidden: { "lvm/vg-there": "GRUB does not find enough of its physical volumes" },
    });
  });

  test("nor is one with two data areas", async () => {
    const a = buildPv({ text: vgText({ lvs: [plain("a", 0)] }) });
    // A second data area moves both lists behind it by one entry.
    a.copyWithin(PV_AT.dataArea + 16, PV_AT.dataArea, PV_AT.dataArea + 64);
    const { seen, hidden } = await mapped({ a: sealPv(a) });
    expect(seen).toEqual([]);
    expect(hidden["lvm/vg-a"]).toMatch(/none of its physical volumes has what GRUB asks for/);
  });
});

describe("arrays in GRUB's eyes", () => {
  const array = (level: number, more: Partial<MdArray> = {}): MdArray => ({
    kind: "md",
    name: "md/0",
    aliases: [],
    linuxNames: [],
    device: bufferDevice(new Uint8Array(512)),
    members: ["a", "b", "c", "d"],
    group: "0",
    metadata: "1.2",
    level,
    layout: 0,
    raidDisks: 4,
    ...more,
  });
  const reason = (one: MdArray): string | undefined =>
    grubMapped({ volumes: [one], groups: [], unread: [], taken: new Map(), scanned: ["a", "b", "c", "d"] }).hidden[0]
      ?.reason;

  test.each([
    [array(0), undefined],
    [array(0, { members: ["a", "b", "c"] }), /wants 4 of its 4 members/],
    [array(1, { members: ["d"] }), undefined],
    [array(4, { members: ["a", "b"] }), /wants 3/],
    [array(5, { layout: 2, members: ["a", "b", "c"] }), undefined],
    [array(5, { layout: 5 }), /misreads layout 5/],
    [array(6, { layout: 8 }), /misreads layout 8/],
    [array(6, { layout: 2, members: ["a", "b"] }), undefined],
    [array(10, { layout: 0x102, members: ["a", "b", "c"] }), undefined],
    [array(10, { layout: 0x102, members: ["a", "b"] }), /wants 3/],
    [array(10, { layout: 0x2_0201 }), /within sets/],
    [array(-1), /level linear/],
  ])("%#", (one, expected) => {
    if (expected === undefined) expect(reason(one)).toBeUndefined();
    else expect(reason(one)).toMatch(expected);
  });
});
