import { escapeDiskName } from "@guestprobe/grub";
import type { Partition } from "@guestprobe/partition";

/** GRUB's name of a partition of a disk: "xen/xvda,msdos1". */
export function partitionDevice(disk: string, partition: Partition): string {
  return `${escapeDiskName(disk)},${partition.table === "gpt" ? "gpt" : "msdos"}${partition.number}`;
}
