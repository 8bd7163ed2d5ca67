/**
 * One input for each class of the bugs that this field has published, made from their descriptions and named after
 * them. In each of those programs something was trusted; here each must end in a typed error or in an answer without it,
 * within the bounds of `bounded`.
 */
import { bufferDevice, isImageError } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { parseElf, readXenNotes, unpackPayload } from "@guestprobe/boot";
import { btrfs_header, btrfs_super_block } from "@guestprobe/btrfs/layout";
import { ext4_extent_header, ext4_inode, ext4_super_block } from "@guestprobe/ext/layout";
import { memoryWorld, runText } from "@guestprobe/grub/script";
import { openImage } from "@guestprobe/image";
import { readPartitions } from "@guestprobe/partition";
import { squashfs_super_block } from "@guestprobe/squashfs/layout";
import { xfs_dsb } from "@guestprobe/xfs/layout";
import { describe, expect, test } from "vitest";
import { LINUX_NOTES, makeElf } from "../../packages/boot/test/build.js";
import { answer } from "../../packages/cli/src/commands/extract-boot.js";
import { putGpt } from "../../packages/partition/test/build.js";
import { dissectBtrfs } from "../fuzz/formats/btrfs.js";
import { dissectExt } from "../fuzz/formats/ext.js";
import { dissectSquashfs } from "../fuzz/formats/squashfs.js";
import { dissectXfs } from "../fuzz/formats/xfs.js";
import { Patch } from "../fuzz/lib/patch.js";
import { type Dissect, fieldBytes } from "../fuzz/lib/spots.js";
import { bounded, type Outcome, outcomeOf } from "../lib/bounded.js";
import { fixtures } from "../lib/fixtures.js";
import { buildQcow2 } from "../lib/image-builder/qcow2.js";

const MIB = 1 << 20;

/** A fixture with one field of the first structure of its kind set, checksums renewed. */
async function changed(folder: string, name: string, dissect: Dissect, field: string, value: bigint): Promise<Outcome> {
  const image = fixtures(folder)
    .find((fixture) => fixture.name === name)!
    .image();
  const { spots, seals } = dissect(image, 2000);
  const matching = spots.filter((spot) => spot.name === field);
  expect(matching.length, field).toBeGreaterThan(0);
  const patch = new Patch(image);
  for (const spot of matching) patch.write(spot.at, fieldBytes(spot, value));
  patch.reseal(seals);
  return (await bounded(`${name}: ${field} = ${value}`, () => outcomeOf(image)))!;
}

describe("pygrub and libfsimage", () => {
  test("XSA-198, CVE-2016-9379: a line end in a value of the answer is no second answer", () => {
    expect(() => answer("simple", "/k", undefined, "ro\nramdisk /etc/shadow")).toThrow(/mark/);
    expect(() => answer("simple0", "/k", undefined, "ro\0ramdisk /etc/shadow")).toThrow(/mark/);
    expect(answer("sxp", "/k", undefined, `ro')(ramdisk '/etc/shadow`)).toBe(
      `linux (kernel '/k')(args "ro')(ramdisk '/etc/shadow")\n`,
    );
  });

  test("XSA-443, CVE-2023-34325: xfs, block and inode sizes that wrap around", async () => {
    for (const [field, value] of [
      ["sb_blocklog", 63n],
      ["sb_inopblog", 31n],
      ["sb_agblklog", 255n],
      ["sb_dirblklog", 31n],
      ["sb_inodelog", 0n],
    ] as const) {
      const outcome = await changed("xfs", "v5-dirty", dissectXfs, `xfs_dsb.${field}`, value);
      expect(outcome.refused, field).toBe("corrupt");
    }
  });

  test("XSA-55, CVE-2013-2194 to -2196: ELF tables that pass the end, counts that wrap, notes longer than their area", () => {
    for (const [at, size, value] of [
      [0x28, 8, 0xffff_ffff_ffff_fff0n],
      [0x20, 8, 0x7fff_ffff_ffff_ffffn],
      [0x38, 2, 0xffffn],
      [0x36, 2, 0n],
      [0x3c, 2, 0xffffn],
    ] as const) {
      const bytes = makeElf({ notes: LINUX_NOTES });
      bytes.set(fieldBytes({ size, big: false }, value), at);
      let notes: unknown;
      try {
        notes = readXenNotes(parseElf(bytes));
      } catch (error) {
        if (!isImageError(error)) throw error;
        expect(error.code).toBe("corrupt");
      }
      expect(notes === undefined || typeof notes === "object").toBe(true);
    }
    const long = makeElf({ notes: [{ type: 6, desc: new Uint8Array(4), descsz: 0xffff_fff0 }] });
    expect(Object.keys(readXenNotes(parseElf(long)) ?? {})).not.toContain("virtBase");
  });

  test("XSA-25, CVE-2012-4544 and CVE-2012-2625: a kernel that would unpack to all of memory", async () => {
    const payload = Uint8Array.of(
      0x28,
      0xb5,
      0x2f,
      0xfd,
      0xa4,
      0xff,
      0xff,
      0xff,
      0x7f,
      0,
      0,
      0,
      0xff,
      0xff,
      0xff,
      0x7f,
    );
    const error: unknown = await unpackPayload(payload).catch((reason: unknown) => reason);
    expect(isImageError(error, "limit")).toBe(true);
  });
});

describe("GRUB's file-system drivers, 2023 to 2026", () => {
  test("CVE-2023-4692: an NTFS attribute list is no file system of ours, and not recognised", async () => {
    const image = new Uint8Array(MIB);
    image.set([0xeb, 0x52, 0x90, ...Buffer.from("NTFS    ")]);
    image.set(Buffer.from("FILE"), 16_384);
    image.fill(0xff, 16_400, 17_000);
    expect((await bounded("NTFS", () => outcomeOf(image)))?.refused).toBe("none");
  });

  test("CVE-2024-45780 (tar) and its like: sizes near 2^64 and 2^32 wrap in no allocation", async () => {
    for (const value of [0xffff_ffff_ffff_ffffn, 0x7fff_ffff_ffff_fff8n, 0x1_0000_0000n, 0xffff_fffen]) {
      const file = await changed("squashfs", "plain", dissectSquashfs, "squashfs_super_block.bytes_used", value);
      expect(file.refused === undefined || file.refused === "corrupt", `bytes_used ${value}`).toBe(true);
      const size = await changed("ext", "small-checksums", dissectExt, "ext4_inode.i_size_high", value & 0xffff_ffffn);
      expect(size.kind).toBe("ext4");
    }
  });

  test("CVE-2025-0678: squash4, a file of more blocks than its list can hold", async () => {
    const outcome = await changed("squashfs", "plain", dissectSquashfs, "inode table[10]", 0xffff_ffffn);
    expect(outcome.errors.every((code) => code === "corrupt" || code === "past-end")).toBe(true);
  });

  test("CVE-2025-0624: a path of any length to a configuration file", async () => {
    const world = memoryWorld([["(hd0)/f", "x"]]);
    const run = await runText("grub.cfg", `set a='${"/".repeat(100_000)}'; source $a`, { world });
    expect(["end", "limit"]).toContain(run.reason);
  });

  test("CVE-2025-0677 (UFS), CVE-2025-0684 (ReiserFS), CVE-2025-0685 (JFS): symbolic links whose size is a lie", async () => {
    for (const value of [0xffff_ffffn, 0x7fff_ffffn, 0n]) {
      const outcome = await changed("ext", "small-plain", dissectExt, "ext4_inode.i_size_lo", value);
      expect(outcome.refused).toBeUndefined();
      const others = await changed("xfs", "v5-dirty", dissectXfs, "xfs_dinode.di_size", value);
      expect(others.refused === undefined || others.refused === "corrupt").toBe(true);
    }
  });

  test("CVE-2024-45778, CVE-2024-45779 (BFS) in btrfs: levels, counts and offsets of tree nodes that lie", async () => {
    for (const [field, value] of [
      ["btrfs_header.level", 255n],
      ["btrfs_header.level", 1n],
      ["btrfs_header.nritems", 0xffff_ffffn],
      ["btrfs_item.offset", 0xffff_fff0n],
      ["btrfs_item.size", 0xffff_ffffn],
      ["btrfs_chunk.num_stripes", 0n],
      ["btrfs_chunk.num_stripes", 0xffffn],
      ["btrfs_chunk.stripe_len", 0n],
      ["btrfs_super_block.sys_chunk_array_size", 0xffff_ffffn],
      ["btrfs_super_block.nodesize", 0n],
    ] as const) {
      const outcome = await changed("btrfs", "lzo-zlib", dissectBtrfs, field, value);
      expect([...outcome.errors, ...outcome.findings, outcome.refused ?? ""].join(""), field).not.toBe("");
    }
  });

  test("the same in ext4: a tree deeper than five, and entries past their block", async () => {
    for (const [field, value] of [
      ["ext4_extent_header.eh_depth", 6n],
      ["ext4_extent_header.eh_depth", 0xffffn],
      ["ext4_extent_header.eh_entries", 0xffffn],
      ["ext4_dir_entry_2.rec_len", 0n],
      ["ext4_dir_entry_2.rec_len", 0xfffcn],
      ["ext4_dir_entry_2.name_len", 0xffn],
    ] as const) {
      const outcome = await changed("ext", "small-checksums", dissectExt, field, value);
      expect([...outcome.errors, ...outcome.findings, outcome.refused ?? ""].join(""), field).not.toBe("");
    }
  });
});

describe("QEMU's image headers", () => {
  const sound = buildQcow2({ size: MIB, clusterBits: 16, clusters: new Map() }).file;
  const refusal = async (at: number, size: number, value: bigint): Promise<string> => {
    const file = sound.slice();
    file.set(fieldBytes({ size, big: true }, value), at);
    let code = "accepted";
    await bounded(`qcow2 byte ${at}`, async () => {
      try {
        const { device } = await openImage(bufferDevice(file), { format: "qcow2" });
        await device.read(0, 4096);
      } catch (error) {
        if (!isImageError(error)) throw error;
        code = error.code;
      }
    });
    return code;
  };

  test("CVE-2014-0144: cluster sizes and table sizes out of range", async () => {
    expect(await refusal(20, 4, 63n)).not.toBe("accepted");
    expect(await refusal(20, 4, 0n)).not.toBe("accepted");
    expect(await refusal(36, 4, 0xffff_ffffn)).not.toBe("accepted");
  });

  test("CVE-2014-0145, CVE-2014-0143: a table whose size in bytes wraps", async () => {
    expect(await refusal(24, 8, 0x7fff_ffff_ffff_ffffn)).not.toBe("accepted");
    expect(await refusal(40, 8, 0xffff_ffff_ffff_fe00n)).toBe("corrupt");
  });

  test("CVE-2024-4467: a data file, or a backing file, that an image names is not opened", async () => {
    const asked: string[] = [];
    const file = buildQcow2({
      size: MIB,
      clusterBits: 16,
      clusters: new Map(),
      backing: 'json:{"file.filename":"/etc/shadow"}',
    }).file;
    const image = await openImage(bufferDevice(file), {
      resolve: async (name) => {
        asked.push(name);
        return undefined;
      },
    }).catch((error: unknown) => error);
    expect(asked.length).toBeLessThanOrEqual(1);
    expect(image).toBeDefined();
  });

  test("CVE-2014-0148: VHDX and VMDK tables at the end of the file and behind it", async () => {
    const text = `# Disk DescriptorFile\nversion=1\ncreateType="monolithicSparse"\nRW ${"9".repeat(30)} SPARSE "/etc/shadow"\n`;
    await bounded("VMDK", () => openImage(bufferDevice(new TextEncoder().encode(text)), { format: "vmdk" }));
    const vhdx = new Uint8Array(MIB);
    vhdx.set(Buffer.from("vhdxfile"));
    vhdx.set(Buffer.from("head"), 65_536);
    await bounded("VHDX", () => openImage(bufferDevice(vhdx)));
  });
});

describe("squashfs-tools", () => {
  test("CVE-2021-40153 and CVE-2021-41072: a name with a slash or two dots is no path out, and is told", async () => {
    const image = fixtures("squashfs")
      .find(({ name }) => name === "plain")!
      .image();
    const at = Buffer.from(image).indexOf("grub.cfg");
    expect(at).toBeGreaterThan(0);
    image.set(Buffer.from("../a/b.c"), at);
    const outcome = await bounded("name", () => outcomeOf(image));
    expect([...outcome!.errors, ...outcome!.findings].length).toBeGreaterThan(0);
  });

  test("CVE-2015-4645: tables of more fragments and owners than the volume has room for", async () => {
    for (const field of ["fragments", "no_ids", "inodes"] as const) {
      const { size } = squashfs_super_block.$fields[field];
      const most = (1n << BigInt(size * 8)) - 1n;
      const outcome = await changed("squashfs", "plain", dissectSquashfs, `squashfs_super_block.${field}`, most);
      // What no file uses is not read; a count that the volume has no room for may not cost memory.
      if (outcome.refused === undefined) expect(outcome.sound, field).toBeGreaterThan(10);
      else expect(outcome.refused, field).toBe("corrupt");
    }
  });
});

describe("partition tables", () => {
  test("GPT: entries of a size and a number that wrap", async () => {
    const image = new Uint8Array(300 * 512);
    putGpt(image, { entries: [{ slot: 1, first: 40, last: 80 }] });
    for (const [at, value] of [
      [0x50, 0xffff_ffffn],
      [0x54, 0n],
      [0x54, 0xffff_ff80n],
    ] as const) {
      const copy = image.slice();
      copy.set(fieldBytes({ size: 4, big: false }, value), 512 + at);
      const read = await bounded("GPT", () => readPartitions(bufferDevice(copy)));
      // The other header is sound.
      expect(read?.partitions).toHaveLength(1);
    }
  });
});

test("the fields that these inputs set are where the layout tables say", () => {
  const xfs = viewOf(
    fixtures("xfs")
      .find(({ name }) => name === "v5-dirty")!
      .image(),
  );
  expect(xfs_dsb.sb_magicnum(xfs, 0)).toBe(0x5846_5342);
  expect([ext4_super_block.$size, ext4_inode.$size, ext4_extent_header.$size]).toEqual([1024, 160, 12]);
  expect([btrfs_super_block.$size, btrfs_header.$size]).toEqual([4096, 101]);
});
