import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { checkDocument } from "./schema.js";

const scratch = mkdtempSync(join(tmpdir(), "guestprobe-firmware-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const root = fileURLToPath(new URL("../../../../test/fixtures/", import.meta.url));

function unpack(fixture: string): string {
  const file = join(scratch, fixture.replaceAll("/", "-"));
  writeFileSync(file, gunzipSync(readFileSync(`${root}${fixture}.img.gz`)));
  return file;
}

interface Disk {
  readonly efiLoaders?: readonly { path: string }[];
  readonly bootEntries?: readonly {
    platform: string;
    bootable: boolean;
    emulation: string;
    start: number;
    bytes: number;
  }[];
}
async function diskOf(file: string): Promise<Disk> {
  const { out } = await guestprobe(["inspect", "--json", file]);
  return (checkDocument(out) as { disks: Disk[] }).disks[0]!;
}

const TITLE = "For firmware, not for GRUB under Xen:";

test.each(["fat12", "fat16", "fat32"])("a loader below /EFI on %s, in the text and in the document", async (name) => {
  const file = unpack(`fat/${name}`);
  const { out } = await guestprobe(["inspect", file]);
  expect(out).toContain(`\n${TITLE}\n  (xen/xvda)/EFI/BOOT/BOOTX64.EFI\n`);
  const { efiLoaders, bootEntries } = await diskOf(file);
  expect(efiLoaders).toEqual([{ path: "/EFI/BOOT/BOOTX64.EFI" }]);
  expect(bootEntries).toBeUndefined();
});

test("the entries of El Torito: what they point to is what xorriso was told to boot", async () => {
  const file = unpack("iso9660/xboth");
  const { bootEntries = [] } = await diskOf(file);
  // -boot-load-size 4, in sectors of 512 bytes; the EFI image is counted in whole blocks of 2048.
  expect(bootEntries).toMatchObject([
    { platform: "x86", bootable: true, emulation: "none", bytes: 4 * 512 },
    { platform: "efi", bootable: true, emulation: "none", bytes: 3 * 2048 },
  ]);
  const image = readFileSync(file);
  for (const [index, path] of ["/boot/vmlinuz", "/EFI/BOOT/BOOTX64.EFI"].entries()) {
    const { start, bytes } = bootEntries[index]!;
    const { stdout } = await guestprobe(["cat", file, path]);
    const length = Math.min(stdout.length, bytes);
    expect(length).toBeGreaterThan(2000);
    expect(image.subarray(start, start + length).equals(stdout.subarray(0, length)), path).toBe(true);
  }
  const { out } = await guestprobe(["inspect", file]);
  const lines = bootEntries.map(({ platform, bytes, start }) => {
    return `  (xen/xvda) El Torito, ${platform}: ${bytes} bytes at byte ${start}\n`;
  });
  expect(out).toContain(`\n${TITLE}\n${lines.join("")}`);
});

test("where firmware finds nothing, there is no such section", async () => {
  const { out } = await guestprobe(["inspect", unpack("iso9660/plain")]);
  expect(out).not.toContain(TITLE);
  expect(await diskOf(unpack("iso9660/plain"))).not.toHaveProperty("bootEntries");
});

test("a catalogue that leads past the disc costs the section alone, with a finding", async () => {
  const file = unpack("iso9660/xboth");
  const image = readFileSync(file);
  // The boot record's pointer to the catalogue; ISO 9660 has the boot record behind the primary descriptor.
  const record = image.indexOf("\0CD001\x01EL TORITO", 0x8800, "latin1");
  expect(record).toBeGreaterThan(0);
  image.writeUInt32LE(0xffff_fff0, record + 0x47);
  writeFileSync(file, image);
  const { code, out, err } = await guestprobe(["inspect", file]);
  expect(out).toContain("iso9660");
  expect(out).not.toContain(TITLE);
  expect(err).toContain("iso-bad-boot-catalogue");
  expect(code).toBe(0);
});

test("a hostile loader's name is escaped", async () => {
  const file = unpack("fat/fat12");
  const image = readFileSync(file);
  // The short name; a control byte is none that FAT allows, and nobody keeps it from being there.
  const at = image.indexOf("BOOTX64 EFI", 0, "latin1");
  expect(at).toBeGreaterThan(0);
  image.writeUInt8(0x1b, at + 4);
  writeFileSync(file, image);
  const { out } = await guestprobe(["inspect", file]);
  expect(out).not.toContain("\u001b");
});
