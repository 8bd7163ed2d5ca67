/** squashfs: one field of a sound volume is made to lie; what must come of it, and where it is said to be. */
import { deflateSync } from "node:zlib";
import { bufferDevice, FindingLog, isImageError } from "@guestprobe/block";
import { squashfs } from "@guestprobe/squashfs";
import {
  SQUASHFS_INVALID_FRAG,
  squashfs_super_block as sb,
  squashfs_dir_header,
  squashfs_dir_inode,
  squashfs_lreg_inode,
  squashfs_reg_inode,
} from "@guestprobe/squashfs/layout";
import { resolve, walkAll } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";

/** The volume without compression: every field has a byte of its own. */
const plain = fixtures("squashfs").find(({ name }) => name === "plain")!;
const gzip = fixtures("squashfs").find(({ name }) => name === "gzip")!;

type Patch = (view: DataView) => void;
const patched = (patch: Patch, source = plain): Uint8Array => {
  const image = source.image();
  patch(new DataView(image.buffer));
  return image;
};
const field = (name: keyof typeof sb.$fields, value: number): Patch => {
  const { offset, size } = sb.$fields[name];
  return (view) => {
    if (size === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  };
};
const high = (name: keyof typeof sb.$fields, value: number): Patch => {
  return (view) => view.setUint32(sb.$fields[name].offset + 4, value, true);
};

describe("superblock", () => {
  test.each<[string, Patch, string, string | number]>([
    ["no magic", field("s_magic", 0), "not-this-format", 0],
    ["version 3.1", (v) => [field("s_major", 3)(v), field("s_minor", 1)(v)], "unsupported", "squashfs 3.1"],
    ["version 1.0", field("s_major", 1), "unsupported", "squashfs 1.0"],
    ["version 5", field("s_major", 5), "unsupported", "version 0x5"],
    ["version 4.1", field("s_minor", 1), "unsupported", "4.1"],
    [
      "big-endian 3.0",
      (v) => [v.setUint32(0, 0x73717368), v.setUint16(28, 3), v.setUint16(30, 0)],
      "unsupported",
      "big-endian squashfs 3.0",
    ],
    ["compressor 9", field("compression", 9), "unsupported", "compressor 9"],
    ["block_log 11", field("block_log", 11), "corrupt", sb.$fields.block_log.offset],
    ["block_log 21", field("block_log", 21), "corrupt", sb.$fields.block_log.offset],
    ["block_size that is not 2^block_log", field("block_size", 8192), "corrupt", sb.$fields.block_size.offset],
    ["no owners", field("no_ids", 0), "corrupt", sb.$fields.no_ids.offset],
    ["inode table in the superblock", field("inode_table_start", 10), "corrupt", sb.$fields.inode_table_start.offset],
    ["tables out of order", field("directory_table_start", 96), "corrupt", sb.$fields.directory_table_start.offset],
    ["a table past the volume", high("id_table_start", 1), "corrupt", sb.$fields.id_table_start.offset],
    ["bytes_used of 2^63", high("bytes_used", 0x8000_0000), "corrupt", sb.$fields.bytes_used.offset],
    ["root_inode of 2^60", high("root_inode", 0x1000_0000), "corrupt", sb.$fields.root_inode.offset],
  ])("%s", async (_, patch, code, said) => {
    const error: unknown = await squashfs.open(bufferDevice(patched(patch))).catch((reason: unknown) => reason);
    if (!isImageError(error, code as "corrupt")) throw error;
    expect(error.format).toBe("squashfs");
    if (typeof said === "number") expect(error.offset).toBe(said);
    else expect(error.message).toContain(said);
  });

  test("a volume cut short is reported, and what is left of it fails by its place", async () => {
    const log = new FindingLog();
    const image = plain.image().slice(0, 20_000);
    const fs = await squashfs.open(bufferDevice(image), { report: log.report });
    expect(log.findings.map(({ code }) => code)).toEqual(["squashfs-truncated"]);
    const { errors } = await drain(fs);
    expect(errors.length).toBeGreaterThan(0);
    for (const { code, offset } of errors) expect([code, typeof offset]).toEqual(["past-end", "number"]);
  });
});

/** Where an inode's structure lies on the plain volume. */
async function inodeAt(path: string): Promise<number> {
  const fs = await squashfs.open(bufferDevice(plain.image()));
  return (await resolve(fs, path, { followLast: false }))!.inode.offset!;
}

/** Patches the inode of `path`, and answers what fails and how many files stay sound. */
async function withInode(path: string, patch: (view: DataView, at: number) => void) {
  const at = await inodeAt(path);
  const fs = await squashfs.open(bufferDevice(patched((view) => patch(view, at))));
  return drain(fs);
}

const TOTAL = plain.expected.entries.length;

describe("one bad inode hides no other", () => {
  test("a fragment index past the table", async () => {
    const { sound, errors } = await withInode("/boot/vmlinuz", (view, at) => {
      view.setUint32(at + squashfs_lreg_inode.$fields.fragment.offset, 4000, true);
    });
    expect(sound).toBe(TOTAL - 1);
    expect(errors[0]).toMatchObject({ code: "corrupt", message: expect.stringContaining("fragment table") });
  });

  test("a tail past the end of its fragment block", async () => {
    const { sound, errors } = await withInode("/boot/grub/grub.cfg", (view, at) => {
      view.setUint32(at + squashfs_reg_inode.$fields.offset.offset, 100_000, true);
    });
    expect(sound).toBe(TOTAL - 1);
    expect(errors[0]).toMatchObject({ code: "corrupt", message: expect.stringContaining("fragment block") });
  });

  test("a block list of 2^40 entries", async () => {
    const { sound, errors } = await withInode("/sparse", (view, at) => {
      view.setUint32(at + squashfs_lreg_inode.$fields.file_size.offset + 4, 2 ** 20 - 1, true);
      view.setUint32(at + squashfs_lreg_inode.$fields.fragment.offset, SQUASHFS_INVALID_FRAG, true);
    });
    expect(sound).toBe(TOTAL - 1);
    expect(errors[0]).toMatchObject({ code: "corrupt", message: expect.stringContaining("file_size") });
  });

  test("a file of 2^63 bytes", async () => {
    const { sound, errors } = await withInode("/sparse", (view, at) => {
      view.setUint32(at + squashfs_lreg_inode.$fields.file_size.offset + 4, 0x8000_0000, true);
    });
    expect(sound).toBe(TOTAL - 1);
    expect(errors).toMatchObject([{ code: "corrupt" }]);
  });

  test("blocks past the volume", async () => {
    const { sound, errors } = await withInode("/block", (view, at) => {
      view.setUint32(at + squashfs_lreg_inode.$fields.start_block.offset, 0x7000_0000, true);
    });
    // The other name of the file is a link to the same inode.
    expect(sound).toBe(TOTAL - 2);
    expect(errors[0]).toMatchObject({ code: "corrupt", offset: 0x7000_0000 });
  });

  test("an inode type that there is not, an owner past the table", async () => {
    const typeless = await withInode("/empty", (view, at) => view.setUint16(at, 15, true));
    expect(typeless.errors).toMatchObject([{ code: "corrupt", message: expect.stringContaining("inode_type") }]);
    const unowned = await withInode("/empty", (view, at) => view.setUint16(at + 4, 999, true));
    expect(unowned.errors).toMatchObject([{ code: "corrupt", message: expect.stringContaining("id table") }]);
  });

  test("a directory that claims 64 KiB", async () => {
    const { sound, errors } = await withInode("/boot/grub", (view, at) => {
      view.setUint16(at + squashfs_dir_inode.$fields.file_size.offset, 0xffff, true);
    });
    expect(errors.length).toBeGreaterThan(0);
    expect(sound).toBeGreaterThanOrEqual(TOTAL - 1);
  });

  test("a directory that claims one byte", async () => {
    const { errors } = await withInode("/boot/grub", (view, at) => {
      view.setUint16(at + squashfs_dir_inode.$fields.file_size.offset, 1, true);
    });
    expect(errors).toMatchObject([{ code: "corrupt", message: expect.stringContaining("file_size") }]);
  });

  test("a run of more than 256 entries", async () => {
    const at = await inodeAt("/boot/grub");
    const image = patched((view) => {
      const listing = sb.directory_table_start(view, 0) + 2 + squashfs_dir_inode.offset(view, at);
      view.setUint32(listing + squashfs_dir_header.$fields.count.offset, 256, true);
    });
    const { errors } = await drain(await squashfs.open(bufferDevice(image)));
    expect(errors[0]).toMatchObject({ code: "corrupt", message: expect.stringContaining("257 entries") });
  });

  test("a symlink whose target runs out of the table", async () => {
    const { errors } = await withInode("/link", (view, at) => view.setUint32(at + 20, 0xffff_0000, true));
    expect(errors[0]).toMatchObject({ code: "corrupt", message: expect.stringContaining("symlink_size") });
  });
});

test("a directory that contains itself is entered once", async () => {
  const [parent, child] = [await inodeAt("/boot"), await inodeAt("/boot/grub")];
  const image = patched((view) => {
    // The entry "grub" of /boot leads to the inode of /boot.
    const start = sb.inode_table_start(view, 0) + 2;
    const listing = sb.directory_table_start(view, 0) + 2 + squashfs_dir_inode.offset(view, parent);
    expect(view.getUint16(listing + squashfs_dir_header.$size, true)).toBe(child - start);
    view.setUint16(listing + squashfs_dir_header.$size, parent - start, true);
  });
  const fs = await squashfs.open(bufferDevice(image));
  const errors: string[] = [];
  for await (const { error } of walkAll(fs)) if (error !== undefined) errors.push(error.message);
  expect(errors).toEqual([expect.stringContaining("second name")]);
});

describe("metadata blocks", () => {
  const inodeTable = new DataView(plain.image().buffer);
  const start = sb.inode_table_start(inodeTable, 0);

  test.each([
    ["of no bytes", 0x8000],
    ["longer than 8 KiB", 0x8000 + 8193],
    ["that is no zlib stream", 0x2000],
  ])("%s", async (_, header) => {
    const fs = await squashfs.open(bufferDevice(patched((view) => view.setUint16(start, header, true))));
    const { errors } = await drain(fs);
    expect(errors).toMatchObject([{ code: "corrupt", offset: start }]);
  });

  test("a bomb of 7 MiB is stopped at 8 KiB", async () => {
    const bomb = deflateSync(Buffer.alloc(7 << 20));
    const image = patched((view) => {
      view.setUint16(start, bomb.length, true);
      new Uint8Array(view.buffer, start + 2, bomb.length).set(bomb);
    });
    const { errors } = await drain(await squashfs.open(bufferDevice(image)));
    expect(errors).toMatchObject([{ code: "corrupt", offset: start, message: expect.stringContaining("8192") }]);
  });

  test("a table whose pointer leads to itself", async () => {
    const image = patched((view) => {
      const table = sb.id_table_start(view, 0);
      view.setUint32(table, table, true);
    });
    const { errors } = await drain(await squashfs.open(bufferDevice(image)));
    expect(errors).toMatchObject([{ code: "corrupt", message: expect.stringContaining("id table") }]);
  });
});

test("a data block that is a bomb decodes to no more than a block", async () => {
  const at = new DataView(gzip.image().buffer);
  expect(sb.block_size(at, 0)).toBe(4096);
  const bomb = deflateSync(Buffer.alloc(3 << 20));
  const image = gzip.image();
  // The data of the first file lies right after the superblock; all of it becomes the bomb.
  image.set(bomb.subarray(0, Math.min(bomb.length, 4000)), sb.$size);
  const { errors } = await drain(await squashfs.open(bufferDevice(image)));
  expect(errors.length).toBeGreaterThan(0);
  for (const { code } of errors) expect(code).toBe("corrupt");
});
