import { deflateRawSync, deflateSync } from "node:zlib";
import { bufferDevice, encodeText, type Finding, ImageError, isImageError } from "@guestprobe/block";
import type { Struct } from "@guestprobe/block/struct";
import { type ImageFormat, openImage } from "@guestprobe/image";
import { describe, expect, it, test } from "vitest";
import * as qcow2 from "../../packages/image/src/qcow2/layout.js";
import * as vdi from "../../packages/image/src/vdi/layout.js";
import * as vhd from "../../packages/image/src/vhd/layout.js";
import * as vhdx from "../../packages/image/src/vhdx/layout.js";
import * as vmdk from "../../packages/image/src/vmdk/layout.js";
import { FileBytes, filled, utf16le } from "../lib/image-builder/bytes.js";
import { buildQcow2, type Cluster } from "../lib/image-builder/qcow2.js";
import { buildVdi, VDI_AT } from "../lib/image-builder/vdi.js";
import { buildVhd, sealVhd } from "../lib/image-builder/vhd.js";
import { buildVhdx, LOG_GUID, sealVhdx, VHDX_AT } from "../lib/image-builder/vhdx.js";
import { buildCowd, buildSeSparse, buildSparse, descriptorText } from "../lib/image-builder/vmdk.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const MiB = 1 << 20;
const MAX_MS = 2000;

interface Outcome {
  readonly error: ImageError | undefined;
  readonly findings: readonly Finding[];
  /** Every name that the resolver was asked for. */
  readonly asked: readonly string[];
}

/**
 * Opens an image and reads what a probe would: the first and the last 64 KiB, a piece in the middle, the map of the first
 * 64 MiB. Any failure but an ImageError, and any that takes long, fails the test.
 */
async function exercise(data: Uint8Array, format?: ImageFormat): Promise<Outcome> {
  const findings: Finding[] = [];
  const asked: string[] = [];
  const spent = stopwatch();
  let error: ImageError | undefined;
  try {
    const image = await openImage(bufferDevice(data), {
      format,
      report: (entry) => findings.push(entry),
      resolve: async (name) => {
        asked.push(name);
        return undefined;
      },
    });
    const { size } = image.device;
    const piece = Math.min(65536, size);
    const errors: unknown[] = [];
    for (const at of [0, Math.floor((size - piece) / 2), size - piece]) {
      await image.device.read(at, piece).catch((cause: unknown) => errors.push(cause));
    }
    await image.device.map?.(0, Math.min(size, 64 * MiB)).catch((cause: unknown) => errors.push(cause));
    if (errors.length > 0) throw errors[0];
  } catch (cause) {
    if (!isImageError(cause)) throw cause;
    error = cause;
  }
  expect(spent()).toBeLessThan(MAX_MS);
  return { error, findings, asked };
}

const PLACED = new Set(["corrupt", "past-end", "bad-checksum", "unsupported", "encrypted", "not-this-format"]);

/** An error says where: format and byte. */
function expectPlaced(error: ImageError | undefined, name: string): void {
  if (error === undefined || !PLACED.has(error.code)) return;
  expect(error.format, `${name}: ${error.message}`).toBeDefined();
  expect(error.offset, `${name}: ${error.message}`).toBeGreaterThanOrEqual(0);
}

const clusters = new Map<number, Cluster>([
  [0, { kind: "data", data: filled(65536, 1) }],
  [1, { kind: "compressed", data: deflateRawSync(filled(65536, 2)) }],
  [2, { kind: "zero" }],
]);
const snapshots = [{ id: "1", name: "one" }];
const qcow = buildQcow2({ size: 64 * MiB, clusters, snapshots });
const qcowBacked = buildQcow2({ size: 64 * MiB, clusters, backing: "base.img", backingFormat: "raw" });
const vhdParent = {
  uniqueId: filled(16, 9),
  name: "base.vhd",
  locators: [{ code: "W2ru", data: utf16le(".\\base.vhd") }],
};
const vhdBlocks = new Map([[0, { data: filled(2 * MiB, 1) }]]);
const dynamic = buildVhd({ size: 8 * MiB, blocks: vhdBlocks });
const differencing = buildVhd({ size: 8 * MiB, kind: "differencing", blocks: vhdBlocks, parent: vhdParent });
const fixed = buildVhd({ size: MiB, kind: "fixed" });
const vhdxBlocks = new Map([[0, { state: 6, data: filled(MiB, 1) }]]);
const vhdxPlain = buildVhdx({ size: 8 * MiB, blocks: vhdxBlocks });
const vhdxChild = buildVhdx({ size: 8 * MiB, blocks: vhdxBlocks, parent: { relative_path: "x.vhdx" } });
const vhdxLogged = buildVhdx({
  size: 8 * MiB,
  blocks: vhdxBlocks,
  log: [{ at: 0, tail: 0, sequence: 5n, descriptors: [{ kind: "data", offset: 4 * MiB, data: filled(4096, 7) }] }],
});
const grains = new Map([[0, filled(65536, 1)]]);
const sparse = buildSparse({
  capacity: 64 * MiB,
  grains,
  descriptor: descriptorText({ createType: "monolithicSparse", extents: ['RW 131072 SPARSE "a.vmdk"'] }),
});
const stream = buildSparse({ capacity: 64 * MiB, grains, compressed: true });
const cowd = buildCowd(4 * MiB, new Map([[0, filled(512, 1)]]));
const seSparse = buildSeSparse(32 * MiB, new Map([[0, filled(4096, 1)]]));
const vdiDynamic = buildVdi({ size: 8 * MiB, blocks: new Map([[0, filled(MiB, 1)]]) });
const vdiChild = buildVdi({ size: 8 * MiB, type: 4, linkage: LOG_GUID });

type AnyStruct = Struct<Record<string, never>>;
type Seal = (file: Uint8Array) => void;
const none: Seal = () => {};

/** Every structure of every format, in an image that has it: where it starts, and how its checksum is made right again. */
const STRUCTURES: readonly (readonly [string, Uint8Array, unknown, number, Seal])[] = [
  ["qcow2 header", qcow.file, qcow2.QCowHeader, 0, none],
  ["qcow2 header with a backing file", qcowBacked.file, qcow2.QCowHeader, 0, none],
  ["qcow2 version 3 header", qcow.file, qcow2.QCowHeaderV3, 0, none],
  ["qcow2 compression type", qcow.file, qcow2.QCowCompression, 0, none],
  ["qcow2 header extension", qcowBacked.file, qcow2.QCowExtension, 112, none],
  ["qcow2 snapshot", qcow.file, qcow2.QCowSnapshotHeader, qcow.snapshots, none],
  ["qcow2 snapshot extra data", qcow.file, qcow2.QCowSnapshotExtraData, qcow.snapshots + 40, none],
  ["VHD footer", fixed.file, vhd.vhd_footer, fixed.footer, (file) => sealVhd(file, fixed.footer, "footer")],
  [
    "VHD dynamic footer",
    dynamic.file,
    vhd.vhd_footer,
    dynamic.footer,
    (file) => sealVhd(file, dynamic.footer, "footer"),
  ],
  ["VHD dynamic header", dynamic.file, vhd.vhd_dynamic_header, 512, (file) => sealVhd(file, 512, "header")],
  ["VHD differencing header", differencing.file, vhd.vhd_dynamic_header, 512, (file) => sealVhd(file, 512, "header")],
  ["VHD parent locator", differencing.file, vhd.vhd_parent_locator, 512 + 576, (file) => sealVhd(file, 512, "header")],
  ["VHDX header", vhdxPlain, vhdx.VHDX_HEADER, 131072, (file) => sealVhdx(file, 131072, 4096)],
  ["VHDX header with a log", vhdxLogged, vhdx.VHDX_HEADER, 131072, (file) => sealVhdx(file, 131072, 4096)],
  ["VHDX region table", vhdxPlain, vhdx.VHDX_REGION_TABLE_HEADER, 196608, (file) => sealVhdx(file, 196608, 65536)],
  ["VHDX region entry", vhdxPlain, vhdx.VHDX_REGION_TABLE_ENTRY, 196608 + 16, (file) => sealVhdx(file, 196608, 65536)],
  [
    "VHDX metadata region",
    vhdxPlain,
    vhdx.VHDX_REGION_TABLE_ENTRY,
    196608 + 48,
    (file) => sealVhdx(file, 196608, 65536),
  ],
  ["VHDX metadata table", vhdxPlain, vhdx.VHDX_METADATA_TABLE_HEADER, VHDX_AT.metadata, none],
  ["VHDX metadata entry", vhdxPlain, vhdx.VHDX_METADATA_TABLE_ENTRY, VHDX_AT.metadata + 32, none],
  ["VHDX metadata size entry", vhdxPlain, vhdx.VHDX_METADATA_TABLE_ENTRY, VHDX_AT.metadata + 64, none],
  ["VHDX file parameters", vhdxPlain, vhdx.VHDX_FILE_PARAMETERS, VHDX_AT.metadata + 65536, none],
  ["VHDX disk size", vhdxPlain, vhdx.VHDX_VIRTUAL_DISK_SIZE, VHDX_AT.metadata + 65536 + 8, none],
  ["VHDX parent locator", vhdxChild, vhdx.VHDX_PARENT_LOCATOR_HEADER, VHDX_AT.metadata + 65536 + 48, none],
  ["VHDX parent pair", vhdxChild, vhdx.VHDX_PARENT_LOCATOR_ENTRY, VHDX_AT.metadata + 65536 + 68, none],
  ["VHDX log entry", vhdxLogged, vhdx.VHDX_LOG_ENTRY_HEADER, VHDX_AT.log, (file) => sealLog(file)],
  ["VHDX log descriptor", vhdxLogged, vhdx.VHDX_LOG_DATA_DESCRIPTOR, VHDX_AT.log + 64, (file) => sealLog(file)],
  ["VHDX log data", vhdxLogged, vhdx.VHDX_LOG_DATA_SECTOR, VHDX_AT.log + 4096, (file) => sealLog(file)],
  ["VMDK sparse header", sparse.file, vmdk.SparseExtentHeader, 0, none],
  ["VMDK stream header", stream.file, vmdk.SparseExtentHeader, 0, none],
  ["VMDK stream footer", stream.file, vmdk.SparseExtentHeader, stream.header, none],
  ["VMDK grain marker", stream.file, vmdk.GrainMarker, stream.grains.get(0) ?? 0, none],
  ["VMDK COWD header", cowd, vmdk.COWDisk_Header, 0, none],
  ["VMDK seSparse header", seSparse, vmdk.SESparseConstHeader, 0, none],
  ["VMDK seSparse volatile header", seSparse, vmdk.SESparseVolatileHeader, 512, none],
  ["VDI header", vdiDynamic, vdi.VDIHEADER1PLUS, 0, none],
  ["VDI differencing header", vdiChild, vdi.VDIHEADER1PLUS, 0, none],
];

function sealLog(file: Uint8Array): void {
  sealVhdx(file, VHDX_AT.log, 8192);
}

/** Little- or big-endian does not matter: all of these are told to both. */
function badValues(file: Uint8Array, at: number, size: number): Uint8Array[] {
  const value = file.slice(at, at + size);
  const patterns = [filled(size, 0), filled(size, 0xff)];
  for (const end of [0, size - 1]) {
    patterns.push(value.with(end, (value[end]! + 1) & 0xff), value.with(end, (value[end]! + 255) & 0xff));
    patterns.push(filled(size, 0).with(end, 1), filled(size, 0).with(end, 0x80), filled(size, 0xff).with(end, 0x7f));
  }
  return patterns;
}

describe("every field of every structure at its bounds", () => {
  it.each(STRUCTURES)("%s", async (name, image, structure, base, seal) => {
    const { $fields, $name } = structure as AnyStruct;
    const fields = Object.entries($fields as Record<string, { offset: number; size: number }>);
    expect(fields.length, $name).toBeGreaterThan(0);
    for (const [field, { offset, size }] of fields) {
      for (const bad of badValues(image, base + offset, size)) {
        const file = image.slice();
        file.set(bad, base + offset);
        if (!["checksum", "Checksum"].includes(field)) seal(file);
        const { error } = await exercise(file);
        expectPlaced(error, `${name}.${field} = ${bad.join(" ")}`);
      }
    }
  });
});

describe("cut at every sixteenth", () => {
  const images: readonly (readonly [string, Uint8Array, ImageFormat])[] = [
    ["qcow2", qcow.file, "qcow2"],
    ["VHD dynamic", dynamic.file, "vhd"],
    ["VHD differencing", differencing.file, "vhd"],
    ["VHD fixed", fixed.file, "vhd"],
    ["VHDX", vhdxPlain, "vhdx"],
    ["VHDX with a log", vhdxLogged, "vhdx"],
    ["VMDK sparse", sparse.file, "vmdk"],
    ["VMDK stream optimized", stream.file, "vmdk"],
    ["VMDK COWD", cowd, "vmdk"],
    ["VMDK seSparse", seSparse, "vmdk"],
    ["VDI", vdiDynamic, "vdi"],
  ];
  it.each(images)("%s", async (name, image, format) => {
    const whole = await exercise(image, format);
    // Nothing is wrong with the whole but the parent that nobody supplied.
    expect(whole.error?.code).toBe(name === "VHD differencing" ? "io" : undefined);
    for (let sixteenth = 0; sixteenth < 16; sixteenth += 1) {
      const { error } = await exercise(image.slice(0, Math.floor((image.length * sixteenth) / 16)), format);
      expectPlaced(error, `${name} at ${sixteenth}/16`);
      // Half of the file is less than its tables and its one block.
      if (sixteenth < 4) expect(error, `${name} at ${sixteenth}/16`).toBeInstanceOf(ImageError);
    }
  });
});

/** One lie, what it is told as, and where. */
interface Lie {
  readonly name: string;
  readonly file: Uint8Array;
  readonly code: string;
  readonly offset: number;
}

const patched = (image: Uint8Array, change: (file: FileBytes) => void, seal: Seal = none): Uint8Array => {
  const bytes = new FileBytes().bytes(0, image);
  change(bytes);
  const file = bytes.finish();
  seal(file);
  return file;
};
const { l1, l2 } = qcow;
const sealDynamic: Seal = (file) => sealVhd(file, 512, "header");
const sealFooters: Seal = (file) => {
  sealVhd(file, dynamic.footer, "footer");
};
const HUGE = 1n << 63n;
const extended = buildQcow2({
  size: MiB,
  clusterBits: 14,
  extendedL2: true,
  clusters: new Map([[0, { kind: "zero" }]]),
});
const extendedEntry = extended.l2[0]!;
const version2 = buildQcow2({ size: MiB, version: 2, clusters: new Map([[0, { kind: "zero" }]]) });
const bomb = deflateRawSync(new Uint8Array(64 * MiB));
const bombGrain = deflateSync(new Uint8Array(64 * MiB));

const LIES: readonly Lie[] = [
  { name: "qcow2: a zero cluster in version 2", file: version2.file, code: "corrupt", offset: version2.l2[0]! },
  { name: "qcow2: the zero bit of an extended entry", file: extended.file, code: "corrupt", offset: extendedEntry },
  {
    name: "qcow2: a subcluster that is data and zero",
    file: patched(extended.file, (f) =>
      f.be(extendedEntry, 8, extended.data).be(extendedEntry + 8, 8, (1n << 32n) | 1n),
    ),
    code: "corrupt",
    offset: extendedEntry,
  },
  {
    name: "qcow2: subclusters of no cluster",
    file: patched(extended.file, (f) => f.be(extendedEntry, 8, 0).be(extendedEntry + 8, 8, 1)),
    code: "corrupt",
    offset: extendedEntry,
  },
  {
    name: "qcow2: extended L2 in clusters of 8 KiB",
    file: patched(extended.file, (f) => f.be(20, 4, 13)),
    code: "corrupt",
    offset: 20,
  },
  {
    name: "qcow2: zstd without its feature bit",
    file: patched(qcow.file, (f) => f.be(104, 1, 1)),
    code: "corrupt",
    offset: 104,
  },
  {
    name: "qcow2: a compression type that is not known",
    file: patched(qcow.file, (f) => f.be(104, 1, 2)),
    code: "unsupported",
    offset: 104,
  },
  {
    name: "qcow2: an L2 table that is the L1 table",
    file: patched(qcow.file, (f) => f.be(l1, 8, l1)),
    code: "corrupt",
    offset: l1,
  },
  {
    name: "qcow2: an L2 table that is the refcount table",
    file: patched(qcow.file, (f) => f.be(l1, 8, qcow.refcountTable)),
    code: "corrupt",
    offset: l1,
  },
  {
    name: "qcow2: an L2 table past the end",
    file: patched(qcow.file, (f) => f.be(l1, 8, 1n << 40n)),
    code: "past-end",
    offset: l1,
  },
  {
    name: "qcow2: an L2 table between clusters",
    file: patched(qcow.file, (f) => f.be(l1, 8, l2[0]! + 512)),
    code: "corrupt",
    offset: l1,
  },
  {
    name: "qcow2: reserved bits of an L1 entry",
    file: patched(qcow.file, (f) => f.be(l1, 8, BigInt(l2[0]!) | (1n << 56n))),
    code: "corrupt",
    offset: l1,
  },
  {
    name: "qcow2: reserved bits of an L2 entry",
    file: patched(qcow.file, (f) => f.be(l2[0]!, 8, BigInt(qcow.data) | 2n)),
    code: "corrupt",
    offset: l2[0]!,
  },
  {
    name: "qcow2: a cluster past the end",
    file: patched(qcow.file, (f) => f.be(l2[0]!, 8, 1n << 40n)),
    code: "past-end",
    offset: l2[0]!,
  },
  {
    name: "qcow2: a cluster between clusters",
    file: patched(qcow.file, (f) => f.be(l2[0]!, 8, qcow.data + 512)),
    code: "corrupt",
    offset: l2[0]!,
  },
  {
    name: "qcow2: a compressed cluster past the end",
    file: patched(qcow.file, (f) => f.be(l2[0]!, 8, (1n << 62n) | (1n << 40n))),
    code: "past-end",
    offset: l2[0]!,
  },
  {
    name: "qcow2: a disk of 2^63 bytes",
    file: patched(qcow.file, (f) => f.be(24, 8, HUGE)),
    code: "corrupt",
    offset: 24,
  },
  {
    name: "qcow2: an L1 table at 2^63",
    file: patched(qcow.file, (f) => f.be(40, 8, HUGE)),
    code: "corrupt",
    offset: 40,
  },
  {
    name: "qcow2: an L1 table past the end",
    file: patched(qcow.file, (f) => f.be(40, 8, 1n << 32n)),
    code: "past-end",
    offset: 40,
  },
  {
    name: "qcow2: an L1 table of 2^32 entries",
    file: patched(qcow.file, (f) => f.be(36, 4, 0xffffffff)),
    code: "unsupported",
    offset: 36,
  },
  {
    name: "VHD: a block on the footer's copy",
    file: patched(dynamic.file, (f) => f.be(dynamic.bat, 4, 0)),
    code: "corrupt",
    offset: dynamic.bat,
  },
  {
    name: "VHD: a block past the end",
    file: patched(dynamic.file, (f) => f.be(dynamic.bat, 4, 0xfffffffe)),
    code: "past-end",
    offset: dynamic.bat,
  },
  {
    name: "VHD: a table past the end",
    file: patched(dynamic.file, (f) => f.be(512 + 16, 8, 1n << 40n), sealDynamic),
    code: "past-end",
    offset: 528,
  },
  {
    name: "VHD: a table at 2^63",
    file: patched(dynamic.file, (f) => f.be(512 + 16, 8, HUGE), sealDynamic),
    code: "corrupt",
    offset: 528,
  },
  {
    name: "VHD: a disk of 2^63 bytes",
    file: patched(dynamic.file, (f) => f.be(dynamic.footer + 48, 8, HUGE), sealFooters),
    code: "corrupt",
    offset: dynamic.footer + 48,
  },
  {
    name: "VHD: blocks of 3 bytes",
    file: patched(dynamic.file, (f) => f.be(512 + 32, 4, 3), sealDynamic),
    code: "corrupt",
    offset: 544,
  },
  {
    name: "VHD: a parent's name of 4 GiB",
    file: patched(differencing.file, (f) => f.be(512 + 576 + 8, 4, 0xffffffff), sealDynamic),
    code: "corrupt",
    offset: 1536 + 512,
  },
  {
    name: "VHDX: reserved bits of a table entry",
    file: patched(vhdxPlain, (f) => f.le(VHDX_AT.bat, 8, (4n << 20n) | 8n | 6n)),
    code: "corrupt",
    offset: VHDX_AT.bat,
  },
  {
    name: "VHDX: a block past the end",
    file: patched(vhdxPlain, (f) => f.le(VHDX_AT.bat, 8, (1n << 40n) | 6n)),
    code: "past-end",
    offset: VHDX_AT.bat,
  },
  {
    name: "VHDX: a block on the headers",
    file: patched(vhdxPlain, (f) => f.le(VHDX_AT.bat, 8, 6n)),
    code: "corrupt",
    offset: VHDX_AT.bat,
  },
  {
    name: "VHDX: a disk of 2^63 bytes",
    file: patched(vhdxPlain, (f) => f.le(VHDX_AT.metadata + 65544, 8, HUGE)),
    code: "corrupt",
    offset: VHDX_AT.metadata + 65544,
  },
  {
    name: "VMDK: a grain table past the end",
    file: patched(sparse.file, (f) => f.le(sparse.directory, 4, 0xffffffff)),
    code: "past-end",
    offset: sparse.directory,
  },
  {
    name: "VMDK: a grain past the end",
    file: patched(sparse.file, (f) => f.le(sparse.table, 4, 0xfffffffe)),
    code: "past-end",
    offset: sparse.table,
  },
  {
    name: "VMDK: two directory entries with one table",
    file: patched(sparse.file, (f) => f.le(sparse.directory + 4, 4, sparse.table / 512)),
    code: "corrupt",
    offset: sparse.directory + 4,
  },
  {
    name: "VMDK: a disk of 2^63 sectors",
    file: patched(sparse.file, (f) => f.le(12, 8, HUGE)),
    code: "corrupt",
    offset: 12,
  },
  {
    name: "VMDK: a disk of 2^52 sectors",
    file: patched(sparse.file, (f) => f.le(12, 8, 1n << 52n)),
    code: "corrupt",
    offset: 12,
  },
  {
    name: "VMDK: seSparse entry of an unknown type",
    file: patched(seSparse, (f) => f.le(3 * 512, 8, 4n << 60n)),
    code: "corrupt",
    offset: 3 * 512,
  },
  {
    name: "VDI: a block past the end",
    file: patched(vdiDynamic, (f) => f.le(VDI_AT.map, 4, 0xfffffffd)),
    code: "past-end",
    offset: VDI_AT.map,
  },
  {
    name: "VDI: a disk of 2^63 bytes",
    file: patched(vdiDynamic, (f) => f.le(0x170, 8, HUGE)),
    code: "corrupt",
    offset: 0x170,
  },
  {
    name: "VDI: a map past the end",
    file: patched(vdiDynamic, (f) => f.le(0x154, 4, 0xffffffff)),
    code: "past-end",
    offset: 0x154,
  },
];

describe("lies, each told with its code and its byte", () => {
  it.each(LIES)("$name", async ({ file, code, offset }) => {
    const { error } = await exercise(file);
    expect({ code: error?.code, offset: error?.offset }, error?.message).toEqual({ code, offset });
  });

  it("qcow2: two L1 entries with one L2 table", async () => {
    const small = buildQcow2({ size: 128 * 512 * 64, clusterBits: 9, clusters: new Map([[0, { kind: "zero" }]]) });
    const file = patched(small.file, (f) => f.be(small.l1 + 8, 8, small.l2[0]!));
    const image = await openImage(bufferDevice(file));
    expect((await image.device.read(0, 1))[0]).toBe(0);
    await expect(image.device.read(64 * 512, 1)).rejects.toMatchObject({ code: "corrupt", offset: small.l1 + 8 });
    await expect(image.device.map?.(0, image.virtualSize)).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("what a reader does not need", () => {
  it.each([
    ["past the end", 48, 1n << 40n],
    ["between clusters", 48, 65536n + 512n],
    ["of no clusters", 56, 0n],
  ])("qcow2: a refcount table %s is reported, and the disk reads", async (_, at, value) => {
    const { error, findings } = await exercise(patched(qcow.file, (f) => f.be(at, at === 48 ? 8 : 4, value)));
    expect(error).toBeUndefined();
    expect(findings.map((entry) => entry.code)).toEqual(["image-refcounts"]);
  });

  it("qcow2: a damaged snapshot table is reported, and the disk reads", async () => {
    const { error, findings } = await exercise(patched(qcow.file, (f) => f.be(64, 8, 1n << 40n)));
    expect(error).toBeUndefined();
    expect(findings).toMatchObject([{ code: "image-snapshots", offset: 2 ** 40 }]);
  });
});

describe("compressed clusters that expand without end", () => {
  const lies: readonly (readonly [string, Uint8Array])[] = [
    ["qcow2", buildQcow2({ size: MiB, clusters: new Map([[0, { kind: "compressed", data: bomb }]]) }).file],
    ["VMDK", buildSparse({ capacity: MiB, grains, compressed: true, streams: new Map([[0, bombGrain]]) }).file],
  ];
  it.each(lies)("%s", async (_, file) => {
    const before = process.memoryUsage().arrayBuffers;
    const { error } = await exercise(file);
    expect(error?.code).toBe("corrupt");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * MiB);
  });
});

describe("names of host files", () => {
  const NAMES = [
    "/etc/passwd",
    "../x",
    "/dev/sda",
    "\\\\server\\share\\x",
    "file:///etc/passwd",
    'json:{"driver":"nbd"}',
  ];
  const forms: readonly (readonly [string, (name: string) => Uint8Array])[] = [
    ["qcow2 backing file", (name) => buildQcow2({ size: MiB, backing: name }).file],
    ["qcow2 data file", dataFile],
    ["VHD parent", (name) => vhdNaming(name)],
    ["VHDX parent", (name) => buildVhdx({ size: MiB, parent: { relative_path: name } })],
    [
      "VMDK extent",
      (name) => encodeText(descriptorText({ extents: [`RW 128 FLAT "${name.replaceAll('"', "'")}" 0`] })),
    ],
    ["VMDK parent", vmdkParent],
  ];

  it.each(forms)("%s: the resolver alone is asked, and the finding names it", async (_, build) => {
    for (const name of NAMES) {
      const { asked, error, findings } = await exercise(build(name));
      const stored = asked[0];
      expect([name, name.replaceAll('"', "'")]).toContain(stored);
      expect(error).toMatchObject({ code: "io" });
      expect(findings.map((entry) => entry.code)).toContain("image-file-missing");
      expect(findings.map((entry) => entry.message).join("\n")).toContain(`"${stored}"`);
    }
  });

  function dataFile(name: string): Uint8Array {
    const { file } = buildQcow2({
      size: MiB,
      incompatible: 4,
      clusters: new Map([[0, { kind: "data", data: filled(1, 1) }]]),
    });
    return patched(file, (f) => f.be(112, 4, 0x44415441).be(116, 4, name.length).text(120, name));
  }

  function vhdNaming(name: string): Uint8Array {
    const parent = { uniqueId: filled(16, 1), name: "", locators: [{ code: "W2ku", data: utf16le(name) }] };
    return buildVhd({ size: 4 * MiB, kind: "differencing", parent }).file;
  }

  function vmdkParent(name: string): Uint8Array {
    // A parent's name is stored in quotes: what stands in quotes itself cannot be.
    const parent = name.replaceAll('"', "'");
    const descriptor = descriptorText({ parentCid: "00000001", parent, extents: ['RW 128 SPARSE "self"'] });
    return buildSparse({ capacity: 65536, descriptor }).file;
  }
});

test("a descriptor of 100 MiB is refused unread", async () => {
  const file = new Uint8Array(100 * MiB).fill(0x20);
  file.set(encodeText("# Disk DescriptorFile\n"));
  const { error } = await exercise(file);
  expect(error).toMatchObject({ code: "limit", structure: "descriptor", offset: 0 });
  const { error: embedded } = await exercise(patched(sparse.file, (f) => f.le(36, 8, 1 << 20)));
  expect(embedded).toMatchObject({ code: "limit", structure: "descriptor", offset: 512 });
});

test("a descriptor of nothing but extents ends at a limit, in time", async () => {
  const line = "RW 1 ZERO\n";
  const file = encodeText(`# Disk DescriptorFile\ncreateType="x"\n${line.repeat(90_000)}`);
  expect((await exercise(file)).error).toMatchObject({ code: "limit", structure: "descriptor" });
});
