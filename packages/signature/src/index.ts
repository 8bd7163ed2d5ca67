export { SIGNATURE_DAMAGED, SIGNATURE_FINDINGS } from "./findings.js";
export { identify } from "./identify.js";
export type { Found, Magic, ReadMore, SignatureRow } from "./row.js";
export { SIGNATURES } from "./table.js";
export type { IdentifyOptions, Signature, SignatureUsage } from "./types.js";
export { type Window, wantedRegions } from "./window.js";
