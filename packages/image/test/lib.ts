import { type BlockDevice, bufferDevice, type Finding, isImageError } from "@guestprobe/block";
import { type DiskImage, type OpenImageOptions, openImage } from "@guestprobe/image";
import { expect } from "vitest";

/** Opens bytes in memory; findings are collected. */
export async function openBytes(
  data: Uint8Array,
  options: OpenImageOptions = {},
): Promise<{ image: DiskImage; findings: Finding[] }> {
  const findings: Finding[] = [];
  const image = await openImage(bufferDevice(data), { report: (entry) => findings.push(entry), ...options });
  return { image, findings };
}

export const readAll = (image: DiskImage): Promise<Uint8Array> => image.device.read(0, image.virtualSize);

/** The error that a promise rejects with; fails when it does not, or with something that is no ImageError. */
export async function failureOf(work: Promise<unknown>) {
  try {
    await work;
  } catch (error) {
    if (isImageError(error)) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

/** A resolver over files in memory, which keeps note of every name it is asked for. */
export function shelf(files: Readonly<Record<string, Uint8Array>> = {}) {
  const asked: string[] = [];
  const devices = new Map<string, BlockDevice>();
  for (const [name, data] of Object.entries(files)) devices.set(name, bufferDevice(data));
  const resolve: NonNullable<OpenImageOptions["resolve"]> = async (name, kind, depth) => {
    asked.push(`${depth} ${kind} ${name}`);
    return devices.get(name);
  };
  return { asked, resolve };
}

/** A disk of `size` bytes with pieces laid over zeros. */
export function disk(size: number, pieces: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const data = new Uint8Array(size);
  for (const [at, piece] of pieces) data.set(piece, at);
  return data;
}

/** Compares by bytes: a matcher would walk megabytes element by element. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  const shown = (data: Uint8Array): string => `0x${data[at]?.toString(16)} of ${data.length} bytes`;
  expect.fail(`byte ${at} is ${shown(actual)}, expected ${shown(expected)}`);
}
