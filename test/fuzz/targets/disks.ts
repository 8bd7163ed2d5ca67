import { bufferDevice, FindingLog } from "@guestprobe/block";
import { listDisk } from "@guestprobe/grub";
import { openImage } from "@guestprobe/image";
import { readPartitions } from "@guestprobe/partition";
import { putGpt, putMbr } from "../../../packages/partition/test/build.js";
import { putAcorn, putAmiga, putApple, putBsd, putDragonFly, putPlan9, putSunPc } from "../../lib/disk-labels.js";
import { fixtures } from "../../lib/fixtures.js";
import { filled } from "../../lib/image-builder/bytes.js";
import { buildQcow2, type Cluster } from "../../lib/image-builder/qcow2.js";
import { buildVdi } from "../../lib/image-builder/vdi.js";
import { buildVhd } from "../../lib/image-builder/vhd.js";
import { buildVhdx } from "../../lib/image-builder/vhdx.js";
import { buildCowd, buildSeSparse, buildSparse, descriptorText } from "../../lib/image-builder/vmdk.js";
import { imageFixtures, unpackImage } from "../../lib/image-fixtures.js";
import { dissectQcow2, dissectVdi, dissectVhd, dissectVhdx, dissectVmdk } from "../formats/containers.js";
import { dissectPartitions } from "../formats/partition.js";
import type { Dissect } from "../lib/spots.js";
import { Happened, type Seed, type Target } from "../lib/target.js";

const MIB = 1 << 20;

/** Fixtures of one container, and what the builders make beside them: forms that no tool at hand writes. */
function containers(format: string, more: readonly Seed[]): readonly Seed[] {
  const files = imageFixtures.filter(({ expected }) => expected.format === format);
  return [...files.map(({ name }) => ({ name, bytes: unpackImage(name) })), ...more];
}

function container(name: string, dissect: Dissect, more: () => readonly Seed[]): Target {
  return {
    name,
    dissect,
    seeds: () => containers(name, more()),
    async exercise(data) {
      const happened = new Happened();
      const log = new FindingLog();
      const image = await happened.attempt(() =>
        openImage(bufferDevice(data), { report: log.report, cacheBudget: MIB }),
      );
      if (image !== undefined) {
        const { device } = image;
        const size = Math.min(device.size, 65_536);
        for (const at of new Set([0, Math.floor((device.size - size) / 2), device.size - size])) {
          await happened.attempt(() => device.read(at, size));
        }
        await happened.attempt(() => device.map?.(0, Math.min(device.size, 16 * MIB)));
        await happened.attempt(async () => {
          let left = 1000;
          for await (const _ of image.allocation(0, Math.min(device.size, 64 * MIB))) {
            left -= 1;
            if (left === 0) break;
          }
        });
        happened.note(image.format, `${image.info !== undefined}`);
      }
      happened.note(...log.findings.map(({ code }) => code));
      return happened.what;
    },
  };
}

const clusters = new Map<number, Cluster>([
  [0, { kind: "data", data: filled(512, 1) }],
  [5, { kind: "sub", allocated: 3, zero: 12, data: filled(16384, 1) }],
]);
const grains = new Map([[0, filled(65536, 1)]]);
const descriptor = descriptorText({ createType: "streamOptimized", extents: ['RW 2048 SPARSE "x"'] });
const log = [{ at: 0, tail: 0, sequence: 3n, descriptors: [{ kind: "zero", offset: 4 * MIB, length: 4096 } as const] }];
const parent = { uniqueId: filled(16, 1), name: "base", locators: [] };

const SECTORS = 300;

/** An extended chain of four, and a GPT whose slots are not in order. */
function tables(): readonly Seed[] {
  const mbr = new Uint8Array(SECTORS * 512);
  const logical = { start: 5, sectors: 10 };
  putMbr(mbr, [
    { start: 10, sectors: 20 },
    { type: 5, start: 50, sectors: 200 },
  ]);
  putMbr(mbr, [logical, { type: 5, start: 50, sectors: 50 }], { lba: 50 });
  putMbr(mbr, [logical, { type: 15, start: 100, sectors: 50 }], { lba: 100 });
  putMbr(mbr, [{ ...logical, type: 0x81 }], { lba: 150 });
  const gpt = new Uint8Array(SECTORS * 512);
  putGpt(gpt, {
    entries: [
      { slot: 1, first: 40, last: 80 },
      { slot: 9, first: 100, last: 200 },
    ],
  });
  return [
    { name: "extended chain", bytes: mbr },
    { name: "slots", bytes: gpt },
  ];
}

const ONE = [
  { slot: 1, start: 96, sectors: 32 },
  { slot: 2, start: 160, sectors: 32 },
];

/** Tables of other machines, alone and inside a partition of the MBR that is theirs by its type. */
function labels(): readonly Seed[] {
  const disk = (name: string, write: (bytes: Uint8Array, view: DataView) => void): Seed => {
    const bytes = new Uint8Array(SECTORS * 512);
    write(bytes, new DataView(bytes.buffer));
    return { name, bytes };
  };
  const inside = (name: string, type: number, put: (bytes: Uint8Array, parts: typeof ONE, at: number) => void): Seed =>
    disk(`${name} in a partition`, (bytes) => {
      putMbr(bytes, [{ type, start: 32, sectors: 256 }]);
      put(bytes, ONE, 32);
    });
  return [
    disk("BSD", (bytes) => putBsd(bytes, ONE)),
    inside("BSD", 0xa5, (bytes, parts, sector) => putBsd(bytes, parts, { sector, whole: sector })),
    disk("Apple", (bytes) => putApple(bytes, ONE)),
    disk("DragonFly", (bytes) => putDragonFly(bytes, ONE)),
    inside("DragonFly", 0x6c, putDragonFly),
    disk("Sun on PCs", (bytes) => putSunPc(bytes, ONE)),
    inside("Sun on PCs", 0xbf, putSunPc),
    inside("Minix", 0x81, (bytes, parts, lba) => putMbr(bytes, parts, { lba })),
    disk("Plan 9", (bytes) => putPlan9(bytes, ONE)),
    inside("Plan 9", 0x39, putPlan9),
    disk("Acorn", (bytes) => putAcorn(bytes, ONE, 1)),
    disk("Amiga", (bytes) => putAmiga(bytes, ONE)),
    disk("Sun", (_, view) => {
      view.setUint16(0x1b4, 2);
      view.setUint16(0x1b6, 8);
      view.setUint16(0x1fc, 0xdabe);
      for (const [index, { start, sectors }] of ONE.entries()) {
        view.setUint8(0x8e + index * 4 + 1, 0x83);
        view.setUint32(0x1bc + index * 8, start / 16);
        view.setUint32(0x1bc + index * 8 + 4, sectors);
      }
      let sum = 0;
      for (let at = 0; at < 510; at += 2) sum ^= view.getUint16(at);
      view.setUint16(510, sum);
    }),
    disk("SGI", (_, view) => {
      view.setUint32(0, 0x0be5a941);
      for (const [index, { start, sectors }] of ONE.entries()) {
        view.setUint32(0x138 + index * 12, sectors);
        view.setUint32(0x138 + index * 12 + 4, start);
        view.setUint32(0x138 + index * 12 + 8, 3);
      }
      let sum = 0;
      for (let at = 0; at < 512; at += 4) sum = (sum + view.getUint32(at)) >>> 0;
      view.setUint32(0x1f8, -sum >>> 0);
    }),
  ];
}

const partitions: Target = {
  name: "partition",
  dissect: dissectPartitions,
  seeds: () => [
    ...fixtures("partition").map(({ name, image }) => ({ name, bytes: image() })),
    ...tables(),
    ...labels(),
  ],
  async exercise(data, variant) {
    const happened = new Happened();
    const log = new FindingLog();
    const device = bufferDevice(data);
    const nested = variant % 2 === 0 ? ({ nested: "any" } as const) : {};
    const read = await happened.attempt(() => readPartitions(device, { ...nested, report: log.report }));
    happened.note(...(read?.tables ?? []).map(({ kind }) => kind));
    for (const partition of read?.partitions ?? []) {
      if (!Number.isSafeInteger(partition.start + partition.length)) throw new Error("a partition past 2^53");
      const end = partition.device === undefined ? 0 : partition.start + partition.device.size;
      if (end > data.length) throw new Error("the device of a partition passes the disk's end");
    }
    let before = 0;
    for (const gap of read?.gaps ?? []) {
      if (gap.length <= 0 || gap.start < before) throw new Error("gaps are empty or out of order");
      before = gap.start + gap.length;
    }
    for (const finding of read?.tables.flatMap((table) => table.problems) ?? []) {
      happened.note(finding.code);
      if (finding.offset === undefined) throw new Error(`${finding.code} has no byte offset`);
    }
    const { devices } = await listDisk({ name: "hd0", device });
    if (devices[0]?.name !== "hd0") throw new Error("GRUB's list does not begin with the disk");
    happened.note(`${read?.partitions.length} ${devices.length}`);
    return happened.what;
  },
};

export const DISK_TARGETS: readonly Target[] = [
  partitions,
  container("qcow2", dissectQcow2, () => [
    {
      name: "extended, backed",
      bytes: buildQcow2({ size: MIB, clusterBits: 14, extendedL2: true, clusters, backing: "b" }).file,
    },
  ]),
  container("vhd", dissectVhd, () => [
    { name: "differencing", bytes: buildVhd({ size: 4 * MIB, kind: "differencing", parent }).file },
  ]),
  container("vhdx", dissectVhdx, () => [{ name: "log", bytes: buildVhdx({ size: MIB, log }) }]),
  container("vmdk", dissectVmdk, () => [
    { name: "hosted", bytes: buildSparse({ capacity: MIB, grains }).file },
    { name: "stream", bytes: buildSparse({ capacity: MIB, grains, compressed: true, descriptor }).file },
    { name: "COWD", bytes: buildCowd(MIB, new Map([[0, filled(512, 1)]])) },
    { name: "seSparse", bytes: buildSeSparse(MIB, new Map([[0, filled(4096, 1)]])) },
    { name: "descriptor", bytes: new TextEncoder().encode(descriptor) },
  ]),
  container("vdi", dissectVdi, () => [
    {
      name: "differencing",
      bytes: buildVdi({ size: 2 * MIB, type: 4, linkage: "11111111-2222-3333-4444-555555555555" }),
    },
  ]),
];
