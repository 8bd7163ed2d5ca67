import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, decodeText, FindingLog, toHex } from "@guestprobe/block";
import { type FileDevice, openFile } from "@guestprobe/block/node";
import { type FileSystem, open } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";
import { fill, fillMounted, makeXfs } from "../lib/xfs-tree.mjs";

const folder = mkdtempSync(join(tmpdir(), "guestprobe-xfs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const UUID = "6b5d0f7e-0f55-4f7c-9d2c-9f2c6a1b0001";
const MIB = 1 << 20;

interface Case {
  readonly name: string;
  readonly args: readonly string[];
  readonly size?: number;
  readonly directories?: readonly number[];
  readonly extents?: number;
  readonly blockSize?: number;
  readonly reflink?: boolean;
  /** Changes the volume before it is mounted. */
  readonly prepare?: (image: string) => void;
}

const cases: readonly Case[] = [
  {
    name: "4 KiB blocks, the defaults of mkfs.xfs",
    args: [],
    size: 600 * MIB,
    directories: [0, 5, 50, 1000, 20_000, 100_000],
    extents: 10_000,
  },
  {
    name: "1 KiB blocks, 4 KiB directory blocks, rmapbt, nrext64",
    args: ["-b", "size=1024", "-n", "size=4096", "-m", "rmapbt=1", "-i", "nrext64=1"],
    size: 600 * MIB,
    directories: [0, 5, 50, 1000, 20_000],
    extents: 10_000,
    blockSize: 1024,
  },
  {
    name: "1 KiB blocks, 4 KiB directory blocks, no bigtime",
    args: ["-b", "size=1024", "-n", "size=4096", "-m", "bigtime=0,inobtcount=0"],
    directories: [0, 5, 50, 1000, 3000],
    blockSize: 1024,
  },
  {
    name: "8 KiB directory blocks, without reflink, finobt, bigtime and sparse inodes",
    args: ["-n", "size=8192", "-m", "reflink=0,finobt=0,bigtime=0,inobtcount=0", "-i", "sparse=0"],
    directories: [0, 5, 50, 1000],
    reflink: false,
  },
  {
    name: "16 KiB directory blocks, 1 KiB inodes, UUID changed",
    args: ["-n", "size=16384", "-i", "size=1024,nrext64=1"],
    directories: [0, 5, 50, 1000, 5000],
    prepare: (image) => run("xfs_admin", ["-U", "6b5d0f7e-0f55-4f7c-9d2c-9f2c6a1b0002", image]),
  },
  {
    name: "4 KiB sectors, 64 KiB directory blocks, 2 KiB inodes, rmapbt",
    args: ["-s", "size=4096", "-n", "size=65536", "-i", "size=2048", "-m", "rmapbt=1"],
    directories: [0, 5, 50, 1000, 20_000],
  },
  { name: "2 KiB blocks, 32 KiB directory blocks", args: ["-b", "size=2048", "-n", "size=32768"], blockSize: 2048 },
  {
    name: "64 KiB blocks",
    args: ["-b", "size=65536"],
    size: 600 * MIB,
    blockSize: 65536,
    directories: [0, 5, 50, 5000],
  },
  {
    name: "an old mkfs: 16 groups, label",
    args: ["-d", "agcount=16", "-L", "twelve chars", "-m", "bigtime=0,inobtcount=0,reflink=0"],
    directories: [0, 5, 50, 1000],
    reflink: false,
  },
  {
    name: "8 TiB: inode numbers of more than 32 bits",
    args: ["-l", "size=64m"],
    size: 8 * 2 ** 40,
    directories: [0, 5, 50, 1000],
  },
];

for (const testCase of cases) {
  describe(`xfs: ${testCase.name}`, () => {
    const image = join(folder, "volume.img");
    let device: FileDevice;
    let fs: FileSystem;
    let expected: ExpectedVolume;
    let attrs: ReadonlyMap<string, Readonly<Record<string, string>>>;
    const findings = new FindingLog();

    beforeAll(async () => {
      const { directories, extents, blockSize, reflink } = testCase;
      makeXfs(image, testCase.size ?? 300 * MIB, ["-m", `uuid=${UUID}`, ...testCase.args]);
      testCase.prepare?.(image);
      withMount(image, ["nouuid"], (root: string) => {
        fill(root, { directories, extents, blockSize });
        fillMounted(root, { reflink });
      });
      withMount(image, ["ro", "nouuid"], (root: string) => {
        const entries = kernelView(root);
        expected = { kind: "xfs", label: field(image, "LABEL"), uuid: field(image, "UUID"), entries };
        attrs = new Map(
          [
            "",
            "/attrs",
            "/attrs/none",
            "/attrs/short",
            "/attrs/leaf",
            "/attrs/remote",
            "/attrs/many",
            "/attrs/acl",
            "/attrs/removed",
          ].map((path) => [path, kernelXattrs(`${root}${path}`)]),
        );
      });
      await expectAsBlkidHasIt(image);
      device = await openFile(image, { blocking: true });
      fs = await xfs.open(cachedDevice(device), { report: findings.report });
    });
    afterAll(async () => {
      await device?.close();
      rmSync(image, { force: true });
    });

    const names = conformanceCases({ kind: "", label: "", uuid: null, entries: [] }, { devices: [], sha256 });
    for (const [index, { name }] of names.entries()) {
      it(name, () => conformanceCases(expected, { devices: [device], sha256 })[index]?.run(fs));
    }

    it("extended attributes are the kernel's", async () => {
      for (const [path, wanted] of attrs) {
        const inode = await open(fs, path === "" ? "/" : path);
        const got = (await inode.xattrs()).map(({ name, value }) => [decodeText(name), toHex(value)]);
        expect(Object.fromEntries(got), path).toEqual(wanted);
      }
    });

    it("extents are those that xfs_io shows of the kernel", async () => {
      for (const path of ["/files/unwritten", "/files/sparse-end", "/files/fragmented"]) {
        const wanted = withMount(image, ["ro", "nouuid"], (root: string) => bmap(`${root}${path}`));
        expect(wanted.length, path).toBeGreaterThan(0);
        expect(await ourBmap(fs, path), path).toEqual(wanted);
      }
    });

    it("features are named as xfs_db names them", () => {
      const line = run("xfs_db", ["-r", "-c", "version", image]).replace(/^.*= /, "").trim();
      expect([...fs.features].sort()).toEqual(line.split(",").sort());
    });

    it("nothing is found wrong", () => expect(findings.findings).toEqual([]));
  });
}

/** A value that blkid sees on the image; empty where it sees none. */
function field(image: string, name: string): string {
  try {
    return run("blkid", ["-p", "-o", "value", "-s", name, image]).trimEnd();
  } catch {
    return "";
  }
}

/** Extents in 512-byte units, [start, end, first sector of the device or "hole", unwritten], as `xfs_io bmap -vp`. */
function bmap(path: string): unknown[] {
  const lines = run("xfs_io", ["-r", "-c", "bmap -vp", path]).split("\n");
  return lines.flatMap((line: string) => {
    const match = /^\s*\d+: \[(\d+)\.\.(\d+)\]:\s+(?:hole|(\d+)\.\.\d+)\s.*?(\s[01]{6,7})?\s*$/.exec(line);
    if (match === null) return [];
    const unwritten = match[4] !== undefined && match[4].trim().padStart(7, "0")[2] === "1";
    return [[Number(match[1]), Number(match[2]), match[3] === undefined ? "hole" : Number(match[3]), unwritten]];
  });
}

async function ourBmap(fs: FileSystem, path: string): Promise<unknown[]> {
  const inode = await open(fs, path);
  const rows: unknown[] = [];
  for await (const batch of inode.extents()) {
    for (const { kind, logical, length, physical } of batch) {
      // The kernel's end at whole blocks, ours at the end of the file.
      const end = Math.ceil((logical + length) / fs.blockSize) * fs.blockSize;
      rows.push([logical / 512, end / 512 - 1, physical === undefined ? "hole" : physical / 512, kind === "unwritten"]);
    }
  }
  return rows;
}
