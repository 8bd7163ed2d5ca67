export { type SquashfsOptions, squashfs, squashfsWith } from "./filesystem.js";
export { SQUASHFS_FINDINGS } from "./findings.js";
