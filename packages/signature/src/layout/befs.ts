import { BE, bytes, LE, struct, u16, u32, u64big } from "@guestprobe/block/struct";

/** BeFS in one byte order, that of the machine which made it. Haiku, headers/private/file_systems/bfs.h. */
const inOrder = (order: typeof LE | typeof BE) => ({
  /** At byte 0 or 512. */
  disk_super_block: struct("disk_super_block", 136, order, {
    name: bytes(0x00, 32),
    magic1: u32(0x20), // 0x42465331, "BFS1"
    fs_byte_order: u32(0x24), // 0x42494745, "BIGE"
    block_size: u32(0x28), // bytes
    block_shift: u32(0x2c),
    magic2: u32(0x44), // 0xdd121031
    ag_shift: u32(0x4c), // of the blocks in an allocation group
    magic3: u32(0x70), // 0x15b6830e
    root_dir_allocation_group: u32(0x74),
    root_dir_start: u16(0x78), // blocks, in the group
  }),
  bfs_inode: struct("bfs_inode", 232, order, {
    magic1: u32(0x00), // 0x3bbe0ad9
    inode_size: u32(0x40), // bytes, with the small attributes
  }),
  /** An attribute that lies in its inode: this, the name, three zeros, the data, one zero. */
  small_data: struct("small_data", 8, order, {
    type: u32(0x00), // 0x554c4c47, "ULLG": an unsigned number of 64 bits
    name_size: u16(0x04), // bytes
    data_size: u16(0x06), // bytes
  }),
  /** The data of such an attribute. */
  uint64: struct("uint64", 8, order, { value: u64big(0x00) }),
});

export const befs_le = inOrder(LE);
export const befs_be = inOrder(BE);
