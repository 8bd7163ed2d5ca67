import { bufferDevice, isImageError } from "@guestprobe/block";
import { openImage } from "@guestprobe/image";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { filled } from "../lib/image-builder/bytes.js";
import { buildQcow2, type Cluster } from "../lib/image-builder/qcow2.js";
import { buildVdi } from "../lib/image-builder/vdi.js";
import { buildVhd } from "../lib/image-builder/vhd.js";
import { buildVhdx, VHDX_AT } from "../lib/image-builder/vhdx.js";
import { buildCowd, buildSeSparse, buildSparse, descriptorText } from "../lib/image-builder/vmdk.js";

const MiB = 1 << 20;
const clusters = new Map<number, Cluster>([
  [0, { kind: "data", data: filled(512, 1) }],
  [5, { kind: "sub", allocated: 3, zero: 12, data: filled(16384, 1) }],
]);
const parent = { uniqueId: filled(16, 1), name: "base", locators: [] };
const grains = new Map([[0, filled(65536, 1)]]);
const descriptor = descriptorText({ createType: "streamOptimized", extents: ['RW 2048 SPARSE "x"'] });
const log = [{ at: 0, tail: 0, sequence: 3n, descriptors: [{ kind: "zero", offset: 4 * MiB, length: 4096 } as const] }];

/** An image, and the stretches of it that hold headers and tables. */
const TARGETS: readonly (readonly [string, Uint8Array, readonly (readonly [number, number])[]])[] = [
  [
    "qcow2",
    ...whole(buildQcow2({ size: MiB, clusterBits: 14, extendedL2: true, clusters, backing: "b" }).file, 5 << 14),
  ],
  ["VHD", ...whole(buildVhd({ size: 4 * MiB, kind: "differencing", parent }).file, 4096)],
  [
    "VHDX",
    buildVhdx({ size: MiB, log }),
    [
      [65536, 80],
      [131072, 80],
      [196608, 96],
      [VHDX_AT.log, 8192],
      [VHDX_AT.metadata, 256],
      [VHDX_AT.metadata + 65536, 64],
      [VHDX_AT.bat, 16],
    ],
  ],
  ["VMDK hosted", ...whole(buildSparse({ capacity: MiB, grains }).file, 16384)],
  ["VMDK stream", ...whole(buildSparse({ capacity: MiB, grains, compressed: true, descriptor }).file, 1 << 20)],
  ["VMDK COWD", ...whole(buildCowd(MiB, new Map([[0, filled(512, 1)]])), 20480)],
  ["VMDK seSparse", ...whole(buildSeSparse(MiB, new Map([[0, filled(4096, 1)]])), 4096)],
  ["VMDK descriptor", ...whole(new TextEncoder().encode(descriptor), 1024)],
  ["VDI", ...whole(buildVdi({ size: 2 * MiB, type: 4, linkage: "11111111-2222-3333-4444-555555555555" }), 1024)],
];

function whole(file: Uint8Array, length: number): [Uint8Array, [number, number][]] {
  return [file, [[0, Math.min(length, file.length)]]];
}

describe("any bytes in: a disk or an ImageError out, in time", () => {
  it.each(TARGETS)("%s", async (_, image, stretches) => {
    const place = fc
      .constantFrom(...stretches)
      .chain(([start, length]) => fc.integer({ min: start, max: start + length - 1 }));
    const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), fc.integer({ min: 0, max: 255 }));
    const changes = fc.array(fc.tuple(place, byte), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const file = image.slice();
        for (const [at, value] of list) file[at] = value;
        const started = performance.now();
        await probe(file).catch((error: unknown) => {
          if (!isImageError(error)) throw error;
        });
        expect(performance.now() - started).toBeLessThan(2000);
      }),
      { numRuns: 150, seed: 8 },
    );
  });
});

async function probe(file: Uint8Array): Promise<void> {
  const image = await openImage(bufferDevice(file));
  const { size } = image.device;
  const results = await Promise.allSettled([
    image.device.read(0, Math.min(size, 65536)),
    image.device.read(Math.max(0, size - 65536), Math.min(size, 65536)),
    image.device.map?.(0, Math.min(size, 16 * MiB)),
  ]);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
