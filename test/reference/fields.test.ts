/**
 * Every fixture and every public image, with each field of its superblock and of its tables in turn at 0, 1, its
 * maximum, one more and one less, checksums made right; and cut at every sixteenth of its length. Each ends within the
 * bounds of `bounded`.
 */
import { bufferDevice } from "@guestprobe/block";
import { fat } from "@guestprobe/fat";
import { openImage } from "@guestprobe/image";
import { iso9660 } from "@guestprobe/iso9660";
import { readPartitions } from "@guestprobe/partition";
import type { FileSystemFormat } from "@guestprobe/vfs";
import { describe, expect, test } from "vitest";
import { dissectBtrfs } from "../fuzz/formats/btrfs.js";
import { dissectQcow2, dissectVdi, dissectVhd, dissectVhdx, dissectVmdk } from "../fuzz/formats/containers.js";
import { dissectExt } from "../fuzz/formats/ext.js";
import { dissectFat } from "../fuzz/formats/fat.js";
import { dissectIso9660 } from "../fuzz/formats/iso9660.js";
import { dissectPartitions } from "../fuzz/formats/partition.js";
import { dissectSquashfs } from "../fuzz/formats/squashfs.js";
import { dissectXfs } from "../fuzz/formats/xfs.js";
import { Patch } from "../fuzz/lib/patch.js";
import { type Dissect, edgeValues, fieldBytes, type Spot } from "../fuzz/lib/spots.js";
import { MAPPED_TARGETS } from "../fuzz/targets/mapped.js";
import { SIGNATURE_TARGETS } from "../fuzz/targets/signatures.js";
import { bounded, outcomeOf } from "../lib/bounded.js";
import { corpus } from "../lib/corpora.js";
import { fixtures } from "../lib/fixtures.js";
import { imageFixtures, unpackImage } from "../lib/image-fixtures.js";

/** What is looked at after each change: the root, what lies in it, the start of each file. */
const LOOK = { entries: 6, fileBytes: 4096 };
const TIMEOUT = { timeout: 900_000 };

type Exercise = (image: Uint8Array) => Promise<unknown>;

const asVolume: Exercise = (image) => outcomeOf(image, LOOK);
const as =
  (format: FileSystemFormat): Exercise =>
  (image) =>
    outcomeOf(image, LOOK, [format]);
const asContainer: Exercise = async (image) => {
  const { device } = await openImage(bufferDevice(image));
  await device.read(0, Math.min(device.size, 65_536));
  await device.map?.(0, Math.min(device.size, 16 << 20));
};
const asDisk: Exercise = (image) => readPartitions(bufferDevice(image));

interface Subject {
  readonly name: string;
  readonly bytes: () => Uint8Array;
  readonly dissect: Dissect;
  readonly exercise: Exercise;
}

const volumes = (folder: string, dissect: Dissect, exercise = asVolume): Subject[] =>
  fixtures(folder).map(({ name, image }) => ({ name: `${folder}/${name}`, bytes: image, dissect, exercise }));
/** Members of volumes and arrays, and signatures: what the fuzzer starts from, the fixtures among it. */
const SEEDS: readonly Subject[] = (
  await Promise.all(
    [...MAPPED_TARGETS, ...SIGNATURE_TARGETS].map(async ({ name, dissect, seeds, exercise }) =>
      dissect === undefined
        ? []
        : (
            await seeds()
          ).map((seed) => ({
            name: `${name}/${seed.name}`,
            bytes: () => seed.bytes.slice(),
            dissect,
            exercise: (image: Uint8Array) => exercise(image, 0),
          })),
    ),
  )
).flat();
const DISSECT: Readonly<Record<string, Dissect>> = {
  qcow2: dissectQcow2,
  vhd: dissectVhd,
  vhdx: dissectVhdx,
  vmdk: dissectVmdk,
  vdi: dissectVdi,
};
const FIXTURES: readonly Subject[] = [
  ...["ext", "ext-casefold", "ext-encrypted"].flatMap((folder) => volumes(folder, dissectExt)),
  ...volumes("xfs", dissectXfs),
  ...volumes("btrfs", dissectBtrfs),
  ...volumes("squashfs", dissectSquashfs),
  ...volumes("fat", dissectFat, as(fat)),
  ...volumes("iso9660", dissectIso9660, as(iso9660)),
  ...SEEDS,
  ...fixtures("partition").map(({ name, image }) => ({
    name: `partition/${name}`,
    bytes: image,
    dissect: dissectPartitions,
    exercise: asDisk,
  })),
  ...imageFixtures.flatMap(({ name, expected: { format } }) => {
    const dissect = DISSECT[format];
    return dissect === undefined
      ? []
      : [{ name: `image/${name}`, bytes: () => unpackImage(name), dissect, exercise: asContainer }];
  }),
];
const PUBLIC: readonly Subject[] = [
  ...corpus("ext").map((image) => ({ ...image, dissect: dissectExt, exercise: asVolume })),
  ...corpus("btrfs").map((image) => ({ ...image, dissect: dissectBtrfs, exercise: asVolume })),
];

/** Cut off inside the only superblock it has: there is no field to set, and it has to end all the same. */
const WITHOUT_FIELDS: ReadonlySet<string> = new Set(["btrfs/fuzz-bko-104141-fsck-exception.img.gz"]);

/** A field of each name once: a second directory entry is read by the same code as the first. */
function onePerName(spots: readonly Spot[]): readonly Spot[] {
  return [...new Map(spots.toReversed().map((spot) => [spot.name, spot])).values()];
}

async function sweep({ name, bytes, dissect, exercise }: Subject): Promise<number> {
  const patch = new Patch(bytes());
  const { spots, seals } = dissect(patch.image, 2);
  let cases = 0;
  for (const spot of onePerName(spots)) {
    for (const value of edgeValues(patch.image, spot)) {
      patch.write(spot.at, fieldBytes(spot, value));
      patch.reseal(seals);
      await bounded(`${name}: ${spot.name} at byte ${spot.at} = ${value}`, () => exercise(patch.image));
      patch.restore();
      cases += 1;
    }
  }
  return cases;
}

async function cut({ name, bytes, exercise }: Subject): Promise<void> {
  const whole = bytes();
  for (let part = 0; part < 16; part += 1) {
    const length = Math.floor((whole.length * part) / 16);
    await bounded(`${name}: cut to ${length} bytes`, () => exercise(whole.subarray(0, length)));
  }
}

describe("fixtures", () => {
  test.each(FIXTURES.map((subject) => [subject.name, subject] as const))(
    "%s: each field",
    TIMEOUT,
    async (_, subject) => {
      expect(await sweep(subject)).toBeGreaterThan(3);
    },
  );
  test.each(FIXTURES.map((subject) => [subject.name, subject] as const))("%s: cut", TIMEOUT, (_, subject) =>
    cut(subject),
  );
});

describe.skipIf(PUBLIC.length === 0)("public images", () => {
  test.each(PUBLIC.map((subject) => [subject.name, subject] as const))(
    "%s: each field, and cut",
    TIMEOUT,
    async (_, subject) => {
      const fields = await sweep(subject);
      if (!WITHOUT_FIELDS.has(subject.name)) expect(fields).toBeGreaterThan(3);
      await cut(subject);
    },
  );
});

test.runIf(PUBLIC.length === 0)("public images are absent", () => {
  console.warn("no images beside the repository: the fixtures alone were swept");
});
