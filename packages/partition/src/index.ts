export { PARTITION_FINDINGS } from "./findings.js";
export { decodeGptHeader, type GptHeader } from "./gpt.js";
export { gptTypeName } from "./gpt-types.js";
export { decodeMbr, isExtendedType, type MbrEntry, type MbrSector } from "./mbr.js";
export { mbrTypeName } from "./mbr-types.js";
export { readPartitions } from "./read.js";
export type {
  Gap,
  Partition,
  PartitionOptions,
  Partitions,
  PartitionTable,
  PartitionType,
  TableKind,
  TableRole,
} from "./types.js";
