import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { ImageFormat } from "@guestprobe/image";

const folder = fileURLToPath(new URL("../fixtures/image/", import.meta.url));

/** What qemu-img said of an image when the fixture was made. */
export interface ExpectedImage {
  readonly format: ImageFormat;
  readonly virtualSize: number;
  readonly clusterSize: number | null;
  readonly backing: string | null;
  /** Of the whole virtual disk. */
  readonly sha256: string;
  /** Start and length of what holds data; null where the tool has no map for the format. */
  readonly data: readonly (readonly [number, number])[] | null;
  readonly snapshot: { readonly name: string; readonly sha256: string } | null;
  /** Files beside the image that it names, those that they name among them. */
  readonly files: readonly string[];
}

/** The raw disk that all of them hold; some have a write on top. */
export const GUEST = "guest.img";

export function unpackImage(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(`${folder}${name}.gz`)));
}

/** Each NAME.json under test/fixtures/image, with NAME.gz beside it. */
export const imageFixtures: readonly { readonly name: string; readonly expected: ExpectedImage }[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => ({
    name: file.slice(0, -".json".length),
    expected: JSON.parse(readFileSync(folder + file, "utf8")) as ExpectedImage,
  }));
