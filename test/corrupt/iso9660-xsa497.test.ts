/**
 * The five flaws of XSA-497 (CVE-2026-42494, -42495, -62423, -62424, -62425) in the ISO 9660 reader of pygrub: lengths of
 * the disk that were believed. Each has an image here, a real volume of genisoimage with those bytes changed; each ends as a
 * finding with its byte offset, and what does not depend on the damage is read.
 */
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { edited, isoFixture, namesIn, openIso, recordOf } from "../lib/iso-edit.js";

const sound = isoFixture("rr");
/** In the root directory, with all the fields that writers write, and a continuation area for its name. */
const LONG = `/long-${"x".repeat(240)}`;
const FILE = "/size-2048";

/** Changes the volume; then all of it is read, and there is one finding, of this code and at this byte. */
async function endsAs(code: string, offset: number, edit: (view: DataView) => void): Promise<string[]> {
  const { fs, log } = await openIso(edited(sound, edit));
  const { errors } = await drain(fs);
  expect(errors).toEqual([]);
  expect(log.findings.map((each) => [each.code, each.severity, each.offset])).toEqual([[code, "error", offset]]);
  return namesIn(fs, "/");
}

describe("directory record length", () => {
  test.each([1, 2, 32, 33])("%i bytes: shorter than a record", async (length) => {
    const { at } = await recordOf(sound, FILE);
    const names = await endsAs("iso-bad-record", at, (view) => view.setUint8(at, length));
    // What comes before it in its sector is listed.
    expect(names).toContain("boot");
    expect(names).not.toContain("size-2048");
  });

  test("255 bytes: past the end of its sector", async () => {
    // The last record of the root directory's first sector.
    const { at } = await lastRecord();
    const names = await endsAs("iso-bad-record", at, (view) => view.setUint8(at, 255));
    expect(names).toContain("boot");
  });

  test("what lies in other sectors is listed", async () => {
    const root = new DataView(sound.buffer).getUint32(16 * 2048 + 158, true) * 2048;
    // The first that is neither the directory itself nor its parent.
    const first = root + sound[root]! + sound[root + sound[root]!]!;
    const names = await endsAs("iso-bad-record", first, (view) => view.setUint8(first, 5));
    const { at: other } = await recordOf(sound, "/size-2048");
    expect(other).toBeGreaterThanOrEqual(root + 2048);
    expect(names).toContain("size-2048");
    expect(names.length).toBeLessThan((await namesIn((await openIso(sound)).fs, "/")).length);
  });
});

/** The record that ends last in the first sector of the root directory. */
async function lastRecord(): Promise<{ at: number; length: number }> {
  const { at } = await recordOf(sound, "/empty");
  let last = at - (at % 2048);
  for (let place = last; place < at - (at % 2048) + 2048 && sound[place]! > 0; place += sound[place]!) last = place;
  return { at: last, length: sound[last]! };
}

describe("system use underflow", () => {
  test("a name that ends past its record leaves less than nothing for system use", async () => {
    const { at, length } = await recordOf(sound, FILE);
    for (const nameLength of [length - 32, length, 255]) {
      const names = await endsAs("iso-bad-record", at + 32, (view) => view.setUint8(at + 32, nameLength));
      expect(names).toContain("boot");
    }
  });

  test("a name that fills its record leaves minus one with its padding: no fields, no damage", async () => {
    const { at, length } = await recordOf(sound, FILE);
    expect(length % 2).toBe(0);
    const { fs, log } = await openIso(
      edited(sound, (view) => {
        // An even name length, so that a byte of padding would follow behind the record.
        view.setUint8(at, length - 1);
        view.setUint8(at + 32, length - 34);
        new Uint8Array(view.buffer).fill(0x41, at + 33, at + length - 1);
        // The byte that no record owns now: the rest of the sector ends here.
        view.setUint8(at + length - 1, 0);
      }),
    );
    await drain(fs);
    expect(log.findings.filter(({ code }) => code === "iso-bad-system-use")).toEqual([]);
    expect(await namesIn(fs, "/")).toContain("a".repeat(length - 34));
  });
});

describe("Rock Ridge record length", () => {
  test.each([0, 1, 2, 3])("a field of %i bytes", async (length) => {
    const { field } = await recordOf(sound, FILE);
    const at = field("PX");
    const names = await endsAs("iso-bad-system-use", at, (view) => view.setUint8(at + 2, length));
    expect(names.length).toBeGreaterThan(5);
  });

  test("a field that ends past its record", async () => {
    const { field } = await recordOf(sound, FILE);
    const at = field("TF");
    const names = await endsAs("iso-bad-system-use", at, (view) => view.setUint8(at + 2, 255));
    // The name comes before the times: it counts.
    expect(names).toContain("size-2048");
  });

  test.each([
    ["PX", 35],
    ["TF", 4],
  ])("%s with %i bytes, less than it must hold", async (signature, length) => {
    const { field } = await recordOf(sound, FILE);
    const at = field(signature);
    await endsAs("iso-bad-system-use", at, (view) => view.setUint8(at + 2, length));
  });
});

test("NM length: a name field of four bytes", async () => {
  const { field } = await recordOf(sound, FILE);
  const at = field("NM");
  const names = await endsAs("iso-bad-system-use", at, (view) => view.setUint8(at + 2, 4));
  // The standard's own name is what is left.
  expect(names).toContain("size_204");
});

describe("CE offset and size", () => {
  test.each<[string, block: number | undefined, offset: number, size: number]>([
    ["an offset past its block", undefined, 2048, 10],
    ["an offset of 2^32 - 1", undefined, 0xffff_ffff, 10],
    ["a size past its block", undefined, 2000, 100],
    ["a size of 2^32 - 1", undefined, 0, 0xffff_ffff],
    ["offset and size that add up to 2^32", undefined, 0xffff_fff0, 0x10],
    ["a block past the volume", 0x00ff_ffff, 0, 100],
    ["a block of 2^32 - 1", 0xffff_ffff, 0, 100],
  ])("%s", async (_, block, offset, size) => {
    const record = await recordOf(sound, LONG);
    const at = record.field("CE");
    // The finding is of the area that leads there: the record's own.
    const nameLength = sound[record.at + 32]!;
    const area = record.at + 33 + nameLength + (1 - (nameLength % 2));
    const names = await endsAs("iso-bad-system-use", area, (view) => {
      if (block !== undefined) view.setUint32(at + 4, block, true);
      view.setUint32(at + 12, offset, true);
      view.setUint32(at + 20, size, true);
    });
    expect(names.some((name) => name.startsWith("long-"))).toBe(true);
  });

  test("a continuation area that continues in itself", async () => {
    const record = await recordOf(sound, LONG);
    const ce = record.field("CE");
    const view = new DataView(sound.buffer);
    const target = view.getUint32(ce + 4, true) * 2048 + view.getUint32(ce + 12, true);
    const names = await endsAs("iso-bad-system-use", target, (copy) => {
      new Uint8Array(copy.buffer).set(sound.subarray(ce, ce + 28), target);
      copy.setUint32(ce + 20, 28, true);
      copy.setUint32(target + 20, 28, true);
    });
    expect(names).toContain("boot");
  });
});
