import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { ExpectedVolume } from "@guestprobe/vfs/conformance";

const root = fileURLToPath(new URL("../fixtures/", import.meta.url));

export interface Fixture {
  readonly name: string;
  readonly expected: ExpectedVolume;
  /** The image, unpacked anew at each call, so that a test may damage its copy. */
  image(): Uint8Array;
}

/** Each pair of CASE.img.gz and CASE.json under test/fixtures/FORMAT. No list to keep: a pair that lies there is run. */
export function fixtures(format: string): readonly Fixture[] {
  const folder = `${root}${format}/`;
  return readdirSync(folder)
    .filter((file) => file.endsWith(".img.gz"))
    .map((file) => file.slice(0, -".img.gz".length))
    .map((name) => ({
      name,
      expected: JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as ExpectedVolume,
      image: () => new Uint8Array(gunzipSync(readFileSync(`${folder}${name}.img.gz`))),
    }));
}
