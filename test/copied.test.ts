/** Which content is only copied, so that nothing is gained by reading it ahead: that of plain files, on a device that blocks. */
import { type BlockDevice, bufferDevice } from "@guestprobe/block";
import { btrfs } from "@guestprobe/btrfs";
import { ext } from "@guestprobe/ext";
import { squashfs } from "@guestprobe/squashfs";
import { type FileSystemFormat, resolve } from "@guestprobe/vfs";
import { xfs } from "@guestprobe/xfs";
import { expect, test } from "vitest";
import { fixtures } from "./lib/fixtures.js";

const image = (format: string, name: string): Uint8Array =>
  fixtures(format)
    .find((fixture) => fixture.name === name)!
    .image();

/** What the inode says once some of it was read. */
async function afterRead(format: FileSystemFormat, device: BlockDevice, path: string): Promise<boolean | undefined> {
  const { inode } = (await resolve(await format.open(device), path))!;
  await inode.read(0, 1);
  return inode.isCopied;
}

test.each([
  ["ext", ext, "ext4-1k", "/boot/grub/grub.cfg", true],
  ["xfs", xfs, "v5-4k", "/attrs/acl", true],
  ["btrfs", btrfs, "lzo-zlib", "/unwritten", true],
  ["btrfs", btrfs, "lzo-zlib", "/etc/prose", false],
  ["squashfs", squashfs, "gzip", "/boot/grub/grub.cfg", undefined],
] as const)("%s", async (folder, format, name, path, isCopied) => {
  const device = bufferDevice(image(folder, name));
  expect(await afterRead(format, device, path)).toBe(isCopied);
  const waiting: BlockDevice = { size: device.size, read: (offset, length) => device.read(offset, length) };
  expect(await afterRead(format, waiting, path)).toBe(isCopied === undefined ? undefined : false);
});
