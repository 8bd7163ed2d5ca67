/** Every reader in a page that has no Node: the committed volumes and containers read as they do here. */
import type { ExpectedVolume } from "@guestprobe/vfs/conformance";
import { beforeAll, describe, expect, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";
import { GUEST, imageFixtures, unpackImage } from "./lib/image-fixtures.js";
import { runInPage } from "./lib/page.js";
import { sha256 } from "./lib/sha256.js";

const PAGE = `
import { blobDevice, cachedDevice } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { fat } from "@guestprobe/fat";
import { openImage } from "@guestprobe/image";
import { iso9660 } from "@guestprobe/iso9660";
import { squashfs } from "@guestprobe/squashfs";
import { openFileSystem } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { xfs } from "@guestprobe/xfs";

const FORMATS = [ext, xfs, btrfs, squashfs, iso9660, fat];

globalThis.readVolume = async (blob, expected, sha256) => {
  const device = cachedDevice(blobDevice(blob));
  const fs = await openFileSystem(device, FORMATS, { verify: true });
  const cases = conformanceCases(JSON.parse(expected), { devices: [device], sha256 });
  for (const one of cases) await one.run(fs);
  return cases.length;
};
globalThis.readImage = async (blob, files, sha256) => {
  const { device } = await openImage(blobDevice(blob), {
    resolve: async (name) => (files[name] === undefined ? undefined : blobDevice(files[name])),
  });
  async function* pieces() {
    for (let at = 0; at < device.size; at += 333_333) yield device.read(at, Math.min(333_333, device.size - at));
  }
  return sha256(pieces());
};
`;

interface Page {
  readVolume(blob: Blob, expected: string, hash: typeof sha256): Promise<number>;
  readImage(blob: Blob, files: Record<string, Blob>, hash: typeof sha256): Promise<string>;
}

let page: Page;
beforeAll(async () => {
  page = (await runInPage(PAGE)) as unknown as Page;
}, 60_000);
const blobOf = (data: Uint8Array): Blob => new Blob([data as Uint8Array<ArrayBuffer>]);

const volumes = ["ext", "xfs", "btrfs", "squashfs", "fat", "iso9660"].flatMap((format) =>
  fixtures(format).map((fixture) => [`${format}/${fixture.name}`, fixture] as const),
);

describe("volumes", () => {
  test.each(volumes)("%s", { timeout: 60_000 }, async (_, { image, expected }) => {
    const answer = page.readVolume(blobOf(image()), JSON.stringify(expected satisfies ExpectedVolume), sha256);
    expect(await answer).toBeGreaterThan(5);
  });
});

describe("containers", () => {
  test.each(imageFixtures.map(({ name, expected }) => [name, expected] as const))("%s", async (name, expected) => {
    const files = Object.fromEntries([...expected.files, GUEST].map((file) => [file, blobOf(unpackImage(file))]));
    expect(await page.readImage(blobOf(unpackImage(name)), files, sha256)).toBe(expected.sha256);
  });
});
