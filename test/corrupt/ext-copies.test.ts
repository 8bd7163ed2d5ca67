/** ext: what is read from a second place when the first is damaged, and what only a verification looks at. */
import { bufferDevice, FindingLog, sliceDevice } from "@guestprobe/block";
import { ext, verifyBitmaps } from "@guestprobe/ext";
import * as layout from "@guestprobe/ext/layout";
import { readFile, resolve } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { fixtures } from "../lib/fixtures.js";
import { sha256 } from "../lib/sha256.js";

const all = fixtures("ext");
const named = (name: string) => all.find((one) => one.name === name)!;
/** Two groups of 8192 blocks of 1 KiB: group 1 begins at block 8193 with a copy of the superblock. */
const large = named("ext4-large");
const COPY = 8193 * 1024;
const sb = layout.ext4_super_block.$fields;
const desc = layout.ext4_group_desc.$fields;
/** Of the second group, in the block behind the superblock. */
const SECOND = 2048 + 64;

const opened = async (image: Uint8Array) => {
  const log = new FindingLog();
  return { log, fs: await ext.open(bufferDevice(image), { report: log.report }) };
};

describe("the copy of the superblock", () => {
  test.each<[string, (image: Uint8Array) => void, "s_magic" | "s_inodes_per_group"]>([
    ["the first is overwritten", (image) => image.fill(0, 1024, 2048), "s_magic"],
    [
      "the first has no inodes in a group",
      (image) => image.fill(0, 1024 + sb.s_inodes_per_group.offset, 1024 + sb.s_inodes_per_group.offset + 4),
      "s_inodes_per_group",
    ],
  ])("%s: the same files, and a finding with the place", async (_, damage, field) => {
    const image = large.image();
    damage(image);
    const { log, fs } = await opened(image);
    for (const one of conformanceCases(large.expected, { devices: [bufferDevice(image)], sha256 })) await one.run(fs);
    const used = log.findings.find(({ code }) => code === "ext-backup-superblock")!;
    expect(used).toMatchObject({ structure: "ext4_super_block", field });
    expect(used.message).toContain(`the copy at byte ${COPY} is used`);
  });

  test.each<[string, (view: DataView) => void]>([
    ["has no magic", (view) => view.setUint16(COPY + sb.s_magic.offset, 0)],
    ["is of another group", (view) => view.setUint16(COPY + sb.s_block_group_nr.offset, 3, true)],
    ["is of another block size", (view) => view.setUint32(COPY + sb.s_log_block_size.offset, 2, true)],
    ["is damaged too", (view) => view.setUint32(COPY + sb.s_inodes_per_group.offset, 0, true)],
  ])("a copy that %s is none", async (_, patch) => {
    const image = large.image();
    image.fill(0, 1024, 2048);
    patch(new DataView(image.buffer));
    await expect(opened(image)).rejects.toMatchObject({ code: "not-this-format", field: "s_magic" });
  });

  test("where the device cannot be read there is no copy", async () => {
    const image = large.image();
    image.fill(0, 1024, 2048);
    const broken = {
      size: image.length,
      read: (offset: number, length: number) =>
        offset < COPY ? bufferDevice(image).read(offset, length) : bufferDevice(image).read(image.length, length),
    };
    await expect(ext.open(broken)).rejects.toMatchObject({ code: "not-this-format" });
    await expect(ext.open(sliceDevice(bufferDevice(image), 0, COPY + 100))).rejects.toMatchObject({
      code: "not-this-format",
    });
  });
});

describe("the copy of a group descriptor", () => {
  const table = SECOND + desc.bg_inode_table_lo.offset;
  /** An inode of group 1: the fixture has 32 in each. */
  const ino = async (image: Uint8Array) => {
    const { log, fs } = await opened(image);
    const inode = await fs.inode(40).catch((error: unknown) => error);
    return { log, inode };
  };

  test("is used where the first leads out of the volume", async () => {
    const image = large.image();
    new DataView(image.buffer).setUint32(table, 0xffff_ff00, true);
    const { log, inode } = await ino(image);
    // Nothing is in inode 40: what matters is that its table is found.
    expect(inode).toMatchObject({ code: "not-found" });
    const used = log.findings.find(({ code }) => code === "ext-backup-descriptor");
    expect(used).toMatchObject({ structure: "ext4_group_desc", field: "bg_inode_table_lo", offset: table });
    expect(used!.message).toContain(`the copy at byte ${COPY + 1024 + 64} is used`);
  });

  test("is not used when it is damaged as well", async () => {
    const image = large.image();
    const view = new DataView(image.buffer);
    for (const at of [table, table - 2048 + COPY + 1024]) view.setUint32(at, 0xffff_ff00, true);
    const { log, inode } = await ino(image);
    expect(inode).toMatchObject({ code: "corrupt", field: "bg_inode_table_lo", offset: table });
    expect(log.findings.map(({ code }) => code)).not.toContain("ext-backup-descriptor");
  });
});

describe("bitmaps", () => {
  test.each(all.map((one) => [one.name, one] as const))("%s: all are what the tools wrote", async (_, one) => {
    const log = new FindingLog();
    expect(await verifyBitmaps(bufferDevice(one.image()), { report: log.report })).toBe(0);
    expect(log.findings).toEqual([]);
  });

  test.each(["bg_block_bitmap_lo", "bg_inode_bitmap_lo"] as const)("%s: a changed bit is told", async (field) => {
    const image = large.image();
    const block = new DataView(image.buffer).getUint32(2048 + desc[field].offset, true);
    image[block * 1024]! ^= 1;
    const log = new FindingLog();
    expect(await verifyBitmaps(bufferDevice(image), { report: log.report })).toBe(1);
    expect(log.findings).toMatchObject([{ code: "ext-bad-bitmap", field, offset: block * 1024 }]);
  });

  test("a bitmap outside of the volume", async () => {
    const image = named("small-plain").image();
    // Without checksums there is nothing to verify, wherever the bitmap is said to be.
    new DataView(image.buffer).setUint32(2048 + desc.bg_block_bitmap_lo.offset, 1 << 30, true);
    expect(await verifyBitmaps(bufferDevice(image))).toBe(0);
    const checked = named("small-checksums").image();
    new DataView(checked.buffer).setUint32(2048 + desc.bg_block_bitmap_lo.offset, 1 << 30, true);
    await expect(verifyBitmaps(bufferDevice(checked))).rejects.toMatchObject({
      code: "corrupt",
      field: "bg_block_bitmap_lo",
      offset: 2048 + desc.bg_block_bitmap_lo.offset,
    });
  });
});

describe("values with an inode of their own", () => {
  const value = async (image: Uint8Array, options = {}) => {
    const fs = await ext.open(bufferDevice(image), options);
    return (await resolve(fs, "/file"))!.inode.xattrs();
  };
  /** The first entry behind the inode's own fields. */
  const entryAt = async (image: Uint8Array): Promise<number> => {
    const name = Buffer.from(image).indexOf("one", 0, "latin1");
    return name - layout.ext4_xattr_entry.$size;
  };
  const entry = layout.ext4_xattr_entry.$fields;

  test("an inode that holds none, one past the last, and another size", async () => {
    const image = large.image();
    const at = await entryAt(image);
    const view = new DataView(image.buffer);
    const holder = view.getUint32(at + entry.e_value_inum.offset, true);
    for (const [field, number, code] of [
      ["e_value_inum", 2, "corrupt"],
      ["e_value_inum", 10_000, "corrupt"],
      ["e_value_size", 2999, "corrupt"],
      ["e_value_size", 70_000, "limit"],
    ] as const) {
      const copy = large.image();
      new DataView(copy.buffer).setUint32(at + entry[field].offset, number, true);
      const found = await value(copy).catch((error: unknown) => error);
      expect(found, `${field} ${number}`).toMatchObject({ code, structure: "ext4_xattr_entry", field });
    }
    expect(holder).toBeGreaterThan(11);
    expect((await value(image)).map(({ value: bytes }) => bytes.length)).toEqual([3000, 3000]);
  });

  test("a value whose hash does not match is reported, or refused", async () => {
    const image = large.image();
    image[Buffer.from(image).indexOf("a".repeat(1000), 0, "latin1")]! ^= 1;
    const log = new FindingLog();
    expect((await value(image, { report: log.report })).length).toBe(2);
    expect(log.findings).toMatchObject([{ code: "ext-bad-checksum", structure: "ext4_inode", field: "i_atime" }]);
    await expect(value(image, { checksums: "require" })).rejects.toMatchObject({ code: "bad-checksum" });
  });
});

describe("inner nodes of a directory's index", () => {
  const node = layout.dx_node.$fields;
  test.each(["inode", "rec_len", "limit", "count"] as const)(
    "%s that cannot be: the names are still found",
    async (field) => {
      const image = large.image();
      // The node begins with an entry of no inode that covers the whole block.
      let at = 0;
      for (let block = 1024; block < image.length && at === 0; block += 1024) {
        const view = new DataView(image.buffer, block);
        const isNode =
          layout.dx_node.inode(view, 0) === 0 &&
          layout.dx_node.rec_len(view, 0) === 1024 &&
          layout.dx_node.limit(view, 0) === 126;
        if (isNode) at = block;
      }
      expect(at).toBeGreaterThan(0);
      for (let block = at; block < image.length; block += 1024) {
        const view = new DataView(image.buffer, block);
        if (layout.dx_node.inode(view, 0) !== 0 || layout.dx_node.limit(view, 0) !== 126) continue;
        if (node[field].size === 4) view.setUint32(node[field].offset, 7, true);
        else view.setUint16(node[field].offset, 999, true);
      }
      const { log, fs } = await opened(image);
      for (const n of [0, 123, 399]) {
        const found = await resolve(fs, `/deep/${`${n} `.padEnd(240, "long ")}`);
        expect(new TextDecoder().decode(await readFile(found!.inode))).toBe("small\n");
      }
      expect(log.findings).toContainEqual(
        expect.objectContaining({ code: "ext-htree-damaged", structure: "dx_node", field }),
      );
    },
  );
});
