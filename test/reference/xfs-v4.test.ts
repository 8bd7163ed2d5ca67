/**
 * XFS version 4, which kernels of today are built without: filled and shown by the kernel of an emulated guest, against what
 * the reader shows.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cachedDevice, FindingLog } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { open } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runNodeInGuest } from "../lib/guest-node.mjs";
import { run } from "../lib/kernel-view.mjs";
import { sha256 } from "../lib/sha256.js";
import { makeXfs } from "../lib/xfs-tree.mjs";

const MIB = 1 << 20;
const EXTENTS = 10_000;

/**
 * Large directories and many extents once for each size of blocks that has the deeper trees for them: emulated, they take
 * their time, and blocks of 4096 bytes are the same code as in version 5.
 */
const SHAPES = [512, 1024, 4096].flatMap((blockSize) =>
  [0, 1].map((ftype) => {
    const large = blockSize < 4096 && (ftype === 1) === (blockSize === 1024);
    return {
      name: `blocks of ${blockSize} bytes, ftype ${ftype}`,
      blockSize,
      ftype,
      directories: [0, 5, 50, 1000, ...(large ? [20_000] : [])],
      extents: large ? EXTENTS : 100,
    };
  }),
);

const folder = mkdtempSync(join(tmpdir(), "guestprobe-xfs-v4-"));
const images = SHAPES.map(({ blockSize, ftype }) => join(folder, `${blockSize}-${ftype}.img`));
let views: ExpectedVolume["entries"][];
beforeAll(async () => {
  for (const [index, { blockSize, ftype }] of SHAPES.entries()) {
    const args = ["-m", "crc=0", "-b", `size=${blockSize}`, "-n", `ftype=${ftype}`, "-L", "four"];
    makeXfs(images[index]!, 300 * MIB, args);
  }
  views = (await runNodeInGuest("guest-xfs.mjs", {
    imports: ["kernel-view.mjs", "xfs-tree.mjs"],
    disks: images,
    modules: ["xfs"],
    input: SHAPES.map(({ directories, extents, blockSize }) => ({ directories, extents, blockSize })),
  })) as typeof views;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(SHAPES.map((shape, index) => [shape.name, { ...shape, index }] as const))(
  "%s",
  (_, { blockSize, ftype, directories, extents, index }) => {
    test("as Linux shows it", async () => {
      const image = images[index]!;
      const log = new FindingLog();
      await using device = await openFile(image);
      const fs = await xfs.open(cachedDevice(device), { report: log.report });
      expect(fs.blockSize).toBe(blockSize);
      expect(run("xfs_db", ["-r", "-c", "version", image])).toMatch(ftype === 1 ? /FTYPE/ : /^(?!.*FTYPE).*V4/s);
      const [uuid] = [run("blkid", ["-p", "-o", "value", "-s", "UUID", image]).trim()];
      const entries = views[index]!;
      expect(entries.length).toBeGreaterThan(directories.reduce((sum, count) => sum + count, 40));
      const expected = { kind: "xfs", label: "four", uuid: uuid!, entries };
      for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
      expect(log.findings).toEqual([]);

      // The matrix is worth nothing if the kernel wrote the file in one piece, or gave no room ahead of its use.
      const kinds = async (path: string) => {
        const found = [];
        for await (const batch of (await open(fs, path)).extents()) found.push(...batch.map(({ kind }) => kind));
        return found;
      };
      expect((await kinds("/files/fragmented")).filter((kind) => kind === "data")).toHaveLength(extents);
      for (const name of ["all", "round", "behind"]) expect(await kinds(`/reserved/${name}`)).toContain("unwritten");
    });
  },
);
