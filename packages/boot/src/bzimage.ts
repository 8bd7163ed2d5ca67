import { decodeText, ImageError } from "@guestprobe/block";
import { LE, struct, u8, u16, u32, viewOf } from "@guestprobe/block/struct";

/** Setup header of an x86 Linux kernel. Linux, Documentation/arch/x86/boot.rst; little-endian, from the file's start. */
export const setup_header = struct("setup_header", 0x268, LE, {
  setup_sects: u8(0x1f1), // sectors of 512 bytes after the first
  boot_flag: u16(0x1fe), // 0xaa55
  header: u32(0x202), // "HdrS"
  version: u16(0x206), // of the boot protocol, 0x020c is 2.12
  kernel_version: u16(0x20e), // place of the version string, less 0x200; 0 for none
  loadflags: u8(0x211), // bit 0: loaded high, a bzImage
  xloadflags: u16(0x236), // bit 0: has a 64-bit entry point
  cmdline_size: u32(0x238), // bytes, without the NUL
  payload_offset: u32(0x248), // from the end of the setup sectors
  payload_length: u32(0x24c), // bytes
});

const HDRS = 0x5372_6448;
const BOOT_FLAG = 0xaa55;
/** Payload fields exist from protocol 2.08 on. */
export const PAYLOAD_PROTOCOL = 0x0208;

/** What the setup header says. */
export interface BzImage {
  /** 0x020f is 2.15. */
  readonly protocol: number;
  /** "6.1.0-9-amd64 (...) #1 SMP ..."; undefined when there is none. */
  readonly version: string | undefined;
  readonly setupSects: number;
  /** Has a 64-bit entry point. */
  readonly is64: boolean;
  /** Most bytes of the command line; 255 before protocol 2.06. */
  readonly cmdlineSize: number;
  /** Bytes from the start of the file; undefined before protocol 2.08. */
  readonly payload: { readonly offset: number; readonly length: number } | undefined;
}

export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < 0x208) return false;
  const view = viewOf(bytes);
  return setup_header.header(view, 0) === HDRS && setup_header.boot_flag(view, 0) === BOOT_FLAG;
}

/**
 * Reads the setup header. The payload must lie within the file, as the toolstack demands.
 *
 * @throws ImageError `not-this-format` without the magic; `corrupt` for a header that cannot be.
 */
export function parseBzImage(bytes: Uint8Array): BzImage {
  if (!isBzImage(bytes)) {
    throw new ImageError("not-this-format", "no Linux setup header", { format: "bzimage", offset: 0x202 });
  }
  const corrupt = (field: string, offset: number, reason: string): ImageError =>
    new ImageError("corrupt", reason, { format: "bzimage", structure: "setup_header", field, offset });
  if (bytes.length < setup_header.$size) throw corrupt("header", bytes.length, `cut after ${bytes.length} bytes`);
  const view = viewOf(bytes);
  const protocol = setup_header.version(view, 0);
  // The documentation has 0 stand for 4; neither GRUB under Xen nor the toolstack heeds that.
  const setupSects = setup_header.setup_sects(view, 0);
  let payload: BzImage["payload"];
  if (protocol >= PAYLOAD_PROTOCOL) {
    const offset = (setupSects + 1) * 512 + setup_header.payload_offset(view, 0);
    const length = setup_header.payload_length(view, 0);
    if (offset + length > bytes.length) {
      throw corrupt("payload_length", 0x24c, `the payload ends at byte ${offset + length} of ${bytes.length}`);
    }
    payload = { offset, length };
  }
  return {
    protocol,
    version: versionText(bytes, setup_header.kernel_version(view, 0), setupSects),
    setupSects,
    is64: (setup_header.xloadflags(view, 0) & 1) !== 0,
    cmdlineSize: protocol >= 0x0206 ? setup_header.cmdline_size(view, 0) : 255,
    payload,
  };
}

/** Bytes. */
const MAX_VERSION = 512;

function versionText(bytes: Uint8Array, pointer: number, setupSects: number): string | undefined {
  const at = pointer + 0x200;
  if (pointer === 0 || at >= Math.min((setupSects + 1) * 512, bytes.length)) return undefined;
  const text = bytes.subarray(at, at + MAX_VERSION);
  const end = text.indexOf(0);
  return decodeText(text.subarray(0, end < 0 ? text.length : end));
}
