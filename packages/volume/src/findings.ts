import type { FindingKind } from "@guestprobe/block";

/** Every kind of finding that this package reports. */
export const VOLUME_FINDINGS: readonly FindingKind[] = [];
