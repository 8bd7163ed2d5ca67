export { assembleVolumes } from "./assemble.js";
export { VOLUME_FINDINGS } from "./findings.js";
export type { LogicalVolume, PhysicalVolume, VolumeGroup } from "./lvm2/metadata.js";
export type { Area, Segment, SegmentBody } from "./lvm2/segment.js";
export { type AssembledMd, assembleMd } from "./md/assemble.js";
export { findMdMembers, type MdContainer, type MdScan } from "./md/scan.js";
export type { MdMember, MdRole, MdSuperblock, MdVersion } from "./md/types.js";
export type {
  AssembledVolumes,
  AssembleOptions,
  LvmGroup,
  LvmMember,
  LvmVolume,
  MappedVolume,
  MdArray,
  UnreadVolume,
  VolumeMember,
} from "./types.js";
