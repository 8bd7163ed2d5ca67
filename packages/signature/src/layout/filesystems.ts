/** Superblocks of file systems, as far as label and UUID need them. */
import { BE, bytes, LE, struct, u8, u16, u32, u64big } from "@guestprobe/block/struct";

/** ext2, ext3, ext4 and external journals of theirs, at byte 1024. Linux, ext4.h; little-endian. */
export const ext4_super_block = struct("ext4_super_block", 1024, LE, {
  s_magic: u16(0x38), // 0xef53
  s_minor_rev_level: u16(0x3e),
  s_rev_level: u32(0x4c),
  s_feature_compat: u32(0x5c),
  s_feature_incompat: u32(0x60),
  s_feature_ro_compat: u32(0x64),
  s_uuid: bytes(0x68, 16),
  s_volume_name: bytes(0x78, 16),
});

/** XFS. XFS Algorithms & Data Structures, 3rd ed., "Superblocks"; big-endian. */
export const xfs_sb = struct("xfs_sb", 264, BE, {
  sb_magicnum: u32(0x00), // "XFSB"
  sb_blocksize: u32(0x04),
  sb_uuid: bytes(0x20, 16),
  sb_agcount: u32(0x58),
  sb_sectsize: u16(0x66),
  sb_fname: bytes(0x6c, 12),
});
/** Header of a record in an XFS log; big-endian. */
export const xlog_rec_header = struct("xlog_rec_header", 512, BE, {
  h_magicno: u32(0x00), // 0xfeedbabe
  h_version: u32(0x08),
  h_len: u32(0x0c), // bytes
  h_fmt: u32(0x12c),
});

/** btrfs, at 64 KiB. Linux, btrfs_tree.h; little-endian. */
export const btrfs_super_block = struct("btrfs_super_block", 4096, LE, {
  fsid: bytes(0x20, 16),
  magic: bytes(0x40, 8), // "_BHRfS_M"
  label: bytes(0x12b, 256),
});

/** ReiserFS 3.5, 3.6 and with a relocated journal. Linux, reiserfs.h, `struct reiserfs_super_block`; little-endian. */
export const reiserfs_super_block = struct("reiserfs_super_block", 204, LE, {
  s_journal_block: u32(0x0c),
  s_blocksize: u16(0x2c),
  s_magic: bytes(0x34, 10),
  s_uuid: bytes(0x54, 16),
  s_label: bytes(0x64, 16),
});
/** Reiser4 master superblock, at 64 KiB; little-endian. */
export const reiser4_master_sb = struct("reiser4_master_sb", 52, LE, {
  magic: bytes(0x00, 16), // "ReIsEr4"
  uuid: bytes(0x14, 16),
  label: bytes(0x24, 16),
});

/** JFS, at 32 KiB. Linux, jfs_superblock.h; little-endian. */
export const jfs_superblock = struct("jfs_superblock", 184, LE, {
  s_magic: bytes(0x00, 4), // "JFS1"
  s_bsize: u32(0x10), // bytes
  s_l2bsize: u16(0x14),
  s_l2bfactor: u16(0x16),
  s_pbsize: u32(0x18), // bytes
  s_l2pbsize: u16(0x1c),
  s_uuid: bytes(0x88, 16),
  s_label: bytes(0x98, 16),
});

/** F2FS, at byte 1024. Linux, f2fs_fs.h; little-endian. */
export const f2fs_super_block = struct("f2fs_super_block", 3072, LE, {
  magic: u32(0x00), // 0xf2f52010
  major_ver: u16(0x04),
  minor_ver: u16(0x06),
  checksum_offset: u32(0x20), // bytes; 0: none
  uuid: bytes(0x6c, 16),
  volume_name: bytes(0x7c, 1024), // UTF-16LE
});

/** EROFS, at byte 1024. Linux, erofs_fs.h; little-endian. */
export const erofs_super_block = struct("erofs_super_block", 128, LE, {
  magic: u32(0x00), // 0xe0f5e1e2
  checksum: u32(0x04),
  feature_compat: u32(0x08), // bit 0: the checksum counts
  blkszbits: u8(0x0c),
  uuid: bytes(0x30, 16),
  volume_name: bytes(0x40, 16),
});

/** NILFS2, at byte 1024, and a copy near the end of the device. Linux, nilfs2_ondisk.h; little-endian. */
export const nilfs_super_block = struct("nilfs_super_block", 1024, LE, {
  s_rev_level: u32(0x00),
  s_magic: u16(0x06), // 0x3434
  s_bytes: u16(0x08), // that the checksum covers
  s_crc_seed: u32(0x0c),
  s_sum: u32(0x10),
  s_dev_size: u64big(0x20), // bytes
  s_last_cno: u64big(0x38),
  s_uuid: bytes(0x98, 16),
  s_volume_name: bytes(0xa8, 80),
});

/** GFS and GFS2, at 64 KiB. Linux, gfs2_ondisk.h, `struct gfs2_sb`; big-endian. */
export const gfs2_sb = struct("gfs2_sb", 288, BE, {
  mh_magic: u32(0x00), // 0x01161970
  sb_fs_format: u32(0x18),
  sb_multihost_format: u32(0x1c),
  sb_locktable: bytes(0xa0, 64),
  sb_uuid: bytes(0x100, 16),
});

/** OCFS2, in block 2. Linux, ocfs2_fs.h, `struct ocfs2_dinode` with its superblock; little-endian. */
export const ocfs2_super_block = struct("ocfs2_super_block", 512, LE, {
  i_signature: bytes(0x00, 6), // "OCFSV2"
  s_major_rev_level: u16(0xc0),
  s_minor_rev_level: u16(0xc2),
  s_label: bytes(0x110, 64),
  s_uuid: bytes(0x150, 16),
});

/** minix 1 and 2, at byte 1024. Linux, minix_fs.h; in the writer's byte order, this is the little-endian one. */
export const minix_super_block_le = struct("minix_super_block", 32, LE, {
  s_ninodes: u16(0x00),
  s_nzones: u16(0x02),
  s_imap_blocks: u16(0x04),
  s_zmap_blocks: u16(0x06),
  s_firstdatazone: u16(0x08),
  s_log_zone_size: u16(0x0a),
  s_magic: u16(0x10),
  s_zones: u32(0x14),
});
/** The big-endian one. */
export const minix_super_block_be = struct("minix_super_block", 32, BE, {
  s_ninodes: u16(0x00),
  s_nzones: u16(0x02),
  s_imap_blocks: u16(0x04),
  s_zmap_blocks: u16(0x06),
  s_firstdatazone: u16(0x08),
  s_log_zone_size: u16(0x0a),
  s_magic: u16(0x10),
  s_zones: u32(0x14),
});
/** minix 3; little-endian. */
export const minix3_super_block = struct("minix3_super_block", 64, LE, {
  s_ninodes: u32(0x00),
  s_imap_blocks: u16(0x06),
  s_zmap_blocks: u16(0x08),
  s_firstdatazone: u16(0x0a),
  s_log_zone_size: u16(0x0c),
  s_zones: u32(0x14),
  s_magic: u16(0x18), // 0x4d5a
  s_blocksize: u16(0x1c),
});

export const romfs_super_block = struct("romfs_super_block", 32, BE, {
  magic: bytes(0x00, 8), // "-rom1fs-"
  name: bytes(0x10, 16), // may go on past these bytes
});
export const cramfs_super = struct("cramfs_super", 64, LE, {
  magic: u32(0x00), // 0x28cd3d45, in the writer's byte order
  name: bytes(0x30, 16),
});
/** squashfs, every version: the version lies alike in all. */
export const squashfs_super_block = struct("squashfs_super_block", 96, LE, {
  s_magic: bytes(0x00, 4), // "hsqs"; "sqsh" in big-endian ones
  s_major: u16(0x1c),
  s_minor: u16(0x1e),
});
/** UBIFS superblock node. Linux, ubifs-media.h; little-endian. */
export const ubifs_sb_node = struct("ubifs_sb_node", 4096, LE, {
  magic: u32(0x00), // 0x06101831
  node_type: u8(0x14), // 6
  fmt_version: u32(0x50),
  uuid: bytes(0x6c, 16),
  ro_compat_version: u32(0x7c),
});

/** UFS 1 and 2. FreeBSD, sys/ufs/ffs/fs.h, `struct fs`; in the writer's byte order, this is the little-endian one. */
export const ufs_fs_le = struct("fs", 1376, LE, {
  fs_id_0: u32(0x90),
  fs_id_1: u32(0x94),
  fs_volname: bytes(0x2a8, 32), // UFS2 only
  fs_magic: u32(0x55c),
});
/** The big-endian one. */
export const ufs_fs_be = struct("fs", 1376, BE, {
  fs_id_0: u32(0x90),
  fs_id_1: u32(0x94),
  fs_volname: bytes(0x2a8, 32),
  fs_magic: u32(0x55c),
});

/** APFS container superblock. Apple File System Reference, `nx_superblock_t`; little-endian. */
export const nx_superblock = struct("nx_superblock_t", 4096, LE, {
  o_cksum: u64big(0x00), // Fletcher-64 of what follows
  o_type: u32(0x18),
  o_subtype: u32(0x1c),
  nx_magic: u32(0x20), // "NXSB"
  nx_block_size: u32(0x24),
  nx_uuid: bytes(0x48, 16),
});

/** HPFS boot sector, with label and serial number. */
export const hpfs_boot_block = struct("hpfs_boot_block", 512, LE, {
  sig_28h: u8(0x26),
  vol_serno: u32(0x27),
  vol_label: bytes(0x2b, 11),
  sig_hpfs: bytes(0x36, 4), // "HPFS"
  magic: u16(0x1fe), // 0xaa55
});
export const hpfs_super_block = struct("hpfs_super_block", 16, LE, { magic: u32(0x00), version: u8(0x08) });
export const hpfs_spare_block = struct("hpfs_spare_block", 8, LE, { magic: u32(0x00) });

/** VMFS, 2 MiB in; little-endian. */
export const vmfs_fs_info = struct("vmfs_fs_info", 256, LE, {
  magic: u32(0x00), // 0x2fabf15e
  version: u8(0x08),
  uuid: bytes(0x09, 16),
  label: bytes(0x1d, 128),
});
