import { ImageError } from "@guestprobe/block";
import { describe, expect, test } from "vitest";
import type { GuestVolume } from "../src/guest.js";
import { resolveReference } from "../src/references.js";

const volume = (device: string, more: Partial<GuestVolume> = {}): GuestVolume => ({
  device,
  fs: "ext4",
  features: [],
  uuid: undefined,
  label: undefined,
  partUuid: undefined,
  dirty: false,
  hidden: undefined,
  error: undefined,
  read: async () => undefined,
  ...more,
});
const disk = volume("xen/xvda,msdos1");
const root = volume("lvm/my--vg-root", { linuxNames: ["/dev/mapper/my--vg-root", "/dev/my-vg/root"] });
const array = volume("md/0", { linuxNames: ["/dev/md0", "/dev/md/0"] });

describe("names that Linux gives to logical volumes and arrays", () => {
  test.each([
    ["/dev/mapper/my--vg-root", "lvm/my--vg-root"],
    ["/dev/my-vg/root", "lvm/my--vg-root"],
    ["/dev/md0", "md/0"],
    ["/dev/md/0", "md/0"],
    ["/dev/xvda1", "xen/xvda,msdos1"],
  ])("%s", (spec, device) => {
    expect(resolveReference(spec, [disk, array, root])).toEqual({ spec, device, known: true });
  });

  test.each([
    // Groups were put together, and none has it.
    ["/dev/mapper/my--vg-home", [disk, root], true],
    ["/dev/my-vg/home", [disk, root], true],
    // It may be behind LUKS, or in a group of which nothing was given.
    ["/dev/mapper/crypt", [disk], false],
    ["/dev/vg/root", [disk, volume("xen/xvdb", { error: new ImageError("encrypted", "LUKS") })], false],
    ["/dev/mapper/crypt", [root, volume("xen/xvdb", { error: new ImageError("encrypted", "LUKS") })], false],
    ["/dev/md127", [disk, array], false],
  ])("%s is nobody's: known %#", (spec, volumes, known) => {
    expect(resolveReference(spec, volumes)).toEqual({ spec, device: undefined, known });
  });
});
