/** What differs between the GRUB builds that a host may run. */
export interface GrubVersion {
  readonly id: GrubVersionId;
  /** For people. */
  readonly title: string;
  /**
   * Names of partitions inside partitions ("msdos1,bsd1"). `open`: they work. `listed`: they are visited by `search`, and
   * opening them fails: since the fixes of February 2025 (kern/partition.c, grub_partition_probe) nothing may follow the
   * first partition number.
   */
  readonly nestedNames: "open" | "listed";
  /** What `--no-floppy` does at a floppy: goes on with the next device, or, as 2.06 does, ends the search there. */
  readonly noFloppy: "skip" | "stop";
}

export type GrubVersionId = "debian-2.06" | "2.12" | "redhat-2.12";

export const GRUB_VERSIONS: { readonly [Id in GrubVersionId]: GrubVersion } = {
  "debian-2.06": {
    id: "debian-2.06",
    title: "GRUB 2.06 as in Debian 12 (2.06-13+deb12u2)",
    nestedNames: "listed",
    noFloppy: "stop",
  },
  "2.12": { id: "2.12", title: "GRUB 2.12 as released", nestedNames: "open", noFloppy: "skip" },
  "redhat-2.12": {
    id: "redhat-2.12",
    title: "GRUB 2.12 as in Fedora and Red Hat, January 2026",
    nestedNames: "listed",
    noFloppy: "skip",
  },
};
export const DEFAULT_GRUB_VERSION = GRUB_VERSIONS["debian-2.06"];
