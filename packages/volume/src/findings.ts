import type { FindingKind } from "@guestprobe/block";
import { MD_FINDINGS } from "./md/findings.js";

/** Every kind of finding that this package reports. */
export const VOLUME_FINDINGS: readonly FindingKind[] = [...MD_FINDINGS];
