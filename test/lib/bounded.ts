import { type BlockDevice, bufferDevice, cachedDevice, countReads, FindingLog, isImageError } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { squashfs } from "@guestprobe/squashfs";
import { type FileSystemFormat, openFileSystem } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { expect } from "vitest";
import { type DrainOptions, drain } from "./drain.js";
import { stopwatch } from "./stopwatch.mjs";

const FORMATS: readonly FileSystemFormat[] = [ext, xfs, btrfs, squashfs];

/** What any input may take: milliseconds, and bytes. */
const MAX_MS = 5000;
const MAX_BYTES = 256 << 20;

/** Runs `work`, which ends in a value or an ImageError within the bounds; everything else fails the test. */
export async function bounded<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
  const spent = stopwatch();
  const peak = process.resourceUsage().maxRSS;
  let value: T | undefined;
  try {
    value = await work();
  } catch (error) {
    if (!isImageError(error)) throw new Error(what, { cause: error });
  }
  expect(spent(), what).toBeLessThan(MAX_MS);
  expect((process.resourceUsage().maxRSS - peak) * 1024, what).toBeLessThan(MAX_BYTES);
  return value;
}

/** How an image ended. */
export interface Outcome {
  /** Code of the error that no file system could be opened with; "none" where no format knows it. */
  readonly refused: string | undefined;
  readonly kind: string | undefined;
  readonly sound: number;
  /** Codes of the errors of files, and of the findings, each once, in order. */
  readonly errors: readonly string[];
  readonly findings: readonly string[];
  /** Calls that reached the device. */
  readonly reads: number;
}

/** Does with an image all that the readers can do with it. */
export async function outcomeOf(
  image: Uint8Array,
  options: DrainOptions = {},
  formats = FORMATS,
  below: BlockDevice = bufferDevice(image),
): Promise<Outcome> {
  const log = new FindingLog();
  const counted = countReads(below);
  const device = cachedDevice(counted, { budget: 8 << 20 });
  const unique = (codes: readonly string[]): readonly string[] => [...new Set(codes)].sort();
  const end = (more: Pick<Outcome, "refused" | "kind" | "sound" | "errors">): Outcome => ({
    ...more,
    findings: unique(log.findings.map(({ code }) => code)),
    reads: counted.stats.reads,
  });
  try {
    const fs = await openFileSystem(device, formats, { report: log.report, cacheBudget: 8 << 20 });
    if (fs === undefined) return end({ refused: "none", kind: undefined, sound: 0, errors: [] });
    const { sound, errors } = await drain(fs, options);
    return end({ refused: undefined, kind: fs.kind, sound, errors: unique(errors.map(({ code }) => code)) });
  } catch (error) {
    if (!isImageError(error)) throw error;
    return end({ refused: error.code, kind: undefined, sound: 0, errors: [] });
  }
}
