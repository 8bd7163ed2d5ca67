import { crc32, crc32c, hasBit, isPowerOfTwo } from "@guestprobe/block";
import {
  btrfs_super_block,
  erofs_super_block,
  ext4_super_block,
  f2fs_super_block,
  gfs2_sb,
  jfs_superblock,
  nilfs_super_block,
  ocfs2_super_block,
  reiser4_master_sb,
  reiserfs_super_block,
  xfs_sb,
  xlog_rec_header,
} from "./layout/filesystems.js";
import { bch_sb } from "./layout/members.js";
import { checksumProblem, type Found, labelOf, labelOfUtf16, type SignatureRow, uuidOf } from "./row.js";
import type { Window } from "./window.js";

const SUPER_AT = 0x400;
const AT_64K = 0x1_0000;

/** What ext2 and ext3 know; a volume with anything else is ext4. Linux, ext2.h and ext3.h. */
const EXT_COMPAT_HAS_JOURNAL = 0x4;
const EXT_INCOMPAT_RECOVER = 0x4;
const EXT_INCOMPAT_JOURNAL_DEV = 0x8;
const EXT2_INCOMPAT = 0x12; // filetype, meta_bg
const EXT2_RO_COMPAT = 0x7; // sparse_super, large_file, btree_dir

type ExtKind = "ext2" | "ext3" | "ext4" | "jbd";

function extKind(view: DataView): ExtKind {
  const incompat = ext4_super_block.s_feature_incompat(view, 0);
  const roCompat = ext4_super_block.s_feature_ro_compat(view, 0);
  const hasJournal = hasBit(ext4_super_block.s_feature_compat(view, 0), EXT_COMPAT_HAS_JOURNAL);
  if (hasBit(incompat, EXT_INCOMPAT_JOURNAL_DEV)) return "jbd";
  if ((roCompat & ~EXT2_RO_COMPAT) !== 0 || (incompat & ~(EXT2_INCOMPAT | EXT_INCOMPAT_RECOVER)) !== 0) return "ext4";
  return hasJournal ? "ext3" : "ext2";
}

function extRow(kind: ExtKind, title: string, usage: "filesystem" | "other"): SignatureRow {
  return {
    kind,
    title,
    usage,
    source: "Linux, fs/ext4/ext4.h",
    magics: [{ at: SUPER_AT + 0x38, is: "\x53\xef" }],
    decode(window, at) {
      const view = window.view(SUPER_AT, ext4_super_block.$size);
      if (view === undefined || extKind(view) !== kind) return undefined;
      return {
        offset: at,
        label: labelOf(ext4_super_block.s_volume_name(view, 0)),
        uuid: uuidOf(ext4_super_block.s_uuid(view, 0)),
        version: `${ext4_super_block.s_rev_level(view, 0)}.${ext4_super_block.s_minor_rev_level(view, 0)}`,
      };
    },
  };
}

/** In the first 64 KiB: a record of the usual 32 KiB begins there, wherever the log has wrapped to. */
const XLOG_SECTORS = 128;

function decodeXfsLog(window: Window): Found | undefined {
  if (window.view(0, 4)?.getUint32(0) === XFS_MAGIC) return undefined;
  for (let sector = 0; sector < XLOG_SECTORS; sector += 1) {
    const view = window.view(sector * 512, xlog_rec_header.$size);
    if (view === undefined || xlog_rec_header.h_magicno(view, 0) !== XLOG_MAGIC) continue;
    const version = xlog_rec_header.h_version(view, 0);
    const length = xlog_rec_header.h_len(view, 0);
    const format = xlog_rec_header.h_fmt(view, 0);
    if (version < 1 || version > 3 || length === 0 || length > 0x7fff_ffff || format < 1 || format > 3) continue;
    return { offset: sector * 512 };
  }
  return undefined;
}
const XFS_MAGIC = 0x58465342;
const XLOG_MAGIC = 0xfeedbabe;

/** In blkid's order up to the optical formats. */
export const LINUX_ROWS: readonly SignatureRow[] = [
  {
    kind: "xfs",
    title: "XFS file system",
    usage: "filesystem",
    source: "XFS Algorithms & Data Structures, 3rd edition",
    magics: [{ at: 0, is: "XFSB" }],
    decode(window) {
      const view = window.view(0, xfs_sb.$size);
      if (view === undefined || xfs_sb.sb_agcount(view, 0) === 0) return undefined;
      if (!isPowerOfTwo(xfs_sb.sb_blocksize(view, 0)) || !isPowerOfTwo(xfs_sb.sb_sectsize(view, 0))) return undefined;
      return { offset: 0, label: labelOf(xfs_sb.sb_fname(view, 0)), uuid: uuidOf(xfs_sb.sb_uuid(view, 0)) };
    },
  },
  {
    kind: "xfs_external_log",
    title: "external log of an XFS file system",
    usage: "other",
    source: "XFS Algorithms & Data Structures, 3rd edition, Journaling Log",
    decode: decodeXfsLog,
  },
  extRow("ext4", "ext4 file system", "filesystem"),
  extRow("ext3", "ext3 file system", "filesystem"),
  extRow("ext2", "ext2 file system", "filesystem"),
  extRow("jbd", "external journal of an ext file system", "other"),
  ...[
    { at: 0x2034, is: "ReIsErFs" },
    { at: AT_64K + 0x34, is: "ReIsEr2Fs" },
    { at: AT_64K + 0x34, is: "ReIsEr3Fs" },
    { at: AT_64K + 0x34, is: "ReIsErFs" },
  ].map(
    ({ at, is }): SignatureRow => ({
      kind: "reiserfs",
      title: "ReiserFS file system",
      usage: "filesystem",
      source: "Linux, fs/reiserfs/reiserfs.h",
      minSize: 0x2_0000,
      magics: [{ at, is }],
      decode(window) {
        const start = at - 0x34;
        const view = window.view(start, reiserfs_super_block.$size);
        if (view === undefined) return undefined;
        const blockSize = reiserfs_super_block.s_blocksize(view, 0);
        // Inside the journal, it is a copy of one; a relocated journal is elsewhere.
        const isCopy = is !== "ReIsEr3Fs" && start / blockSize > reiserfs_super_block.s_journal_block(view, 0);
        if (blockSize < 512 || isCopy) return undefined;
        if (is === "ReIsErFs") return { offset: at, version: "3.5" };
        return {
          offset: at,
          version: is === "ReIsEr2Fs" ? "3.6" : "JR",
          label: labelOf(reiserfs_super_block.s_label(view, 0)),
          uuid: uuidOf(reiserfs_super_block.s_uuid(view, 0)),
        };
      },
    }),
  ),
  {
    kind: "reiser4",
    title: "Reiser4 file system",
    usage: "filesystem",
    source: "Reiser4, master superblock",
    minSize: 0x2_0000,
    magics: [{ at: AT_64K, is: "ReIsEr4" }],
    decode(window, at) {
      const view = window.view(at, reiser4_master_sb.$size);
      if (view === undefined) return undefined;
      return {
        offset: at,
        version: "4",
        label: labelOf(reiser4_master_sb.label(view, 0)),
        uuid: uuidOf(reiser4_master_sb.uuid(view, 0)),
      };
    },
  },
  {
    kind: "jfs",
    title: "JFS file system",
    usage: "filesystem",
    source: "Linux, fs/jfs/jfs_superblock.h",
    minSize: 0x100_0000,
    magics: [{ at: 0x8000, is: "JFS1" }],
    decode(window, at) {
      const view = window.view(at, jfs_superblock.$size);
      if (view === undefined) return undefined;
      const l2bsize = jfs_superblock.s_l2bsize(view, 0);
      const l2pbsize = jfs_superblock.s_l2pbsize(view, 0);
      if (jfs_superblock.s_bsize(view, 0) !== 2 ** l2bsize) return undefined;
      if (jfs_superblock.s_pbsize(view, 0) !== 2 ** l2pbsize) return undefined;
      if (l2bsize - l2pbsize !== jfs_superblock.s_l2bfactor(view, 0)) return undefined;
      return {
        offset: at,
        label: labelOf(jfs_superblock.s_label(view, 0)),
        uuid: uuidOf(jfs_superblock.s_uuid(view, 0)),
      };
    },
  },
];

function decodeNilfs(window: Window): Found | undefined {
  const copies = [SUPER_AT, Math.floor(window.size / 512) * 512 - 0x1000].flatMap((offset) => {
    const found = nilfsCopy(window, offset);
    return found === undefined ? [] : [found];
  });
  // The newer of the sound ones; the first when they are alike.
  copies.sort((a, b) => (a.checkpoint === b.checkpoint ? 0 : a.checkpoint < b.checkpoint ? 1 : -1));
  return copies[0]?.found;
}

function nilfsCopy(window: Window, offset: number): { checkpoint: bigint; found: Found } | undefined {
  const view = offset < 0 ? undefined : window.view(offset, nilfs_super_block.$size);
  if (view === undefined || nilfs_super_block.s_magic(view, 0) !== 0x3434) return undefined;
  if (nilfs_super_block.s_dev_size(view, 0) !== BigInt(window.size)) return undefined;
  const { offset: sumAt } = nilfs_super_block.$fields.s_sum;
  const length = nilfs_super_block.s_bytes(view, 0);
  if (length <= sumAt + 4 || length > nilfs_super_block.$size) return undefined;
  const data = Uint8Array.from(window.bytes(offset, length)!);
  data.fill(0, sumAt, sumAt + 4);
  // The bare register, from a stored seed.
  const sum = ~crc32(data, ~nilfs_super_block.s_crc_seed(view, 0)) >>> 0;
  if (sum !== nilfs_super_block.s_sum(view, 0)) return undefined;
  return {
    checkpoint: nilfs_super_block.s_last_cno(view, 0),
    found: {
      offset,
      version: String(nilfs_super_block.s_rev_level(view, 0)),
      label: labelOf(nilfs_super_block.s_volume_name(view, 0)),
      uuid: uuidOf(nilfs_super_block.s_uuid(view, 0)),
    },
  };
}

/** The checksum of F2FS: a bare CRC-32 register that starts from the magic. */
const F2FS_MAGIC = 0xf2f52010;

function decodeF2fs(window: Window, at: number): Found | undefined {
  const view = window.view(at, f2fs_super_block.$size);
  if (view === undefined) return undefined;
  const [major, minor] = [f2fs_super_block.major_ver(view, 0), f2fs_super_block.minor_ver(view, 0)];
  // Nothing more is known of the layout of 1.0.
  if (major === 1 && minor === 0) return { offset: at };
  const sumAt = f2fs_super_block.checksum_offset(view, 0);
  const covered = sumAt === 0 || sumAt + 4 > 0x1000 ? undefined : window.bytes(at, sumAt + 4);
  const matches =
    covered === undefined ||
    ~crc32(covered.subarray(0, sumAt), ~F2FS_MAGIC) >>> 0 === window.view(at + sumAt, 4)!.getUint32(0, true);
  return {
    offset: at,
    version: `${major}.${minor}`,
    label: labelOfUtf16(f2fs_super_block.volume_name(view, 0), "utf-16le"),
    uuid: uuidOf(f2fs_super_block.uuid(view, 0)),
    ...checksumProblem(matches),
  };
}

const EROFS_COMPAT_SB_CHKSUM = 0x1;

function decodeErofs(window: Window, at: number): Found | undefined {
  const view = window.view(at, erofs_super_block.$size);
  if (view === undefined) return undefined;
  const bits = erofs_super_block.blkszbits(view, 0);
  if (bits < 9 || bits > 16) return undefined;
  const covered =
    hasBit(erofs_super_block.feature_compat(view, 0), EROFS_COMPAT_SB_CHKSUM) && 2 ** bits > at
      ? window.bytes(at, 2 ** bits - at)
      : undefined;
  let matches = true;
  if (covered !== undefined) {
    const data = Uint8Array.from(covered);
    data.fill(0, 4, 8);
    matches = ~crc32c(data) >>> 0 === erofs_super_block.checksum(view, 0);
  }
  return {
    offset: at,
    label: labelOf(erofs_super_block.volume_name(view, 0)),
    uuid: uuidOf(erofs_super_block.uuid(view, 0)),
    ...checksumProblem(matches),
  };
}

function gfsRow(kind: "gfs" | "gfs2", first: number, last: number, multihost: number): SignatureRow {
  return {
    kind,
    title: `${kind.toUpperCase()} file system`,
    usage: "filesystem",
    source: "Linux, include/uapi/linux/gfs2_ondisk.h",
    minSize: 0x200_0000,
    magics: [{ at: AT_64K, is: "\x01\x16\x19\x70" }],
    decode(window, at) {
      const view = window.view(at, gfs2_sb.$size);
      if (view === undefined) return undefined;
      const format = gfs2_sb.sb_fs_format(view, 0);
      if (format < first || format > last || gfs2_sb.sb_multihost_format(view, 0) !== multihost) return undefined;
      return {
        offset: at,
        label: labelOf(gfs2_sb.sb_locktable(view, 0)),
        uuid: uuidOf(gfs2_sb.sb_uuid(view, 0)),
        ...(kind === "gfs2" ? { version: "1" } : {}),
      };
    },
  };
}

/** Those that blkid comes to late. */
export const LATE_LINUX_ROWS: readonly SignatureRow[] = [
  gfsRow("gfs", 1309, 1309, 1401),
  gfsRow("gfs2", 1801, 1899, 1900),
  {
    kind: "ocfs2",
    title: "OCFS2 file system",
    usage: "filesystem",
    source: "Linux, fs/ocfs2/ocfs2_fs.h",
    minSize: 14_000 << 10,
    // Block 2, for blocks of 512 to 4096 bytes.
    magics: [0x400, 0x800, 0x1000, 0x2000].map((at) => ({ at, is: "OCFSV2" })),
    decode(window, at) {
      const view = window.view(at, ocfs2_super_block.$size);
      if (view === undefined) return undefined;
      return {
        offset: at,
        label: labelOf(ocfs2_super_block.s_label(view, 0)),
        uuid: uuidOf(ocfs2_super_block.s_uuid(view, 0)),
        version: `${ocfs2_super_block.s_major_rev_level(view, 0)}.${ocfs2_super_block.s_minor_rev_level(view, 0)}`,
      };
    },
  },
  {
    kind: "btrfs",
    title: "btrfs file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/btrfs_tree.h",
    minSize: 0x1_1000,
    magics: [{ at: AT_64K + 0x40, is: "_BHRfS_M" }],
    decode(window, at) {
      const view = window.view(AT_64K, btrfs_super_block.$size);
      if (view === undefined) return undefined;
      return {
        offset: at,
        label: labelOf(btrfs_super_block.label(view, 0)),
        uuid: uuidOf(btrfs_super_block.fsid(view, 0)),
      };
    },
  },
  {
    kind: "bcachefs",
    title: "bcachefs file system",
    usage: "filesystem",
    source: "Linux, fs/bcachefs/bcachefs_format.h",
    magics: [{ at: 0x1018, is: "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef" }],
    decode(window, at) {
      const view = window.view(at - 0x18, bch_sb.$size);
      if (view === undefined) return undefined;
      return {
        offset: at,
        label: labelOf(bch_sb.label(view, 0)),
        uuid: uuidOf(bch_sb.user_uuid(view, 0)),
        version: String(bch_sb.version(view, 0)),
      };
    },
  },
  {
    kind: "nilfs2",
    title: "NILFS2 file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/nilfs2_ondisk.h",
    minSize: 0x10_0000,
    decode: decodeNilfs,
  },
  {
    kind: "f2fs",
    title: "F2FS file system",
    usage: "filesystem",
    source: "Linux, include/linux/f2fs_fs.h",
    magics: [{ at: SUPER_AT, is: "\x10\x20\xf5\xf2" }],
    decode: decodeF2fs,
  },
  {
    kind: "erofs",
    title: "EROFS file system",
    usage: "filesystem",
    source: "Linux, fs/erofs/erofs_fs.h",
    magics: [{ at: SUPER_AT, is: "\xe2\xe1\xf5\xe0" }],
    decode: decodeErofs,
  },
  {
    kind: "zonefs",
    title: "zonefs file system",
    usage: "filesystem",
    source: "Linux, fs/zonefs/zonefs.h",
    magics: [{ at: 0, is: "SFOZ" }],
    decode(window) {
      const uuid = window.bytes(0x24, 16);
      return uuid && { offset: 0, uuid: uuidOf(uuid), label: labelOf(window.bytes(0x08, 28)!) };
    },
  },
];
