export { XFS_FEATURES2, XFS_INCOMPAT, XFS_RO_COMPAT, XFS_VERSION_FEATURES, xfsFeatureNames } from "./features.js";
export { xfs } from "./filesystem.js";
export { XFS_FINDINGS } from "./findings.js";
export { decodeSuperblock, type RealtimeGroups, type Superblock } from "./superblock.js";
