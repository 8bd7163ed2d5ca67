export {
  xfs_bmbt_rec,
  xfs_bmdr_block,
  xfs_btree_lblock,
} from "./bmap.js";
export {
  xfs_attr_leaf_entry,
  xfs_attr_leaf_name_local,
  xfs_attr_leaf_name_remote,
  xfs_attr_sf_entry,
  xfs_attr_sf_hdr,
  xfs_da_blkinfo,
  xfs_da_counts,
  xfs_remote_hdr,
} from "./da.js";
export {
  xfs_dir2_block_tail,
  xfs_dir2_data_entry,
  xfs_dir2_data_unused,
  xfs_dir2_leaf_entry,
  xfs_dir2_sf_hdr,
} from "./dir.js";
export { xfs_agi, xfs_btree_sblock, xfs_dinode, xfs_inobt_rec, xfs_legacy_timestamp } from "./inode.js";
export { xlog_op_header, xlog_rec_header } from "./log.js";
export { xfs_ag_header, xfs_dsb } from "./superblock.js";
