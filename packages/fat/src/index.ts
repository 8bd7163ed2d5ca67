export { fat } from "./filesystem.js";
export { FAT_FINDINGS } from "./findings.js";
