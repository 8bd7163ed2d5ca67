/** Logical volumes and arrays: their members as images, and the text of a volume group by itself. */
import { bufferDevice, cachedDevice, FindingLog } from "@guestprobe/block";
import { grubMapped } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { assembleVolumes, type VolumeMember } from "@guestprobe/volume";
import { INTERNAL_NODE, LEAF_NODE } from "../../../packages/volume/src/thin/layout.js";
import { store } from "../../../packages/volume/test/snapshot/build.js";
import { metadata, node, superblock, to } from "../../../packages/volume/test/thin/build.js";
import { fixtures } from "../../lib/fixtures.js";
import { buildPv, linear, lvText, MIB, vgText } from "../../lib/lvm-builder.js";
import { superblock0, superblock1 } from "../../lib/md-superblocks.js";
import { dissectLvm, dissectMd } from "../formats/mapped.js";
import { Happened, type Seed, type Target } from "../lib/target.js";

/** Most volumes of a case that are read, and bytes of each end. */
const MAX_VOLUMES = 24;
const PIECE = 4096;

async function exercise(members: readonly VolumeMember[]): Promise<readonly string[]> {
  const happened = new Happened();
  const log = new FindingLog();
  const assembled = await happened.attempt(() => assembleVolumes(members, { report: log.report }));
  if (assembled === undefined) return happened.what;
  grubMapped(assembled);
  for (const volume of assembled.volumes.slice(0, MAX_VOLUMES)) {
    const { device } = volume;
    if (!Number.isSafeInteger(device.size)) throw new Error(`${volume.name} has ${device.size} bytes`);
    const length = Math.min(PIECE, device.size);
    for (const at of new Set([0, Math.floor((device.size - length) / 2), device.size - length])) {
      const data = await happened.attempt(() => device.read(at, length));
      if (data !== undefined && data.length !== length) throw new Error(`${data.length} bytes came, not ${length}`);
    }
    await happened.attempt(() => device.map?.(0, Math.min(device.size, MIB)));
    happened.note(volume.kind, String(volume.layout));
  }
  happened.note(`${assembled.volumes.length} and ${assembled.unread.length}`, ...log.findings.map(({ code }) => code));
  return happened.what;
}

/** Names of the first volumes in a group of everything that has metadata of its own in its extents, and where those lie. */
const EXTENT = 64 << 10;
const hidden = { status: '"READ"' };
const EVERYTHING = [
  lvText("thin", [[0, 8, 'type = "thin"\nthin_pool = "pool"\ndevice_id = 1']]),
  lvText("pool", [[0, 8, 'type = "thin-pool"\nmetadata = "meta"\npool = "data"\nchunk_size = 128']]),
  lvText("meta", [[0, 2, linear("pv0", 0)]], hidden),
  lvText("data", [[0, 4, linear("pv0", 2)]], hidden),
  lvText("snapshot0", [[0, 1, 'type = "snapshot"\nchunk_size = 1\norigin = "o"\ncow_store = "s"']]),
  lvText("o", [[0, 2, linear("pv0", 6)]]),
  lvText("s", [[0, 2, linear("pv0", 8)]], hidden),
  lvText("r", [
    [0, 2, 'type = "raid5"\ndevice_count = 3\nstripe_size = 8\nraids = ["m0", "d0", "m1", "d1", "m2", "d2"]'],
  ]),
  ...[0, 1, 2].flatMap((n) => [
    lvText(`m${n}`, [[0, 1, linear("pv0", 10 + n)]], hidden),
    lvText(`d${n}`, [[0, 1, linear("pv0", 13 + n)]], hidden),
  ]),
];

/** A physical volume with a pool, a store of a snapshot and the superblocks of a RAID in its extents. */
function everything(): Uint8Array {
  const data = buildPv({ text: vgText({ lvs: EVERYTHING }) });
  const at = (extent: number): number => (1 + extent) * EXTENT;
  const pool = metadata(
    superblock(),
    node(1, LEAF_NODE, [[1, 2n]]),
    node(2, INTERNAL_NODE, [
      [0, 3n],
      [5, 4n],
    ]),
    node(3, LEAF_NODE, [
      [0, to(2)],
      [1, to(0)],
    ]),
    node(4, LEAF_NODE, [[6, to(3)]]),
  );
  data.set(pool, at(0));
  data.set(
    store([
      [3, 2],
      [0, 3],
    ]),
    at(8),
  );
  for (const n of [0, 1, 2]) {
    data.set(new TextEncoder().encode("DmRd"), at(10 + n));
    data[at(10 + n) + 12] = n;
    data[at(10 + n) + 16] = 7;
  }
  return data;
}

const lvm2: Target = {
  name: "lvm2",
  dissect: dissectLvm,
  seeds: () => [
    // The other fixture has four times its size, and no structure more.
    ...fixtures("lvm")
      .filter(({ name }) => name === "order")
      .map(({ name, image }) => ({ name, bytes: image() })),
    { name: "everything", bytes: everything() },
  ],
  async exercise(data) {
    const disk = cachedDevice(bufferDevice(data), { budget: MIB });
    const members: VolumeMember[] = [{ name: "hd0", device: disk }];
    const happened = new Happened();
    const read = await happened.attempt(() => readPartitions(disk));
    for (const [index, { device }] of (read?.partitions ?? []).entries()) {
      if (device !== undefined) members.push({ name: `hd0,${index + 1}`, device });
    }
    return [...happened.what, ...(await exercise(members))];
  },
};

const SEGMENTS: Readonly<Record<string, string>> = {
  striped: 'type = "striped"\nstripe_count = 2\nstripe_size = 8\nstripes = [\n"pv0", 0,\n"pv0", 4\n]',
  mirror: 'type = "mirror"\nmirror_count = 2\nmirror_log = "log"\nregion_size = 1024\nmirrors = ["a", 0, "a", 0]',
  raid0: 'type = "raid0"\nstripe_count = 2\nstripe_size = 8\nraid0_lvs = ["a", "a"]',
  raid10: 'type = "raid10"\ndevice_count = 4\nstripe_size = 8\nraids = ["a", "a", "a", "a", "a", "a", "a", "a"]',
  cache: 'type = "cache"\ncache_pool = "a"\norigin = "a"\ncache_mode = "writeback"',
  integrity: 'type = "integrity"\norigin = "a"\ndata_sectors = 128',
  vdo: 'type = "vdo"\nvdo_pool = "a"\nvdo_offset = 0',
  error: 'type = "error"',
};

const metadataText: Target = {
  name: "lvm2-metadata",
  words: [
    "{\n",
    "}\n",
    "[",
    "]",
    '"',
    "\\",
    "#",
    ",",
    "= ",
    "segment1 {\n",
    "segment_count = ",
    "start_extent = ",
    "extent_count = ",
    "stripe_count = ",
    "stripes = [",
    'type = "striped"\n',
    'type = "thin-pool"\n',
    'type = "raid6"\n',
    "status = [",
    "flags = []\n",
    '"VISIBLE"',
    '"pv0"',
    "extent_size = ",
    "pe_start = ",
    "pe_count = ",
    "id = ",
    "physical_volumes {\n",
    "logical_volumes {\n",
    "9007199254740993",
    "-1",
  ],
  seeds: () => [
    { name: "everything", bytes: new TextEncoder().encode(vgText({ lvs: EVERYTHING })) },
    ...Object.entries(SEGMENTS).map(([name, body]) => ({
      name,
      bytes: new TextEncoder().encode(
        vgText({ lvs: [lvText("top", [[0, 2, body]]), lvText("a", [[0, 2, linear("pv0", 0)]], hidden)] }),
      ),
    })),
  ],
  exercise(data, variant) {
    const areaSize = 512 << 10;
    // Near the end of its ring a text wraps.
    const textAt = variant % 4 === 0 ? areaSize - 512 : 512;
    return exercise([{ name: "hd0", device: bufferDevice(buildPv({ text: data, areaSize, textAt })) }]);
  },
};

/** Each member of an array in a case has this many bytes, and they lie one behind the other. */
const MEMBER = 512 << 10;
const DATA = 64 << 10;

function array(fields: Parameters<typeof superblock1>[0], members: number): Uint8Array {
  const data = new Uint8Array(members * MEMBER);
  const roles = Array.from({ length: members }, (_, role) => role);
  const superOffset = Number(fields?.super_offset ?? 8) * 512;
  for (let n = 0; n < members; n += 1) {
    data.fill(n + 1, n * MEMBER + DATA, (n + 1) * MEMBER - DATA);
    const own = { dev_number: n, raid_disks: members, data_offset: 128, data_size: 768, size: 768, ...fields };
    data.set(superblock1(own, roles), n * MEMBER + superOffset);
  }
  return data;
}

function oldArray(little: boolean): Uint8Array {
  const data = new Uint8Array(2 * MEMBER);
  for (const n of [0, 1]) {
    data.set(superblock0({ size: 256, raid_disks: 2 }, n, little), (n + 1) * MEMBER - (64 << 10));
  }
  return data;
}

const md: Target = {
  name: "md",
  dissect: dissectMd,
  seeds: (): readonly Seed[] => [
    { name: "mirror 1.2", bytes: array({}, 2) },
    { name: "mirror 1.1", bytes: array({ super_offset: 0 }, 2) },
    { name: "mirror 1.0", bytes: array({ super_offset: (MEMBER - 8192) / 512 }, 2) },
    { name: "linear", bytes: array({ level: -1, size: 0 }, 2) },
    { name: "raid0", bytes: array({ level: 0, size: 0, chunksize: 8, layout: 1, feature_map: 0x1000 }, 3) },
    { name: "raid4", bytes: array({ level: 4, chunksize: 8 }, 3) },
    { name: "raid5", bytes: array({ level: 5, layout: 2, chunksize: 8 }, 3) },
    { name: "raid6", bytes: array({ level: 6, layout: 2, chunksize: 8 }, 4) },
    { name: "raid10", bytes: array({ level: 10, layout: 0x102, chunksize: 8 }, 4) },
    { name: "bad blocks", bytes: array({ feature_map: 8, bblog_size: 8, bblog_offset: 8, bblog_shift: 0 }, 2) },
    { name: "0.90", bytes: oldArray(true) },
    { name: "0.90, big-endian", bytes: oldArray(false) },
  ],
  exercise(data) {
    const members: VolumeMember[] = [];
    for (let at = 0; at < data.length; at += MEMBER) {
      members.push({ name: `hd${members.length}`, device: bufferDevice(data.subarray(at, at + MEMBER)) });
    }
    return exercise(members);
  },
};

export const MAPPED_TARGETS: readonly Target[] = [lvm2, metadataText, md];
