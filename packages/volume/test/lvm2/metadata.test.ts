import { encodeText, isImageError } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import { linear, lvText, uuidOf, vgText } from "../../../../test/lib/lvm-builder.js";
import { decodeVolumeGroup } from "../../src/lvm2/metadata.js";
import { parseConfig } from "../../src/lvm2/metadata-lexer.js";
import { overlaps } from "../../src/lvm2/overlap.js";

const parse = (text: string) => parseConfig(encodeText(text));
const decode = (lvs: readonly string[], more = {}) => decodeVolumeGroup(encodeText(vgText({ lvs, ...more })));
const errorOf = (lv: string): string => decode([lv]).logicalVolumes.get("lv")?.error?.message ?? "";

describe("text", () => {
  test("values, arrays, sections, comments, escapes; the end at the first NUL", () => {
    const root = parse('a=1 # one\nb = "x\\"y\\\\z\\n" c { d = [ "e", 2 ,-3, ] f = [] }\n\n# }\ng = 1.5\0 } } "');
    expect([...root.values]).toEqual([
      ["a", 1],
      ["b", 'x"y\\z\\n'],
      ["g", 1.5],
    ]);
    expect([...root.sections.get("c")!.values]).toEqual([
      ["d", ["e", 2, -3]],
      ["f", []],
    ]);
    expect(root.sections.get("c")?.at).toBe(26);
  });

  test.each([
    ["a", /neither "=" nor "{" follows "a"/],
    ["a = ", /"\\u0000"|where a name should be/],
    ['a = "x', /a string does not end/],
    ["a = [ 1, ", /an array does not end/],
    ["a = [ 1 2 ]", /neither a comma nor the end/],
    ["a { b = 1", /ends inside the section "a"/],
    ["a = 1 }", /closes no section/],
    ["a = 1 a = 2", /"a" is given twice.*at byte 6/],
    ["= 1", /where a name should be/],
    [`${"a {".repeat(40)}`, /more than 16 sections/],
  ])("%j is refused", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  test("a hundred thousand brackets are no hundred thousand calls", () => {
    expect(() => parse(`a = ${"[".repeat(100_000)}`)).toThrow(/where a name should be/);
    expect(() => parse("{".repeat(100_000))).toThrow(/where a name should be/);
  });

  test("a number of 2^53 and above is no number", () => {
    expect(parse("a = 9007199254740993").values.get("a")).toBeNaN();
  });
});

describe("volume group", () => {
  test("names, extents, physical volumes", () => {
    const vg = decode([lvText("lv", [[0, 3, linear("pv0", 2)]])], { pvs: ["A", "B"], seqno: 7 });
    expect(vg).toMatchObject({ name: "vg", uuid: uuidOf("V"), seqno: 7, extentSize: 128 });
    expect([...vg.physicalVolumes].map(([key, { uuid, device }]) => [key, uuid, device])).toEqual([
      ["pv0", uuidOf("A"), "/dev/sda"],
      ["pv1", uuidOf("B"), "/dev/sdb"],
    ]);
    expect(vg.logicalVolumes.get("lv")).toMatchObject({ extents: 3, isVisible: true, error: undefined });
  });

  test("one damaged volume hides no other", () => {
    const vg = decode([lvText("bad", [[0, 0, linear("pv0", 0)]]), lvText("good", [[0, 1, linear("pv0", 0)]])]);
    expect(isImageError(vg.logicalVolumes.get("bad")?.error, "corrupt")).toBe(true);
    expect(vg.logicalVolumes.get("good")?.error).toBeUndefined();
  });

  test.each([
    ["no extents", lvText("lv", [[0, 0, linear("pv0", 0)]]), /"extent_count" is 0/],
    ["a start below zero", lvText("lv", [[-1, 1, linear("pv0", 0)]]), /"start_extent" is -1/],
    [
      "a gap",
      lvText("lv", [
        [0, 1, linear("pv0", 0)],
        [2, 1, linear("pv0", 3)],
      ]),
      /at extent 2 leaves a gap/,
    ],
    [
      "an overlap",
      lvText("lv", [
        [0, 2, linear("pv0", 0)],
        [1, 1, linear("pv0", 3)],
      ]),
      /overlaps the one before it/,
    ],
    ["2^53 bytes", lvText("lv", [[0, 2 ** 52, linear("pv0", 0)]]), /pass 2\^53 bytes/],
    ["no type", lvText("lv", [[0, 1, "x = 1"]]), /"type" is missing/],
    [
      "2^31 stripes",
      lvText("lv", [[0, 1, 'type = "striped"\nstripe_count = 2147483648\nstripes = ["pv0", 0]']]),
      /2 values in "stripes" for 2147483648/,
    ],
    [
      "stripes without a size",
      lvText("lv", [[0, 2, 'type = "striped"\nstripe_count = 2\nstripes = ["pv0", 0, "pv1", 0]']]),
      /"stripe_size" is missing/,
    ],
    [
      "2^31 images",
      lvText("lv", [[0, 1, 'type = "raid1"\ndevice_count = 2147483648\nraids = ["a", "b"]']]),
      /2 names for 2147483648 images/,
    ],
    [
      "pairs that are none",
      lvText("lv", [[0, 1, 'type = "mirror"\nmirror_count = 1\nmirrors = [0, "pv0"]']]),
      /no pairs of name and extent/,
    ],
  ])("a volume with %s", (_, lv, message) => {
    expect(errorOf(lv)).toMatch(message);
  });

  test("a count of segments that lies", () => {
    expect(
      errorOf(lvText("lv", [[0, 1, linear("pv0", 0)]]).replace("segment_count = 1", "segment_count = 2147483648")),
    ).toMatch(/has 1 segments and says 2147483648/);
  });

  test.each([
    ["", /has no volume group/],
    [`${vgText({})}second { id = "x" }`, /more than one volume group/],
    [vgText({}).replace("extent_size = 128", "extent_size = 0"), /"extent_size" is 0/],
    [vgText({ peCount: "2147483648" }).replace("extent_size = 128", "extent_size = 9000000000"), /pass 2\^53 bytes/],
    [vgText({}).replace("seqno = 1", 'seqno = "1"'), /"seqno" is "1"/],
  ])("a text that is refused: %#", (text, message) => {
    expect(() => decodeVolumeGroup(encodeText(text))).toThrow(message);
  });

  test("extents that two volumes claim", () => {
    const vg = decode([
      lvText("a", [[0, 4, linear("pv0", 0)]]),
      lvText("b", [[0, 2, linear("pv0", 3)]]),
      lvText("c", [[0, 2, linear("pv0", 5)]]),
    ]);
    expect(overlaps(vg)).toEqual([{ pv: "pv0", a: "a", b: "b", extent: 3 }]);
  });
});
