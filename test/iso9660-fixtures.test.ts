/** ISO 9660: the committed volumes read as Linux showed them when they were made. */
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { isIso9660, iso9660 } from "@guestprobe/iso9660";
import { resolve } from "@guestprobe/vfs";
import { conformanceCases } from "@guestprobe/vfs/conformance";
import { describe, expect, test } from "vitest";
import { probeBootPaths } from "./lib/boot-probe.js";
import { fixtures } from "./lib/fixtures.js";
import { sha256 } from "./lib/sha256.js";

const SCHEMES: Record<string, string> = {
  plain: "plain",
  level3: "plain",
  joliet: "joliet",
  rr: "rock-ridge",
  both: "rock-ridge",
  xrr: "rock-ridge",
  xboth: "rock-ridge",
};

for (const { name, expected, image } of fixtures("iso9660")) {
  describe(name, () => {
    test("conforms", { timeout: 60_000 }, async () => {
      const device = bufferDevice(image());
      const log = new FindingLog();
      const fs = await iso9660.open(device, { report: log.report });
      for (const one of conformanceCases(expected, { devices: [device], sha256 })) await one.run(fs);
      expect(log.findings).toEqual([]);
    });

    test("Rock Ridge before Joliet before plain names", async () => {
      const fs = await iso9660.open(bufferDevice(image()));
      expect(isIso9660(fs) && fs.scheme).toBe(SCHEMES[name]);
    });

    test("case counts but under Joliet", async () => {
      const fs = await iso9660.open(bufferDevice(image()));
      const isThere = async (path: string) => (await resolve(fs, path)) !== undefined;
      expect(await isThere("/boot/grub/grub.cfg")).toBe(true);
      expect(await isThere("/BOOT/grub/grub.CFG")).toBe(name === "joliet");
      expect(await isThere("/boot/grub/grub.cfg..")).toBe(name === "joliet");
    });

    test("the probe for eight boot paths costs at most 16 reads and 1 MiB", async () => {
      // Without `peek`, as a file is.
      const { read, size } = bufferDevice(image());
      const { hits, stats } = await probeBootPaths({ read, size }, iso9660);
      expect(hits).toEqual(["/boot/grub/grub.cfg"]);
      expect(stats.reads).toBeLessThanOrEqual(16);
      expect(stats.bytes).toBeLessThanOrEqual(1 << 20);
    });
  });
}

test("El Torito: the entries that were asked for, and the bytes of their files", async () => {
  const { image } = fixtures("iso9660").find(({ name }) => name === "xboth")!;
  const device = bufferDevice(image());
  const fs = await iso9660.open(device);
  if (!isIso9660(fs)) throw new Error("no ISO 9660 volume");
  const entries = await fs.bootEntries();
  expect(entries.map(({ platform, bootable, emulation }) => [platform, bootable, emulation])).toEqual([
    ["x86", true, "none"],
    ["efi", true, "none"],
  ]);
  for (const [n, path] of ["/boot/vmlinuz", "/EFI/BOOT/BOOTX64.EFI"].entries()) {
    const { inode } = (await resolve(fs, path))!;
    // -boot-info-table was not asked for: the image is the file as it is.
    expect(await device.read(entries[n]!.offset, 512)).toEqual(await inode.read(0, 512));
  }
});
