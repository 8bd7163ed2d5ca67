/** FAT: the committed volumes, written by Linux's vfat, read as Linux showed them when they were made. */
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { fat } from "@guestprobe/fat";
import { resolve } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { probeBootPaths } from "./lib/boot-probe.js";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

for (const { name, expected, image } of fixtures("fat")) {
  describe(name, () => {
    test("conforms", { timeout: 60_000 }, async () => {
      const device = bufferDevice(image());
      const log = new FindingLog();
      const fs = await fat.open(device, { report: log.report });
      for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
      expect(log.findings).toEqual([]);
    });

    test("the type is told by the count of clusters", async () => {
      expect((await fat.open(bufferDevice(image()))).features).toEqual([name.toUpperCase()]);
    });

    test("names are found in any case, with dots at the end, and by their short form", async () => {
      const fs = await fat.open(bufferDevice(image()));
      const find = async (path: string) => (await resolve(fs, path))?.inode.stat.ino;
      const config = await find("/boot/grub/grub.cfg");
      expect(config).toBeDefined();
      for (const path of ["/BOOT/Grub/GRUB.CFG", "/boot./grub../grub.cfg...", "/boot/grub/grub.cfg"]) {
        expect(await find(path), path).toBe(config);
      }
      const long = await find("/Names/long name that shares its start two.txt");
      const short = ["/names/longna~2.txt", "/names/LONGNA~3.TXT", "/names/longna~4.txt"];
      expect(await Promise.all(short.map(find))).toContain(long);
      // Only ASCII letters are the same in both cases.
      expect(await find("/names/äöü umlaut.txt")).toBeUndefined();
      expect(await find("/names/ÄÖÜ UMLAUT.TXT")).toBeDefined();
    });

    test("the probe for eight boot paths costs at most 16 reads and 1 MiB", async () => {
      // Without `peek`, as a file is.
      const { read, size } = bufferDevice(image());
      const { hits, stats } = await probeBootPaths({ read, size }, fat);
      expect(hits).toEqual(["/boot/grub/grub.cfg"]);
      expect(stats.reads).toBeLessThanOrEqual(16);
      expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
    });
  });
}
