import { escapeDiskName, grubPartitionName } from "@guestprobe/grub";
import type { Partition } from "@guestprobe/partition";

/** GRUB's name of a partition of a disk: "xen/xvda,msdos1", "xen/xvda,msdos1,bsd5". */
export function partitionDevice(disk: string, partition: Partition): string {
  return `${escapeDiskName(disk)},${grubPartitionName(partition)}`;
}
