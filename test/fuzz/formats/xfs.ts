import { crc32c } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import * as layout from "@guestprobe/xfs/layout";
import { AnatomyBuilder, type Dissect, wordSeal } from "../lib/spots.js";

type Tables = Parameters<AnatomyBuilder["add"]>[0];

/** Blocks by the magic at their start: what follows, and where the checksum lies. */
const BLOCKS: Readonly<
  Record<string, { readonly tables: readonly (readonly [Tables, number])[]; readonly crc: number }>
> = {
  BMAP: { tables: [[layout.xfs_btree_lblock, 0]], crc: 0 },
  BMA3: {
    tables: [
      [layout.xfs_btree_lblock, 0],
      [layout.xfs_bmbt_rec, 72],
    ],
    crc: 64,
  },
  IABT: { tables: [[layout.xfs_btree_sblock, 0]], crc: 0 },
  IAB3: {
    tables: [
      [layout.xfs_btree_sblock, 0],
      [layout.xfs_inobt_rec, 56],
    ],
    crc: 52,
  },
  XD2B: { tables: [[layout.xfs_dir2_data_entry, 16]], crc: 0 },
  XD2D: { tables: [[layout.xfs_dir2_data_entry, 16]], crc: 0 },
  XDB3: { tables: [[layout.xfs_dir2_data_entry, 64]], crc: 4 },
  XDD3: { tables: [[layout.xfs_dir2_data_entry, 64]], crc: 4 },
  XARM: { tables: [[layout.xfs_remote_hdr, 0]], crc: 12 },
  XSLM: { tables: [[layout.xfs_remote_hdr, 0]], crc: 12 },
};
/** Leaf and node blocks carry theirs after two pointers. */
const DA: Readonly<Record<number, { readonly header: number; readonly crc: number }>> = {
  54001: { header: 16, crc: 0 },
  54015: { header: 16, crc: 0 },
  65214: { header: 16, crc: 0 },
  64494: { header: 32, crc: 0 },
  15857: { header: 64, crc: 12 },
  15871: { header: 64, crc: 12 },
  16062: { header: 64, crc: 12 },
  15342: { header: 80, crc: 12 },
};

/** Superblocks, group headers, inodes with their forks, and every block that has a magic, of a sound volume. */
export const dissectXfs: Dissect = (image, most) => {
  const found = new AnatomyBuilder(image, "BE", most);
  const view = viewOf(image);
  const sb = layout.xfs_dsb;
  const version = sb.sb_versionnum(view, 0) & 0xf;
  const blockSize = sb.sb_blocksize(view, 0);
  const inodeSize = sb.sb_inodesize(view, 0);
  const sector = sb.sb_sectsize(view, 0);
  const dirBlock = blockSize << sb.sb_dirblklog(view, 0);
  const seal = (at: number, length: number, crc: number): void => {
    if (version === 5 && crc > 0 && at + length <= image.length) found.seals.push(wordSeal(crc, crc32c)(at, length));
  };
  for (let at = 0; at + blockSize <= image.length; at += blockSize) {
    const start = view.getUint32(at);
    if (start === 0 && view.getUint32(at + 8) === 0) continue;
    for (let part = 0; part < blockSize; part += sector) {
      const magic = view.getUint32(at + part);
      if (magic === 0x5846_5342) {
        found.add(sb, at + part);
        seal(at + part, sector, 224);
      } else if (magic === 0x5841_4749) {
        found.add(layout.xfs_agi, at + part);
        seal(at + part, sector, 312);
      } else if (magic === 0x5841_4746) found.add(layout.xfs_ag_header, at + part);
      else if (magic === 0xfeed_babe) found.add(layout.xlog_rec_header, at + part);
    }
    for (let part = 0; part < blockSize; part += inodeSize) {
      if (view.getUint16(at + part) !== 0x494e || view.getUint16(at + part + 2) === 0) continue;
      addInode(found, view, at + part, inodeSize);
      seal(at + part, inodeSize, 100);
    }
    const name = Buffer.from(image.subarray(at, at + 4)).toString("latin1");
    const known = BLOCKS[name];
    const isDirectory = name.startsWith("XD");
    if (known !== undefined) {
      for (const [table, offset] of known.tables) found.add(table, at + offset);
      if (name.endsWith("B") || name === "XDB3") found.add(layout.xfs_dir2_block_tail, at + dirBlock - 8);
      seal(at, isDirectory ? dirBlock : blockSize, known.crc);
    }
    const da = DA[view.getUint16(at + 8)];
    if (da === undefined) continue;
    found
      .add(layout.xfs_da_blkinfo, at)
      .add(layout.xfs_da_counts, at + da.header - (da.header === 32 || da.header === 80 ? 24 : 8));
    found.words("da entries", at + da.header, 48);
    seal(at, view.getUint16(at + 8) === 0x3bee ? blockSize : dirBlock, da.crc);
  }
  return found;
};

/** di_format and what the literal area then holds. */
const LOCAL = 1;
const EXTENTS = 2;
const BTREE = 3;

function addInode(found: AnatomyBuilder, view: DataView, at: number, inodeSize: number): void {
  found.add(layout.xfs_dinode, at);
  const core = view.getUint8(at + 4) === 3 ? 176 : 100;
  const fork = (start: number, format: number, isDirectory: boolean): void => {
    if (format === LOCAL && isDirectory) found.add(layout.xfs_dir2_sf_hdr, start).words("sf entries", start + 6, 24, 1);
    if (format === EXTENTS) found.add(layout.xfs_bmbt_rec, start);
    if (format === BTREE) found.add(layout.xfs_bmdr_block, start).words("bmdr pointers", start + 4, 32);
  };
  fork(at + core, view.getUint8(at + 5), view.getUint16(at + 2) >> 12 === 4);
  const attributes = view.getUint8(at + 0x52) * 8;
  if (attributes === 0 || core + attributes + 4 > inodeSize) return;
  const start = at + core + attributes;
  const format = view.getUint8(at + 0x53);
  if (format === LOCAL) found.add(layout.xfs_attr_sf_hdr, start).add(layout.xfs_attr_sf_entry, start + 4);
  else fork(start, format, false);
}
