import { checkFeatures, crc32cRaw, finding, ImageError, isPowerOfTwo, joinU64, untilNul } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import { type ChecksumSink, compareChecksums } from "./checksum.js";
import { EXT_INCOMPAT, type FeatureWords, INCOMPAT, RO_COMPAT } from "./features.js";
import { ODD_FIELD } from "./findings.js";
import {
  EXT2_FLAGS_UNSIGNED_HASH,
  EXT4_CRC32C_CHKSUM,
  EXT4_GOOD_OLD_FIRST_INO,
  EXT4_GOOD_OLD_INODE_SIZE,
  EXT4_SUPER_MAGIC,
  EXT4_SUPER_MAGIC_AT,
  ext4_super_block as sb,
} from "./layout.js";
import { corrupt, failure, placeOf } from "./place.js";

/** A superblock whose fields fit together. Counts are of what their names say; sizes are in bytes. */
export interface Superblock extends FeatureWords {
  /** Where this copy lies: bytes from the start of the device. */
  readonly offset: number;
  readonly blockSize: number;
  readonly blocksCount: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly groupCount: number;
  readonly inodesCount: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  readonly firstIno: number;
  /** Bytes of a cluster: the unit of allocation, a block unless bigalloc is set. */
  readonly clusterSize: number;
  readonly descSize: number;
  /** First group whose descriptors lie in the group itself, under meta_bg. */
  readonly firstMetaBg: number;
  /** Groups with a superblock copy, under sparse_super2. */
  readonly backupGroups: readonly number[];
  readonly state: number;
  readonly creatorOs: number;
  readonly uuid: Uint8Array;
  readonly label: Uint8Array;
  /** Four words, as the hash takes them; undefined where all are zero. */
  readonly hashSeed: Uint32Array | undefined;
  readonly defHashVersion: number;
  readonly unsignedHash: boolean;
  readonly encoding: number;
  /** Where CRC-32C of metadata starts; undefined without metadata_csum. */
  readonly csumSeed: number | undefined;
  /** Where the hash of an attribute value in an inode of its own starts, with or without metadata_csum. */
  readonly valueSeed: number;
  readonly journalInum: number;
  readonly journalDev: number;
  readonly journalUuid: Uint8Array;
}

const MAX_BLOCK_LOG = 6;
const MAX_CLUSTER_LOG = 20;
const MAX_DESC_SIZE = 1024;

/** Whether the magic of ext lies where it belongs; `data` holds a superblock or a part of one. */
export function hasMagic(data: Uint8Array): boolean {
  return (
    data.length >= EXT4_SUPER_MAGIC_AT + 2 && viewOf(data).getUint16(EXT4_SUPER_MAGIC_AT, true) === EXT4_SUPER_MAGIC
  );
}

/**
 * Checks and decodes a superblock.
 *
 * @param data 1024 bytes.
 * @param offset Where they lie on the device, in bytes.
 * @throws ImageError `not-this-format` without the magic, `unsupported` for a feature, `corrupt`, `bad-checksum`.
 */
export function decodeSuperblock(data: Uint8Array, offset: number, sink: ChecksumSink): Superblock {
  if (data.length < sb.$size) throw failure("not-this-format", "the device is too small for a superblock", offset);
  if (!hasMagic(data)) throw new ImageError("not-this-format", "no magic", placeOf(sb, "s_magic", offset));
  const view = viewOf(data);
  const bad = (field: keyof typeof sb.$fields, reason: string) => corrupt(sb, field, offset, `${field} is ${reason}`);
  const odd = (field: keyof typeof sb.$fields, reason: string) =>
    sink.report?.(finding(ODD_FIELD, `${field} is ${reason}`, placeOf(sb, field, offset)));

  const words: FeatureWords = {
    compat: sb.s_feature_compat(view, 0),
    incompat: sb.s_feature_incompat(view, 0),
    roCompat: sb.s_feature_ro_compat(view, 0),
  };
  const incompatible = offset + sb.$fields.s_feature_incompat.offset;
  checkFeatures("ext", "s_feature_incompat", words.incompat, EXT_INCOMPAT, incompatible);
  const has64bit = (words.incompat & INCOMPAT["64bit"]) !== 0;
  const hasChecksums = (words.roCompat & RO_COMPAT.metadata_csum) !== 0;
  const isBigalloc = (words.roCompat & RO_COMPAT.bigalloc) !== 0;
  if (hasChecksums) {
    const type = sb.s_checksum_type(view, 0);
    if (type !== EXT4_CRC32C_CHKSUM) {
      throw new ImageError("unsupported", `checksums of type ${type}`, placeOf(sb, "s_checksum_type", offset));
    }
    if (sink.checksums !== "ignore") {
      const computed = crc32cRaw(data.subarray(0, sb.$fields.s_checksum.offset), ~0);
      compareChecksums(sink, sb.s_checksum(view, 0), computed, "superblock", placeOf(sb, "s_checksum", offset));
    }
  }

  const revision = sb.s_rev_level(view, 0);
  if (revision > 1) odd("s_rev_level", `${revision}, read as 1`);
  if (revision === 0 && (words.compat | words.incompat | words.roCompat) !== 0) odd("s_rev_level", "0, with features");

  const blockLog = sb.s_log_block_size(view, 0);
  if (blockLog > MAX_BLOCK_LOG) throw bad("s_log_block_size", `${blockLog}, expected 0 to ${MAX_BLOCK_LOG}`);
  const blockSize = 1024 << blockLog;
  const clusterLog = sb.s_log_cluster_size(view, 0);
  if (isBigalloc && (clusterLog < blockLog || clusterLog > MAX_CLUSTER_LOG)) {
    throw bad("s_log_cluster_size", `${clusterLog}, expected ${blockLog} to ${MAX_CLUSTER_LOG}`);
  }
  if (!isBigalloc && clusterLog !== blockLog) odd("s_log_cluster_size", `${clusterLog}, expected ${blockLog}`);
  const clusterSize = isBigalloc ? 1024 * 2 ** clusterLog : blockSize;

  const blocksHigh = sb.s_blocks_count_hi(view, 0);
  if (!has64bit && blocksHigh !== 0) odd("s_blocks_count_hi", `${blocksHigh}, expected 0 without 64bit`);
  const blocksCount = joinU64(
    has64bit ? blocksHigh : 0,
    sb.s_blocks_count_lo(view, 0),
    placeOf(sb, "s_blocks_count_hi", offset),
  );
  if (!Number.isSafeInteger(blocksCount * blockSize))
    throw bad("s_blocks_count_hi", `${blocksHigh}: 2^53 bytes or more`);
  const firstDataBlock = sb.s_first_data_block(view, 0);
  if (firstDataBlock >= blocksCount) {
    throw bad("s_first_data_block", `${firstDataBlock}, past the end of ${blocksCount} blocks`);
  }
  const wantFirst = blockSize === 1024 && !isBigalloc ? 1 : 0;
  if (firstDataBlock !== wantFirst) odd("s_first_data_block", `${firstDataBlock}, expected ${wantFirst}`);

  const blocksPerGroup = sb.s_blocks_per_group(view, 0);
  const maxPerGroup = 8 * clusterSize;
  if (blocksPerGroup === 0 || blocksPerGroup > maxPerGroup * (clusterSize / blockSize)) {
    throw bad("s_blocks_per_group", `${blocksPerGroup}, expected 1 to ${maxPerGroup * (clusterSize / blockSize)}`);
  }
  const clustersPerGroup = sb.s_clusters_per_group(view, 0);
  const wantClusters = blocksPerGroup / (clusterSize / blockSize);
  if (revision !== 0 && clustersPerGroup !== wantClusters) {
    odd("s_clusters_per_group", `${clustersPerGroup}, expected ${wantClusters}`);
  }
  const groupCount = Math.ceil((blocksCount - firstDataBlock) / blocksPerGroup);

  const inodeSize = revision === 0 ? EXT4_GOOD_OLD_INODE_SIZE : sb.s_inode_size(view, 0);
  if (inodeSize < EXT4_GOOD_OLD_INODE_SIZE || inodeSize > blockSize || !isPowerOfTwo(inodeSize)) {
    throw bad("s_inode_size", `${inodeSize}, expected a power of two from 128 to ${blockSize}`);
  }
  const inodesPerGroup = sb.s_inodes_per_group(view, 0);
  if (inodesPerGroup < 1 || inodesPerGroup > 8 * blockSize) {
    throw bad("s_inodes_per_group", `${inodesPerGroup}, expected 1 to ${8 * blockSize}`);
  }
  const inodesCount = sb.s_inodes_count(view, 0);
  if (inodesCount < EXT4_GOOD_OLD_FIRST_INO) {
    throw bad("s_inodes_count", `${inodesCount}, expected at least ${EXT4_GOOD_OLD_FIRST_INO}`);
  }
  if (inodesCount !== groupCount * inodesPerGroup) {
    odd("s_inodes_count", `${inodesCount}, expected ${groupCount} groups of ${inodesPerGroup}`);
  }
  const firstIno = revision === 0 ? EXT4_GOOD_OLD_FIRST_INO : sb.s_first_ino(view, 0);
  if (firstIno < EXT4_GOOD_OLD_FIRST_INO || firstIno > inodesCount) odd("s_first_ino", `${firstIno}`);

  const descSize = has64bit ? sb.s_desc_size(view, 0) : 32;
  if (has64bit && (descSize < 64 || descSize > Math.min(MAX_DESC_SIZE, blockSize) || !isPowerOfTwo(descSize))) {
    throw bad("s_desc_size", `${descSize}, expected a power of two from 64 to ${Math.min(MAX_DESC_SIZE, blockSize)}`);
  }
  const reservedGdt = sb.s_reserved_gdt_blocks(view, 0);
  if (reservedGdt > blockSize / 4) odd("s_reserved_gdt_blocks", `${reservedGdt}, expected at most ${blockSize / 4}`);
  const firstMetaBg = sb.s_first_meta_bg(view, 0);
  const descBlocks = Math.ceil(groupCount / (blockSize / descSize));
  if ((words.incompat & INCOMPAT.meta_bg) !== 0 && firstMetaBg > descBlocks) {
    throw bad("s_first_meta_bg", `${firstMetaBg}, with ${descBlocks} descriptor blocks`);
  }

  const uuid = sb.s_uuid(view, 0).slice();
  const hasSeed = (words.incompat & INCOMPAT.metadata_csum_seed) !== 0;
  const seed = hasSeed ? sb.s_checksum_seed(view, 0) : crc32cRaw(uuid, ~0);
  const seedWords = new Uint32Array(4);
  const seedView = viewOf(sb.s_hash_seed(view, 0));
  for (let n = 0; n < 4; n += 1) seedWords[n] = seedView.getUint32(4 * n, true);
  // One literal: with keys spread into it V8 makes another kind of object each time, and soon knows none of them.
  return {
    compat: words.compat,
    incompat: words.incompat,
    roCompat: words.roCompat,
    offset,
    blockSize,
    blocksCount,
    firstDataBlock,
    blocksPerGroup,
    groupCount,
    // A count past the last group names inodes that no descriptor leads to.
    inodesCount: Math.min(inodesCount, groupCount * inodesPerGroup),
    inodesPerGroup,
    inodeSize,
    firstIno,
    clusterSize,
    descSize,
    firstMetaBg,
    backupGroups: [sb.s_backup_bgs_0(view, 0), sb.s_backup_bgs_1(view, 0)],
    state: sb.s_state(view, 0),
    creatorOs: sb.s_creator_os(view, 0),
    uuid,
    label: untilNul(sb.s_volume_name(view, 0)).slice(),
    hashSeed: seedWords.some((value) => value !== 0) ? seedWords : undefined,
    defHashVersion: sb.s_def_hash_version(view, 0),
    unsignedHash: (sb.s_flags(view, 0) & EXT2_FLAGS_UNSIGNED_HASH) !== 0,
    encoding: sb.s_encoding(view, 0),
    csumSeed: hasChecksums ? seed : undefined,
    valueSeed: seed,
    journalInum: sb.s_journal_inum(view, 0),
    journalDev: sb.s_journal_dev(view, 0),
    journalUuid: sb.s_journal_uuid(view, 0).slice(),
  };
}
