import type { Report } from "@guestprobe/block";

/** What a signature says that its device is for; blkid's words. `raid` covers every kind of member of a volume. */
export type SignatureUsage = "filesystem" | "raid" | "crypto" | "other";

/** Something recognised on a device by its superblock. */
export interface Signature {
  /** The name that blkid and the kernel have for it: "swap", "LVM2_member", "crypto_LUKS", "ntfs". */
  readonly kind: string;
  /** For people: "LVM2 physical volume". */
  readonly title: string;
  readonly usage: SignatureUsage;
  /** Bytes of the label, UTF-8 where the format is known to hold text in another encoding; empty where there is none. */
  readonly label: Uint8Array;
  /** As blkid prints it; undefined where the format or the volume has none. */
  readonly uuid: string | undefined;
  /** Of the format, as blkid prints it. */
  readonly version: string | undefined;
  /** Where what told it lies: bytes from the start of the device. */
  readonly offset: number;
  /** What does not hold although the magic is there: "the checksum does not match". */
  readonly problem: string | undefined;
}

export interface IdentifyOptions {
  /** Takes what could not be read. */
  readonly report?: Report;
  readonly signal?: AbortSignal;
}
