import type { FindingKind } from "@guestprobe/block";

export const SIGNATURE_DAMAGED: FindingKind = {
  code: "signature-damaged",
  severity: "warning",
  title: "A superblock is recognised and something in it does not hold",
  explanation:
    "The magic of the format is there, and the checksum over the superblock does not match, or what it points to is not " +
    "there. The volume was damaged, or it was made anew as something else and this is what is left. The tools of the " +
    "format would refuse it, and `blkid` may not name it.",
  next: [
    "look at the bytes: `xxd -s OFFSET -l 512 IMAGE`",
    "compare with `blkid -p DEVICE` and `wipefs --no-act DEVICE`",
  ],
};

/** Every kind of finding that is about signatures. */
export const SIGNATURE_FINDINGS: readonly FindingKind[] = [SIGNATURE_DAMAGED];
