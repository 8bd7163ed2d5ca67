export {
  type DeviceName,
  type DevicePath,
  escapeDiskName,
  formatDeviceName,
  formatLegacyName,
  type PartitionName,
  parseDeviceName,
  parseLegacyName,
  splitDevicePath,
} from "./device-name.js";
export { diskByHandle, type GrubDevice, type GrubDisk, type GrubDiskMap, listDisk } from "./enumerate.js";
export { endsProbe, GRUB_ERRNO, type GrubError, grubErrorOf } from "./errno.js";
export { GRUB_SEARCH_FINDINGS } from "./findings.js";
export { btrfsGate } from "./gate/btrfs.js";
export { ext2Gate, GRUB_EXT2_FEATURES, GRUB_EXT2_VERSIONS, type GrubFeature } from "./gate/ext2.js";
export { fatGate } from "./gate/fat.js";
export { DRIVER_ORDER, GATES } from "./gate/index.js";
export { iso9660Gate } from "./gate/iso9660.js";
export {
  GRUB_SQUASH4_COMPRESSORS,
  GRUB_SQUASH4_VERSIONS,
  type GrubCompressor,
  squash4Gate,
} from "./gate/squash4.js";
export type { Gate, GateVerdict, InodeUse, OtherRoot } from "./gate/types.js";
export {
  GRUB_XFS_INCOMPAT,
  GRUB_XFS_VERSION_BITS,
  libfsimageReadsXfs,
  xfsGate,
} from "./gate/xfs.js";
export type { GrubMachineOptions, LostDevice } from "./machine.js";
export { type GrubMapped, grubMapped, type HiddenDisk } from "./mapped.js";
export type { MapPartition, MapResult } from "./partition-map.js";
export { type DriverClaim, probeDriver } from "./probe.js";
export {
  BOOT_PROBE_PATHS,
  GrubSearch,
  type HiddenHit,
  type SearchHit,
  type SearchQuery,
  type SearchResult,
  type UnknownAnswer,
} from "./search.js";
export { vbdHandle } from "./vbd.js";
export { DEFAULT_GRUB_VERSION, GRUB_VERSIONS, type GrubVersion, type GrubVersionId } from "./versions.js";
export type { Obstacle, OpenVolume, Volume, VolumePlace } from "./volume.js";
