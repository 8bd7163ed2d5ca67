import { describe, expect, it } from "vitest";
import { filled } from "../../../test/lib/image-builder/bytes.js";
import { buildVdi } from "../../../test/lib/image-builder/vdi.js";
import { disk, expectBytes, openBytes, readAll, shelf } from "./lib.js";

const MiB = 1 << 20;

describe("VDI", () => {
  it("blocks in any order, zero blocks, and bytes in front of each block", async () => {
    const blocks = new Map<number, Uint8Array | "zero">([
      [3, filled(MiB, 3)],
      [1, filled(MiB, 1)],
      [0, "zero"],
    ]);
    const { image, findings } = await openBytes(buildVdi({ size: 3 * MiB + 512, blocks, extra: 512 }));
    expect(findings).toEqual([]);
    expect(image.info).toMatchObject({ subformat: "dynamic", clusterSize: MiB, references: [] });
    expectBytes(
      await readAll(image),
      disk(3 * MiB + 512, [
        [MiB, filled(MiB, 1)],
        [3 * MiB, filled(512, 3)],
      ]),
    );
  });

  it("differencing: free blocks are the parent's, zero blocks are not; the parent is named by its UUID", async () => {
    const uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    const base = buildVdi({ size: 4 * MiB, uuid, blocks: new Map([0, 1, 2].map((n) => [n, filled(MiB, 0xb0 + n)])) });
    const blocks = new Map<number, Uint8Array | "zero">([
      [1, "zero"],
      [2, filled(MiB, 2)],
    ]);
    const child = buildVdi({ size: 4 * MiB, type: 4, linkage: uuid, blocks });
    const files = shelf({ [uuid]: base });
    const { image, findings } = await openBytes(child, files);
    expect(findings).toEqual([]);
    expect(files.asked).toEqual([`0 backing ${uuid}`]);
    expectBytes(
      await readAll(image),
      disk(4 * MiB, [
        [0, filled(MiB, 0xb0)],
        [2 * MiB, filled(MiB, 2)],
      ]),
    );
    const other = await openBytes(child, shelf({ [uuid]: buildVdi({ size: 4 * MiB }) }));
    expect(other.findings.map((entry) => entry.code)).toEqual(["image-parent-mismatch"]);
  });
});
