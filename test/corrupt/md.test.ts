/** md: a superblock of one member is made to lie; what must come of the array, and where it is said to be. */
import { bufferDevice, type CountedDevice, countReads, type Finding, isImageError } from "@guestprobe/block";
import { assembleMd } from "@guestprobe/volume";
import { describe, expect, test } from "vitest";
import { mdp_superblock_1 } from "../../packages/volume/src/md/layout.js";
import { type Fields0, type Fields1, superblock0, superblock1 } from "../lib/md-superblocks.js";

const MIB = 1 << 20;

/** A member of version 1.2: its superblock, and 1 MiB of data that begin at 1 MiB. */
function member1(fields: Fields1 = {}, roles?: readonly number[]): Uint8Array {
  const device = new Uint8Array(2 * MIB).fill(0x5a, MIB);
  device.set(superblock1(fields, roles), 4096);
  return device;
}
/** A member of version 0.90, with 1 MiB of data in front. */
function member0(fields: Fields0 = {}, number = 0): Uint8Array {
  const device = new Uint8Array(MIB + 65536).fill(0x5a, 0, MIB);
  device.set(superblock0(fields, number), MIB);
  return device;
}

async function assembled(...images: Uint8Array[]) {
  const devices: CountedDevice[] = images.map((image) => countReads(bufferDevice(image)));
  const members = devices.map((device, index) => ({ name: `m${index}`, device }));
  const findings: Finding[] = [];
  const { arrays, unread } = await assembleMd(members, { report: (finding) => findings.push(finding) });
  // However a superblock lies, looking for it costs no more than this.
  for (const { stats } of devices) expect(stats.bytes).toBeLessThan(256 << 10);
  return { arrays, unread, findings, codes: findings.map(({ code }) => code) };
}

const first = (images: Uint8Array) => images.subarray(MIB, MIB + 16);

describe("every field of one of two mirrors, at its ends and off by one", () => {
  const USUAL: Fields1 = { level: 1, size: 2048, raid_disks: 2, data_offset: 2048, super_offset: 8, events: 10n };
  const names = Object.keys(mdp_superblock_1.$fields) as (keyof Fields1)[];
  // Those of several bytes, and the checksum, have tests of their own.
  const FIELDS = names.filter((name) => !["set_uuid", "set_name", "device_uuid", "sb_csum"].includes(name));
  const sound = member1({ dev_number: 1 });
  for (const field of FIELDS) {
    test(field, async () => {
      const usual = BigInt((USUAL[field] as number | bigint | undefined) ?? 2);
      for (const value of [0n, 1n, -1n, 1n << 31n, usual - 1n, usual + 1n, 1n << 52n]) {
        const { arrays, findings, unread } = await assembled(member1({ [field]: value }), sound);
        // The sound member is enough, unless the other is believed and says that the array cannot be read.
        if (arrays.length === 0) expect(unread.map(({ error }) => error.code)).toEqual(["unsupported"]);
        for (const { device } of arrays) {
          const data = await device.read(0, 16).catch((error: unknown) => error);
          if (isImageError(data)) expect(findings, `${field} ${value}`).not.toEqual([]);
          // Each member has a data_offset of its own: one sector less is a place like any other.
          else if (field !== "data_offset") expect(data).toEqual(first(sound));
        }
      }
    });
  }
});

describe("lies that are told by name", () => {
  const other = { dev_number: 1 };
  test.each<[string, Fields1, string[]]>([
    ["2^31 members", { raid_disks: 2 ** 31 }, ["corrupt", "md-degraded"]],
    ["roles of 2^31 devices", { max_dev: 2 ** 31 }, ["corrupt", "md-degraded"]],
    ["data past the end", { data_offset: 4097 }, ["corrupt", "md-degraded"]],
    ["data that end past the end", { data_offset: 2049 }, ["md-member-short"]],
    ["another level", { level: 5, chunksize: 8 }, ["md-contradiction", "md-degraded"]],
    ["another size", { size: 2047 }, ["md-contradiction", "md-degraded"]],
    ["one more member", { raid_disks: 3 }, ["md-contradiction", "md-degraded"]],
    ["an older event", { events: 8n }, ["md-member-stale", "md-degraded"]],
    ["one event less, as a crash leaves it", { events: 9n }, []],
    ["the other's number", { dev_number: 1 }, ["md-duplicate", "md-degraded"]],
    ["a number that nobody has", { dev_number: 2 ** 31 }, ["md-degraded"]],
    ["a wrong checksum", { sb_csum: 7 }, ["md-bad-checksum", "md-degraded"]],
    ["being rebuilt", { feature_map: 2 }, ["md-rebuilding", "md-degraded"]],
  ])("%s", async (_, fields, codes) => {
    // The sound member comes first: of two that are equally new it is believed.
    const { arrays, codes: found } = await assembled(member1(other), member1(fields));
    expect(found.sort()).toEqual([...codes].sort());
    expect(arrays).toHaveLength(1);
    expect(await arrays[0]!.device.read(0, 16)).toEqual(first(member1()));
  });

  test("a member whose place is outside of the array", async () => {
    const { arrays, findings } = await assembled(member1(other), member1({}, [5, 1]));
    expect(findings.map(({ code, field }) => [code, field])).toContainEqual(["corrupt", "dev_roles"]);
    expect(arrays).toHaveLength(1);
  });

  test("with nothing better, a member whose checksum is wrong is read", async () => {
    const { arrays, codes } = await assembled(member1({ sb_csum: 7 }));
    expect(codes).toEqual(["md-bad-checksum", "md-degraded"]);
    expect(arrays).toHaveLength(1);
  });

  test("the place of a finding is the member and its byte", async () => {
    const { findings } = await assembled(member1(other), member1({ data_offset: 4097 }));
    expect(findings[0]).toMatchObject({
      code: "corrupt",
      device: "m1",
      structure: "mdp_superblock_1",
      field: "data_offset",
      offset: 4096 + 128,
    });
  });
});

describe("version 0.90", () => {
  test.each<[string, Fields0, string[]]>([
    ["2^31 members", { raid_disks: 2 ** 31 }, ["corrupt", "md-degraded"]],
    ["2^31 KiB of each", { size: 2 ** 31 }, ["corrupt", "md-degraded"]],
    ["another level", { level: 5, chunk_size: 4096 }, ["md-contradiction", "md-degraded"]],
    ["being reshaped, and older", { minor_version: 91, events: 3n }, ["md-member-stale", "md-degraded"]],
    ["a wrong checksum", { sb_csum: 7 }, ["md-bad-checksum", "md-degraded"]],
  ])("%s", async (_, fields, codes) => {
    const { arrays, codes: found } = await assembled(member0({}, 1), member0(fields));
    expect(found.sort()).toEqual([...codes].sort());
    expect(await arrays[0]!.device.read(0, 16)).toEqual(member0().subarray(0, 16));
  });

  test("a whole disk that ends where its last partition does is no second member", async () => {
    const part = member0();
    const disk = new Uint8Array(part.length + MIB);
    disk.set(part, MIB);
    const members = [
      { name: "xen/xvda", device: bufferDevice(disk) },
      { name: "xen/xvda,msdos1", device: bufferDevice(part) },
      { name: "xen/xvdb,msdos1", device: bufferDevice(member0({}, 1)) },
    ];
    const findings: Finding[] = [];
    const { arrays } = await assembleMd(members, { report: (finding) => findings.push(finding) });
    expect(findings).toEqual([]);
    expect(arrays.map((array) => array.members)).toEqual([["xen/xvda,msdos1", "xen/xvdb,msdos1"]]);
  });
});

describe("what belongs to no array of md", () => {
  test("metadata of Intel and of DDF are refused by name", async () => {
    const imsm = new Uint8Array(MIB);
    imsm.set(new TextEncoder().encode("Intel Raid ISM Cfg Sig. 1.3.00"), MIB - 1024);
    const ddf = new Uint8Array(MIB);
    ddf.set([0xde, 0x11, 0xde, 0x11], MIB - 512);
    const { arrays, unread } = await assembled(imsm, ddf);
    expect(arrays).toEqual([]);
    expect(unread.map(({ devices, error }) => [devices[0], error.code, error.offset])).toEqual([
      ["m0", "unsupported", MIB - 1024],
      ["m1", "unsupported", MIB - 512],
    ]);
  });
  test.each([0, 1, 511, 512, 1024, 4095, 4096, 8191, 65536])("a device of %i bytes", async (size) => {
    const { arrays, unread, findings } = await assembled(new Uint8Array(size));
    expect([arrays, unread, findings]).toEqual([[], [], []]);
  });
});
