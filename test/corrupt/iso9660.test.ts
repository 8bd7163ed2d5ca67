/** ISO 9660: one thing of a sound volume is made to lie; what must come of it, and where it is said to be. */
import { bufferDevice, isImageError } from "@guestprobe/block";
import { isIso9660, iso9660 } from "@guestprobe/iso9660";
import { iso_directory_record, iso_primary_descriptor as pd } from "@guestprobe/iso9660/layout";
import { resolve, walkAll } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { edited, isoFixture, namesIn, openIso, recordOf } from "../lib/iso-edit.js";

const PVD = 16 * 2048;
const [plain, rr, joliet, both, xboth] = ["plain", "rr", "joliet", "both", "xboth"].map(isoFixture) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
type Patch = (view: DataView) => void;
const u8 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint8(at, value);
const u16 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint16(at, value, true);
const u32 =
  (at: number, value: number): Patch =>
  (view) =>
    view.setUint32(at, value, true);
const write =
  (at: number, text: string): Patch =>
  (view) =>
    new Uint8Array(view.buffer).set(Buffer.from(text), at);
const at = (field: keyof typeof pd.$fields): number => PVD + pd.$fields[field].offset;

describe("volume descriptors", () => {
  test.each<[string, Patch, code: string, field: string]>([
    ["logical blocks of 0 bytes", u16(at("logical_block_size"), 0), "corrupt", "logical_block_size"],
    ["logical blocks of 4096 bytes", u16(at("logical_block_size"), 4096), "corrupt", "logical_block_size"],
    ["no primary descriptor", u8(PVD, 3), "corrupt", "type"],
    ["the root record has no length", u8(at("root_directory_record"), 0), "corrupt", "root_directory_record"],
    ["the root record is short", u8(at("root_directory_record"), 33), "corrupt", "root_directory_record"],
    ["UDF alone", write(PVD + 1, "BEA01"), "unsupported", "id"],
    ["High Sierra", (v) => [write(PVD + 1, "     ")(v), write(PVD + 9, "CDROM")(v)], "unsupported", "id"],
    ["no descriptor", write(PVD + 1, "XXXXX"), "not-this-format", "id"],
  ])("%s: %s", async (_, patch, code, field) => {
    const error: unknown = await openIso(edited(plain, patch)).catch((reason: unknown) => reason);
    if (!isImageError(error)) throw error;
    expect([error.code, error.field]).toEqual([code, field]);
    expect(error.offset).toBeGreaterThanOrEqual(PVD);
  });

  test("a device that ends in its descriptors", async () => {
    for (const length of [0, PVD, PVD + 5]) {
      expect(await iso9660.probe(bufferDevice(plain.slice(0, length)))).toBe(false);
    }
    await expect(openIso(plain.slice(0, PVD + 1000))).rejects.toMatchObject({ code: "corrupt" });
  });

  test.each<[string, Uint8Array, Patch, code: string, offset: number]>([
    ["the size in both byte orders", plain, u32(PVD + 84, 1), "iso-byte-orders-differ", at("volume_space_size")],
    [
      "more blocks than the device",
      plain,
      (v) => [u32(PVD + 80, 1e6)(v), v.setUint32(PVD + 84, 1e6)],
      "iso-truncated",
      at("volume_space_size"),
    ],
    ["no terminator", plain, write(PVD + 2048, "\\xffXXXXX"), "iso-no-terminator", PVD],
    [
      "the path table has another first directory",
      plain,
      (v) => u32(pathTable(v) + 2, 1)(v),
      "iso-path-table-differs",
      0,
    ],
    ["the path tables differ", plain, (v) => u32(v.getUint32(PVD + 148) * 2048 + 2, 1)(v), "iso-path-table-differs", 0],
    [
      "a path table of 2^31 bytes",
      plain,
      (v) => [u32(PVD + 132, 2 ** 31)(v), v.setUint32(PVD + 136, 2 ** 31)],
      "iso-path-table-differs",
      0,
    ],
    ["a path table past the device", plain, u32(PVD + 140, 1e6), "iso-path-table-differs", 0],
  ])("%s: read, with a finding", async (_, image, patch, code, offset) => {
    const { fs, log } = await openIso(edited(image, patch));
    expect((await drain(fs)).errors).toEqual([]);
    expect([...new Set(log.findings.map((each) => each.code))]).toEqual([code]);
    if (offset > 0) expect(log.findings[0]!.offset).toBe(offset);
    expect(log.findings[0]!.offset).toBeDefined();
  });

  test("the path table has a directory that its parent does not record, and not the one that it does", async () => {
    const image = edited(plain, (view) => {
      for (const [at, isLittle] of [
        [pathTable(view), true],
        [view.getUint32(PVD + 148) * 2048, false],
      ] as const) {
        // The second record: the first one is the root's, of ten bytes.
        view.setUint32(at + 12, view.getUint32(at + 12, isLittle) + 1, isLittle);
      }
    });
    const view = new DataView(plain.buffer, plain.byteOffset);
    const [table, block] = [pathTable(view), view.getUint32(pathTable(view) + 12, true)];
    const { fs, log } = await openIso(image);
    expect((await drain(fs)).errors).toEqual([]);
    expect(log.findings.map(({ code, message, offset }) => ({ code, message, offset }))).toContainEqual({
      code: "iso-path-table-differs",
      message: expect.stringContaining(
        `the directory at block ${block + 1} is in the path table, and not in its parent`,
      ),
      offset: table + 10,
    });
    expect(log.findings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining(`the directory at block ${block} is not in the path table`),
    );
  });

  test("a directory whose record is gone: the path table has it, and that is told", async () => {
    const grub = await childRecord(plain, "/boot", "GRUB");
    const block = new DataView(plain.buffer).getUint32(grub + 2, true);
    // A file now, with the same blocks.
    const { fs, log } = await openIso(edited(plain, u8(grub + 25, 0)));
    expect((await drain(fs)).errors).toEqual([]);
    expect(log.findings.map(({ message }) => message)).toEqual([
      expect.stringContaining(`the directory at block ${block} is in the path table, and not in its parent`),
    ]);
  });

  test.each([0, 2, 0xffff])("the path table's second record is in record %i", async (parent) => {
    const image = edited(plain, (view) => {
      view.setUint16(pathTable(view) + 16, parent, true);
      view.setUint16(view.getUint32(PVD + 148) * 2048 + 16, parent);
    });
    const { fs, log } = await openIso(image);
    expect((await drain(fs)).errors).toEqual([]);
    expect(log.findings.map(({ code, message }) => [code, message])).toEqual([
      ["iso-path-table-differs", expect.stringContaining(`record 2: its parent is record ${parent}`)],
    ]);
  });

  const pathTable = (view: DataView): number => view.getUint32(PVD + 140, true) * 2048;

  test("Joliet's descriptor is damaged: the plain tree is shown", async () => {
    const { fs } = await openIso(edited(joliet, u16(PVD + 2048 + 128, 3)));
    expect(isIso9660(fs) && fs.scheme).toBe("plain");
    expect((await resolve(fs, "/boot/grub/grub.cfg"))?.inode.stat.type).toBe("file");
  });

  test("Rock Ridge's root is empty, and Joliet's is not: Joliet is shown, as by Linux", async () => {
    const root = new DataView(both.buffer).getUint32(at("root_directory_record") + 2, true) * 2048;
    const end = root + both[root]! + both[root + both[root]!]!;
    const { fs, log } = await openIso(edited(both, (v) => new Uint8Array(v.buffer).fill(0, end, root + 4096)));
    expect(isIso9660(fs) && fs.scheme).toBe("joliet");
    expect(log.findings.map(({ code }) => code)).toContain("iso-empty-rock-ridge");
    expect((await resolve(fs, "/boot/grub/grub.cfg"))?.inode.stat.type).toBe("file");
  });
});

describe("directories", () => {
  test("a directory that contains itself", async () => {
    const { fs } = await openIso(plain);
    const grub = await childRecord(plain, "/boot", "GRUB");
    const own = (await resolve(fs, "/boot"))!.inode.offset!;
    const { fs: looped } = await openIso(edited(plain, u32(grub + 2, own / 2048)));
    const errors: string[] = [];
    let count = 0;
    for await (const { error } of walkAll(looped)) {
      count += 1;
      if (error) errors.push(error.message);
    }
    expect(errors).toEqual([expect.stringMatching(/second name/)]);
    expect(count).toBeLessThan(60);
  });

  test("a moved directory that is its own ancestor", async () => {
    const { fs } = await openIso(rr);
    const moved = await findMoved(rr);
    const target = (await resolve(fs, "/deep"))!.inode.offset! / 2048;
    const { fs: looped, log } = await openIso(edited(rr, u32(moved + 4, target)));
    const { errors } = await drain(looped);
    expect(errors.map(({ message }) => message)).toEqual([expect.stringMatching(/second name/)]);
    expect(log.findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  test("a moved directory past the device", async () => {
    const moved = await findMoved(rr);
    const { errors } = await drain((await openIso(edited(rr, u32(moved + 4, 0x0fff_ffff)))).fs);
    expect(errors).toMatchObject([{ code: "corrupt" }]);
  });

  test("a directory past the device: what is beside it is read", async () => {
    const boot = await childRecord(plain, "/", "BOOT");
    const { fs } = await openIso(edited(plain, u32(boot + 2, 0x00ff_ffff)));
    expect((await drain(fs)).errors).toMatchObject([{ code: "past-end" }]);
    expect((await resolve(fs, "/efi/boot/bootx64.efi"))?.inode.stat.type).toBe("file");
  });

  test("a directory that does not begin with itself", async () => {
    const { fs } = await openIso(plain);
    const own = (await resolve(fs, "/boot"))!.inode.offset!;
    const { fs: damaged, log } = await openIso(edited(plain, u8(own + 33, 0x41)));
    expect(await namesIn(damaged, "/boot")).toContain("vmlinuz");
    expect(log.findings).toContainEqual(expect.objectContaining({ code: "iso-bad-record", offset: own }));
  });

  test("a directory of 4 GiB ends where the next one begins", async () => {
    const { fs } = await openIso(plain);
    const own = (await resolve(fs, "/boot"))!.inode.offset!;
    const { fs: damaged } = await openIso(edited(plain, u32(own + 10, 0xffff_ffff)));
    const { errors, sound } = await drain(damaged);
    expect(new Set(errors.map(({ code, offset }) => `${code} ${offset}`))).toEqual(new Set([`corrupt ${own + 10}`]));
    expect(sound).toBe((await drain((await openIso(plain)).fs)).sound - 1);
  });

  test("a name that no path can hold", async () => {
    const { at: record, field } = await recordOf(rr, "/size-2048");
    const { fs, log } = await openIso(edited(rr, u8(field("NM") + 6, 0x2f)));
    await drain(fs);
    expect(log.findings).toMatchObject([{ code: "iso-bad-name", offset: record + 32 }]);
    expect(await namesIn(fs, "/")).not.toContain("size-2048");
  });

  test.each(["extent", "size"] as const)("%s in both byte orders", async (field) => {
    const { at: record } = await recordOf(plain, "/empty");
    const offset = record + iso_directory_record.$fields[field].offset;
    const { fs, log } = await openIso(edited(plain, u8(offset + 7, 9)));
    expect((await drain(fs)).errors).toEqual([]);
    expect(log.findings).toMatchObject([{ code: "iso-byte-orders-differ", offset }]);
  });
});

describe("files", () => {
  test("content past the device", async () => {
    const { at: record } = await recordOf(plain, "/boot/vmlinuz");
    const { fs } = await openIso(edited(plain, u32(record + 2, 0x00ff_ffff)));
    await expect((await resolve(fs, "/boot/vmlinuz"))!.inode.read(0, 10)).rejects.toMatchObject({ code: "past-end" });
  });

  test("interleaved content is refused by name", async () => {
    const { at: record } = await recordOf(plain, "/boot/vmlinuz");
    const { fs } = await openIso(edited(plain, u8(record + 27, 1)));
    const error = { code: "unsupported", offset: record + 27 };
    await expect((await resolve(fs, "/boot/vmlinuz"))!.inode.read(0, 10)).rejects.toMatchObject(error);
  });

  test("parts that never end", async () => {
    const names: string[] = [];
    const { fs } = await openIso(
      edited(plain, (view) => {
        for (const at of recordsOf(plain, root(plain))) view.setUint8(at + 25, view.getUint8(at + 25) | 0x80);
      }),
    );
    names.push(...(await namesIn(fs, "/")));
    expect(names).toEqual([]);
  });

  test("a link without a target", async () => {
    const { field } = await recordOf(rr, "/links/relative");
    const { fs } = await openIso(edited(rr, write(field("SL"), "XX")));
    const { inode } = (await resolve(fs, "/links/relative", { followLast: false }))!;
    await expect(inode.readLink()).rejects.toMatchObject({ code: "corrupt", offset: inode.offset });
  });
});

describe("El Torito", () => {
  const catalogue = new DataView(xboth.buffer).getUint32(17 * 2048 + 71, true) * 2048;

  test.each<[string, Patch]>([
    ["the key is wrong", u8(catalogue + 30, 0)],
    ["the checksum is wrong", u8(catalogue + 28, xboth[catalogue + 28]! ^ 1)],
    ["the catalogue lies past the device", u32(17 * 2048 + 71, 0x00ff_ffff)],
  ])("%s: no entries, and a finding", async (_, patch) => {
    const { fs, log } = await openIso(edited(xboth, patch));
    expect(isIso9660(fs) && (await fs.bootEntries())).toEqual([]);
    expect(log.findings).toMatchObject([{ code: "iso-bad-boot-catalogue" }]);
    expect(log.findings[0]!.offset).toBeDefined();
  });

  test("a section of 65,535 entries ends with the catalogue", async () => {
    const { fs } = await openIso(edited(xboth, u16(catalogue + 64 + 2, 0xffff)));
    const entries = isIso9660(fs) ? await fs.bootEntries() : [];
    expect(entries.length).toBeLessThan(1100);
    expect(entries.length).toBeGreaterThan(1);
  });
});

const root = (image: Uint8Array): number =>
  new DataView(image.buffer).getUint32(at("root_directory_record") + 2, true) * 2048;

/** Where the records in the first sector of a directory lie, those for itself and its parent left out. */
function recordsOf(image: Uint8Array, directory: number): number[] {
  const places: number[] = [];
  for (let place = directory; place < directory + 2048 && image[place]! > 0; place += image[place]!) places.push(place);
  return places.slice(2);
}

/** Where the record of a subdirectory lies in its parent: inodes of directories lie elsewhere. */
async function childRecord(image: Uint8Array, parent: string, name: string): Promise<number> {
  const directory = (await resolve((await openIso(image)).fs, parent))!.inode.offset!;
  return recordsOf(image, directory).find((place) =>
    Buffer.from(image.subarray(place + 33))
      .toString("latin1")
      .startsWith(name),
  )!;
}

/** Where the only field for a moved directory lies. */
async function findMoved(image: Uint8Array): Promise<number> {
  const place = Buffer.from(image).indexOf(Buffer.from([0x43, 0x4c, 12, 1]));
  expect(place).toBeGreaterThan(0);
  return place;
}
