/** squashfs: the committed volumes read as the kernel (unsquashfs, for lzma) showed them when they were made. */
import { bufferDevice, FindingLog, toHex } from "@guestprobe/block";
import { inlineDecompressor } from "@guestprobe/codec";
import { squashfs, squashfsWith } from "@guestprobe/squashfs";
import { resolve, walkAll } from "@guestprobe/vfs";
import { conformanceCases, type ExpectedVolume } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { probeBootPaths } from "./lib/boot-probe.js";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

type WithXattrs = ExpectedVolume & { readonly xattrs?: Record<string, Record<string, string>> };

for (const { name, expected, image } of fixtures("squashfs")) {
  describe(name, () => {
    test("conforms", async () => {
      const device = bufferDevice(image());
      const log = new FindingLog();
      const fs = await squashfs.open(device, { report: log.report });
      for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
      expect(log.findings).toEqual([]);
    });

    test("conforms with next to no cache, and through a decompressor of the caller's", async () => {
      const device = bufferDevice(image());
      const fs = await squashfsWith({ decompressor: inlineDecompressor }).open(device, { cacheBudget: 1 });
      for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
    });

    test("extended attributes are those of getfattr", async () => {
      const fs = await squashfs.open(bufferDevice(image()));
      for (const [path, wanted] of Object.entries((expected as WithXattrs).xattrs ?? {})) {
        const list = await (await resolve(fs, path, { followLast: false }))!.inode.xattrs();
        const got = Object.fromEntries(list.map((one) => [new TextDecoder().decode(one.name), toHex(one.value)]));
        expect(got, path).toEqual(wanted);
      }
    });

    test("each inode is found by its number", async () => {
      const fs = await squashfs.open(bufferDevice(image()));
      for await (const { inode } of walkAll(fs)) {
        expect((await fs.inode(inode!.stat.ino)).stat).toEqual(inode!.stat);
      }
    });

    test("the probe for eight boot paths costs at most 24 reads and 1 MiB", async () => {
      // Without `peek`, as a file is.
      const { read, size } = bufferDevice(image());
      const { hits, stats } = await probeBootPaths({ read, size }, squashfs);
      expect(hits).toEqual(["/boot/grub/grub.cfg"]);
      expect(stats.reads).toBeLessThanOrEqual(24);
      expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
    });
  });
}
