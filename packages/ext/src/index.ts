export { EXT_COMPAT, EXT_INCOMPAT, EXT_RO_COMPAT } from "./features.js";
export { verifyBitmaps } from "./filesystem.js";
export { EXT_FINDINGS } from "./findings.js";
export { ext } from "./format.js";
