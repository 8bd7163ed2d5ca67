/** Boot sectors: where loaders keep what differs from disk to disk. Little-endian. */
import { bytes, LE, struct, u8, u16, u32, u64big } from "@guestprobe/block/struct";

/** What any boot sector has. */
export const boot_sector = struct("boot_sector", 512, LE, {
  oem_name: bytes(0x03, 8), // of a sector with a FAT or NTFS parameter block
  boot_signature: u16(0x1fe), // 0xaa55
});
/** Code ends here where a partition table may follow: the disk signature of an MBR comes next. */
export const BOOT_CODE_END = 0x1b8;

/** GRUB 2's boot.img. GRUB 2.06, include/grub/i386/pc/boot.h. */
export const grub_boot_img = struct("boot.img", 512, LE, {
  kernel_address: u16(0x5a), // where the core image's first sector is loaded: 0x8000
  kernel_sector: u64big(0x5c), // sector of the disk where it lies
  boot_drive: u8(0x64), // BIOS drive; 0xff: the one that was booted from
});
/** GRUB 2's diskboot.img, the first sector of a core image on a disk: a list of blocks that grows down from its end. */
export const grub_blocklist = struct("grub_boot_blocklist", 12, LE, {
  start: u64big(0x00), // sector of the disk
  len: u16(0x08), // sectors; 0 ends the list
});
export const GRUB_FIRST_BLOCKLIST = 0x1f4;
/** The rest of a core image. GRUB 2.06, boot/i386/pc/startup_raw.S, include/grub/offsets.h. */
export const grub_decompressor = struct("lzma_decompress.img", 32, LE, {
  compressed_size: u32(0x08), // bytes
  uncompressed_size: u32(0x0c), // bytes
  reed_solomon_redundancy: u32(0x10), // bytes that follow the compressed ones
});
/** Start of the modules behind GRUB's kernel, and one object of them. GRUB 2.06, include/grub/kernel.h. */
export const grub_module_info32 = struct("grub_module_info32", 12, LE, {
  magic: u32(0x00), // "mimg"
  offset: u32(0x04), // of the first object, bytes
  size: u32(0x08), // bytes
});
export const grub_module_header = struct("grub_module_header", 8, LE, { type: u32(0x00), size: u32(0x04) });

/** GRUB legacy's stage 1. GRUB 0.97, stage1/stage1.h. */
export const grub_stage1 = struct("stage1", 512, LE, {
  version: u16(0x3e), // 0x0203: compatibility version 3.2
  boot_drive: u8(0x40), // BIOS drive; 0xff: the one that was booted from
  stage2_address: u16(0x42),
  stage2_sector: u32(0x44), // sector of the disk
  stage2_segment: u16(0x48), // a sixteenth of the address
});
