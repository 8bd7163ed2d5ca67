/** The eight paths that decide how a Xen guest boots, in the order in which the host's loader tries them. */
export const BOOT_PROBE_PATHS: readonly string[] = [
  "/boot/xen/pvboot-x86_64.elf",
  "/boot/xen/pvboot-i386.elf",
  "/xen/pvboot-x86_64.elf",
  "/xen/pvboot-i386.elf",
  "/boot/grub/grub.cfg",
  "/boot/grub/menu.lst",
  "/grub/grub.cfg",
  "/grub/menu.lst",
];

interface DeviceName {
  readonly disk: string;
  readonly partitions: readonly { readonly map: string | undefined; readonly number: number }[];
}

/** "hd0,msdos1" in its parts. */
export function parseDeviceName(text: string): DeviceName | undefined {
  const match = /^([^,]+)(?:,([a-z]*)(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const partition = { map: match[2] || undefined, number: Number(match[3]) };
  return { disk: match[1]!, partitions: match[3] === undefined ? [] : [partition] };
}
