/** ext: public test images, most of them corrupt on purpose. They lie beside the repository, or the test says so. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, cachedDevice, countReads, FindingLog, isImageError } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { describe, expect, test } from "vitest";
import { corpus } from "../lib/corpora.js";
import { drain } from "../lib/drain.js";
import { run } from "../lib/kernel-view.mjs";
import { stopwatch } from "../lib/stopwatch.mjs";

const images = corpus("ext");
const MAX_MS = 2000;
/**
 * What e2fsck accepts and the kernel does not: a tree deeper than five, a value of no bytes in an inode that has
 * some.
 */
const KERNEL_REFUSES = ["ext/f_extent_too_deep.img.gz", "ext/f_ea_zero_size.img.gz"];

/** Whether e2fsck, which changes nothing here, finds nothing to complain about. */
function isClean(image: string): boolean {
  try {
    run("e2fsck", ["-fn", image]);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(images.length === 0)("public images end in a documented way", () => {
  for (const { name, bytes } of images) {
    for (const journal of ["ignore", "replay"] as const) {
      test(`${name}, journal ${journal}`, async () => {
        const data = bytes();
        const log = new FindingLog();
        const device = countReads(bufferDevice(data));
        const spent = stopwatch();
        try {
          const fs = await ext.open(cachedDevice(device), { journal, report: log.report });
          const { errors } = await drain(fs);
          for (const error of errors) expect(error.offset, error.message).toBeTypeOf("number");
          if (errors.length > 0 && !KERNEL_REFUSES.includes(name)) {
            const folder = mkdtempSync(join(tmpdir(), "guestprobe-corpora-"));
            writeFileSync(join(folder, "image"), data);
            const clean = isClean(join(folder, "image"));
            rmSync(folder, { recursive: true });
            expect(clean, errors.map(({ message }) => message).join("\n")).toBe(false);
          }
        } catch (error) {
          if (!isImageError(error)) throw error;
          expect(error.offset, error.message).toBeTypeOf("number");
        }
        expect(spent()).toBeLessThan(MAX_MS);
        for (const finding of log.findings) expect(finding.offset, finding.message).toBeTypeOf("number");
      });
    }
  }
});

test.runIf(images.length === 0)("public images are absent", () => {
  console.warn("no images beside the repository: this part of the suite did not run");
});
