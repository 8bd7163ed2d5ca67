import { createHash } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { KernelExcerpt, PayloadCache } from "@guestprobe/boot";
import { readOwn, storeOwn } from "./own-cache.js";

/** Kernels that are remembered; the oldest goes when there are more. Each takes some 30 KB. */
const MAX_KERNELS = 256;
const SUFFIX = ".kernel";

/** Remembers what was unpacked of kernels in a folder of the user's own, for later runs and other guests. */
export function kernelCache(folder: string): PayloadCache {
  // One kernel is often asked for and told in turn.
  let last: { readonly payload: Uint8Array; readonly place: string } | undefined;
  const placeOf = (payload: Uint8Array): string => {
    if (last?.payload !== payload) {
      const digest = createHash("sha256").update(payload).digest("hex");
      last = { payload, place: join(folder, `${digest}${SUFFIX}`) };
    }
    return last.place;
  };
  return {
    get: async (payload) => {
      const bytes = readOwn(placeOf(payload));
      return bytes === undefined ? undefined : decodeExcerpt(bytes.toString());
    },
    put: async (payload, excerpt) => {
      storeOwn(placeOf(payload), () => Buffer.from(encodeExcerpt(excerpt)));
      dropOldest(folder);
    },
  };
}

function encodeExcerpt({ size, length, pieces }: KernelExcerpt): string {
  const encoded = pieces.map(({ offset, bytes }) => [offset, Buffer.from(bytes).toString("base64")]);
  return JSON.stringify({ size, length, pieces: encoded });
}

/** Undefined for what is not whole. */
function decodeExcerpt(text: string): KernelExcerpt | undefined {
  try {
    const { size, length, pieces } = JSON.parse(text) as {
      readonly size: number;
      readonly length: number;
      readonly pieces: readonly (readonly [number, string])[];
    };
    const decoded = pieces.map(([offset, base64]) => ({ offset, bytes: Buffer.from(base64, "base64") }));
    return { size, length, pieces: decoded };
  } catch {
    return undefined;
  }
}

function dropOldest(folder: string): void {
  try {
    const places = readdirSync(folder)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => join(folder, name));
    if (places.length <= MAX_KERNELS) return;
    const aged = places.map((place) => ({ place, age: statSync(place).mtimeMs })).sort((a, b) => b.age - a.age);
    for (const { place } of aged.slice(MAX_KERNELS)) rmSync(place, { force: true });
  } catch {
    // Another run is at it; nothing depends on it.
  }
}
