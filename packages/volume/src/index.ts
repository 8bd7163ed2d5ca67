export { assembleVolumes } from "./assemble.js";
export { type EncryptedDevice, recogniseEncryption } from "./encryption.js";
export { VOLUME_FINDINGS } from "./findings.js";
export type { LogicalVolume, PhysicalVolume, VolumeGroup } from "./lvm2/metadata.js";
export type { Area, Segment, SegmentBody } from "./lvm2/segment.js";
export type {
  AssembledVolumes,
  AssembleOptions,
  LvmGroup,
  LvmMember,
  LvmVolume,
  MappedVolume,
  MdArray,
  VolumeMember,
} from "./types.js";
