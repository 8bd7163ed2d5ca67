import { decodeText, toHex } from "@guestprobe/block";
import {
  cramfs_super,
  hpfs_boot_block,
  hpfs_spare_block,
  hpfs_super_block,
  minix_super_block_be,
  minix_super_block_le,
  minix3_super_block,
  nx_superblock,
  romfs_super_block,
  squashfs_super_block,
  ubifs_sb_node,
  ufs_fs_be,
  ufs_fs_le,
  vmfs_fs_info,
} from "./layout/filesystems.js";
import { checksumProblem, type Found, labelOf, type SignatureRow, serialOf, uuidOf } from "./row.js";
import type { Window } from "./window.js";

/** In the order in which the kernel of FreeBSD looks. */
const UFS_PLACES = [0, 0x2000, 0x1_0000, 0x4_0000];
const UFS2_MAGIC = 0x19540119;
/** UFS1: BSD's own; with features; with long names; secure; above 4 GB. */
const UFS1_MAGICS = [0x00011954, 0x00195612, 0x00095014, 0x00612195, 0x05231994];

function decodeUfs(window: Window): Found | undefined {
  for (const at of UFS_PLACES) {
    const view = window.view(at, ufs_fs_le.$size);
    if (view === undefined) continue;
    for (const fs of [ufs_fs_le, ufs_fs_be]) {
      const magic = fs.fs_magic(view, 0);
      if (magic !== UFS2_MAGIC && !UFS1_MAGICS.includes(magic)) continue;
      const id = [fs.fs_id_0(view, 0), fs.fs_id_1(view, 0)].map((word) => word.toString(16).padStart(8, "0")).join("");
      return {
        offset: at + fs.$fields.fs_magic.offset,
        version: magic === UFS2_MAGIC ? "2" : "1",
        uuid: /^0+$/.test(id) ? undefined : id,
        ...(magic === UFS2_MAGIC ? { label: labelOf(fs.fs_volname(view, 0)) } : {}),
      };
    }
  }
  return undefined;
}

const MINIX_1 = [0x137f, 0x138f];
const MINIX_2 = [0x2468, 0x2478];
const MINIX_3 = 0x4d5a;
const EXT_MAGIC = 0xef53;

function decodeMinix(window: Window): Found | undefined {
  const view = window.view(0x400, minix3_super_block.$size);
  // The fields of an ext superblock can look like one of minix.
  if (view === undefined || view.getUint16(0x38, true) === EXT_MAGIC) return undefined;
  for (const sb of [minix_super_block_le, minix_super_block_be]) {
    const magic = sb.s_magic(view, 0);
    const version = MINIX_1.includes(magic) ? 1 : MINIX_2.includes(magic) ? 2 : undefined;
    if (version === undefined) continue;
    const isSound = minixMapsFit({
      inodes: sb.s_ninodes(view, 0),
      zones: version === 1 ? sb.s_nzones(view, 0) : sb.s_zones(view, 0),
      inodeMap: sb.s_imap_blocks(view, 0),
      zoneMap: sb.s_zmap_blocks(view, 0),
      firstZone: sb.s_firstdatazone(view, 0),
      logZoneSize: sb.s_log_zone_size(view, 0),
      blockSize: 1024,
    });
    return isSound ? { offset: 0x410, version: String(version) } : undefined;
  }
  const blockSize = minix3_super_block.s_blocksize(view, 0);
  if (minix3_super_block.s_magic(view, 0) !== MINIX_3 || blockSize < 1024) return undefined;
  const isSound = minixMapsFit({
    inodes: minix3_super_block.s_ninodes(view, 0),
    zones: minix3_super_block.s_zones(view, 0),
    inodeMap: minix3_super_block.s_imap_blocks(view, 0),
    zoneMap: minix3_super_block.s_zmap_blocks(view, 0),
    firstZone: minix3_super_block.s_firstdatazone(view, 0),
    logZoneSize: minix3_super_block.s_log_zone_size(view, 0),
    blockSize,
  });
  return isSound ? { offset: 0x418, version: "3" } : undefined;
}

/** The magic has two bytes, so the bitmaps must have room for what they count. */
function minixMapsFit(sb: {
  readonly inodes: number;
  readonly zones: number;
  readonly inodeMap: number;
  readonly zoneMap: number;
  readonly firstZone: number;
  readonly logZoneSize: number;
  readonly blockSize: number;
}): boolean {
  return (
    sb.inodes > 0 &&
    sb.logZoneSize === 0 &&
    sb.firstZone <= sb.zones &&
    sb.inodeMap * sb.blockSize * 8 >= sb.inodes + 1 &&
    sb.zoneMap * sb.blockSize * 8 >= sb.zones - sb.firstZone + 1
  );
}

/** Fletcher-64 as APFS computes it. Apple File System Reference, "Object Checksum". */
function fletcher64(data: DataView, from: number): bigint {
  const modulus = 0xffff_ffffn;
  let [low, high] = [0n, 0n];
  for (let at = from; at + 4 <= data.byteLength; at += 4) {
    low = (low + BigInt(data.getUint32(at, true))) % modulus;
    high = (high + low) % modulus;
  }
  const check = modulus - ((low + high) % modulus);
  return ((modulus - ((low + check) % modulus)) << 32n) | check;
}

function decodeApfs(window: Window): Found | undefined {
  const view = window.view(0, nx_superblock.$size);
  if (view === undefined || (nx_superblock.o_type(view, 0) & 0xffff) !== 1) return undefined;
  if (nx_superblock.o_subtype(view, 0) !== 0 || nx_superblock.nx_block_size(view, 0) !== 4096) return undefined;
  return {
    offset: 0x20,
    uuid: uuidOf(nx_superblock.nx_uuid(view, 0)),
    ...checksumProblem(fletcher64(view, 8) === nx_superblock.o_cksum(view, 0)),
  };
}

function decodeHpfs(window: Window, at: number): Found | undefined {
  const spare = window.view(at + 0x200, hpfs_spare_block.$size);
  const boot = window.view(0, hpfs_boot_block.$size);
  const superBlock = window.view(at, hpfs_super_block.$size);
  if (spare === undefined || boot === undefined || superBlock === undefined) return undefined;
  if (hpfs_spare_block.magic(spare, 0) !== 0xf9911849) return undefined;
  const version = String(hpfs_super_block.version(superBlock, 0));
  const hasNames =
    hpfs_boot_block.magic(boot, 0) === 0xaa55 &&
    decodeText(hpfs_boot_block.sig_hpfs(boot, 0)) === "HPFS" &&
    hpfs_boot_block.sig_28h(boot, 0) === 0x28;
  if (!hasNames) return { offset: at, version };
  const label = labelOf(hpfs_boot_block.vol_label(boot, 0));
  return { offset: at, version, label, uuid: serialOf(hpfs_boot_block.vol_serno(boot, 0)) };
}

/** Made by VMware's own rules: two little-endian words, one of 16 bits, then bytes. */
function formatVmwareUuid(id: Uint8Array): string {
  const reversed = (from: number, to: number): string => toHex(id.slice(from, to).reverse());
  return `${reversed(0, 4)}-${reversed(4, 8)}-${reversed(8, 10)}-${toHex(id.subarray(10, 16))}`;
}

function squashfsRow(kind: "squashfs" | "squashfs3", isOfKind: (major: number) => boolean): SignatureRow {
  return {
    kind,
    title: kind === "squashfs" ? "squashfs file system" : "squashfs file system before 4.0",
    usage: "filesystem",
    source: "Linux, fs/squashfs/squashfs_fs.h",
    magics: [{ at: 0, is: "hsqs" }, ...(kind === "squashfs3" ? [{ at: 0, is: "sqsh" }] : [])],
    decode(window) {
      const view = window.view(0, squashfs_super_block.$size);
      if (view === undefined) return undefined;
      const isLittle = decodeText(squashfs_super_block.s_magic(view, 0)) === "hsqs";
      const { s_major, s_minor } = squashfs_super_block.$fields;
      const [major, minor] = [view.getUint16(s_major.offset, isLittle), view.getUint16(s_minor.offset, isLittle)];
      return isOfKind(major) ? { offset: 0, version: `${major}.${minor}` } : undefined;
    },
  };
}

/** What blkid asks about between the optical formats and NTFS. */
export const UNIX_ROWS: readonly SignatureRow[] = [
  {
    kind: "ufs",
    title: "UFS file system",
    usage: "filesystem",
    source: "FreeBSD, sys/ufs/ffs/fs.h",
    decode: decodeUfs,
  },
  {
    kind: "hpfs",
    title: "HPFS file system",
    usage: "filesystem",
    source: "Linux, fs/hpfs/hpfs.h",
    magics: [{ at: 0x2000, is: "\x49\xe8\x95\xf9" }],
    decode: decodeHpfs,
  },
];

/** What blkid asks about after NTFS. */
export const SMALL_ROWS: readonly SignatureRow[] = [
  {
    kind: "cramfs",
    title: "cramfs file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/cramfs_fs.h",
    magics: [
      { at: 0, is: "\x45\x3d\xcd\x28" },
      { at: 0, is: "\x28\xcd\x3d\x45" },
    ],
    decode(window) {
      const view = window.view(0, cramfs_super.$size);
      return view && { offset: 0, label: labelOf(cramfs_super.name(view, 0)) };
    },
  },
  {
    kind: "romfs",
    title: "romfs file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/romfs_fs.h",
    magics: [{ at: 0, is: "-rom1fs-" }],
    decode(window) {
      const view = window.view(0, romfs_super_block.$size);
      return view && { offset: 0, label: labelOf(romfs_super_block.name(view, 0)) };
    },
  },
  {
    kind: "minix",
    title: "minix file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/minix_fs.h",
    decode: decodeMinix,
  },
];

/** The rest, by blkid's order. */
export const LAST_ROWS: readonly SignatureRow[] = [
  {
    kind: "vxfs",
    title: "Veritas file system",
    usage: "filesystem",
    source: "Linux, fs/freevxfs/vxfs.h",
    magics: [
      { at: 0x400, is: "\xf5\xfc\x01\xa5" },
      { at: 0x2000, is: "\xa5\x01\xfc\xf5" },
    ],
    decode(window, at) {
      const version = window.view(at + 4, 4)?.getUint32(0, at === 0x400);
      return version === undefined ? undefined : { offset: at, version: String(version) };
    },
  },
  squashfsRow("squashfs", (major) => major >= 4),
  squashfsRow("squashfs3", (major) => major < 4),
  {
    kind: "ubifs",
    title: "UBIFS file system",
    usage: "filesystem",
    source: "Linux, fs/ubifs/ubifs-media.h",
    magics: [{ at: 0, is: "\x31\x18\x10\x06" }],
    decode(window) {
      const view = window.view(0, ubifs_sb_node.$size);
      if (view === undefined || ubifs_sb_node.node_type(view, 0) !== 6) return undefined;
      return {
        offset: 0,
        uuid: uuidOf(ubifs_sb_node.uuid(view, 0)),
        version: `w${ubifs_sb_node.fmt_version(view, 0)}r${ubifs_sb_node.ro_compat_version(view, 0)}`,
      };
    },
  },
  {
    kind: "bfs",
    title: "SCO BFS file system",
    usage: "filesystem",
    source: "Linux, include/uapi/linux/bfs_fs.h",
    magics: [{ at: 0, is: "\xce\xfa\xad\x1b" }],
  },
  {
    kind: "VMFS",
    title: "VMFS file system",
    usage: "filesystem",
    source: "vmfs-tools, vmfs_fs.h",
    magics: [{ at: 0x20_0000, is: "\x5e\xf1\xab\x2f" }],
    decode(window, at) {
      const view = window.view(at, vmfs_fs_info.$size);
      if (view === undefined) return undefined;
      return {
        offset: at,
        label: labelOf(vmfs_fs_info.label(view, 0)),
        uuid: formatVmwareUuid(vmfs_fs_info.uuid(view, 0)),
        version: String(vmfs_fs_info.version(view, 0)),
      };
    },
  },
];

/** After exFAT and F2FS. */
export const APFS_ROW: SignatureRow = {
  kind: "apfs",
  title: "APFS container",
  usage: "filesystem",
  source: "Apple File System Reference, nx_superblock_t",
  magics: [{ at: 0x20, is: "NXSB" }],
  decode: decodeApfs,
};
