import type { FindingKind } from "@guestprobe/block";
import { LVM_FINDINGS } from "./lvm2/findings.js";
import { MD_FINDINGS } from "./md/findings.js";

/** Every kind of finding that this package reports. */
export const VOLUME_FINDINGS: readonly FindingKind[] = [...LVM_FINDINGS, ...MD_FINDINGS];
