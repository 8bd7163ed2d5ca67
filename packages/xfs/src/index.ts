export { XFS_FEATURES2, XFS_INCOMPAT, XFS_RO_COMPAT, XFS_VERSION_FEATURES, xfsFeatureNames } from "./features.js";
export { XFS_FINDINGS } from "./findings.js";
export { xfs } from "./format.js";
export { decodeSuperblock, type RealtimeGroups, type Superblock } from "./superblock.js";
