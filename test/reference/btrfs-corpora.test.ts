import { bufferDevice, FindingLog, isImageError } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { walkAll } from "@guestprobe/vfs";
import { describe, expect, it } from "vitest";
import { corpus } from "../lib/corpora.js";
import { stopwatch } from "../lib/stopwatch.mjs";

const images = corpus("btrfs");

/** Damage that Linux does not meet when it mounts and reads: these must be read without an error. */
const READABLE = /^btrfs\/(fsck-0(12|20|29|36|42|44|47|55|61)|misc-025)/;
/** The dump left the bytes of an inline extent out, and they are compressed: zeros are no LZO. */
const NO_INLINE_DATA = /inline_regular_coexist/;

describe.skipIf(images.length === 0)("images of other test suites", () => {
  for (const { name, bytes } of images) {
    it(name, async () => {
      const device = bufferDevice(bytes());
      for (const checksums of ["report", "ignore", "require"] as const) {
        const log = new FindingLog();
        const errors: string[] = [];
        const spent = stopwatch();
        let files = 0;
        try {
          const fs = await btrfs.open(device, { checksums, report: log.report });
          for await (const { inode, error } of walkAll(fs)) {
            files += 1;
            if (error !== undefined) errors.push(error.message);
            try {
              if (inode?.stat.type === "file") await inode.read(0, Math.min(inode.stat.size, 1 << 20));
              await inode?.xattrs();
            } catch (cause) {
              if (!isImageError(cause)) throw cause;
              errors.push(cause.message);
            }
          }
          await fs.subvolumes();
        } catch (cause) {
          if (!isImageError(cause)) throw cause;
          errors.push(cause.message);
        }
        expect(spent()).toBeLessThan(5000);
        if (READABLE.test(name) && checksums !== "require") {
          expect(errors).toEqual(NO_INLINE_DATA.test(name) ? [expect.stringContaining("lzo data of an extent")] : []);
          expect(files).toBeGreaterThan(0);
        }
      }
    });
  }
});
