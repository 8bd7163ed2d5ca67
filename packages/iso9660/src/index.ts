export type { BootEntry } from "./el-torito.js";
export { type IsoFileSystem, isIso9660, iso9660 } from "./filesystem.js";
export { ISO9660_FINDINGS } from "./findings.js";
export type { NameScheme } from "./volume.js";
