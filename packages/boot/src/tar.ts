import { decodeText, ImageError } from "@guestprobe/block";

export interface TarFile {
  /** Without leading "./" or "/". */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;

/**
 * The regular files of a tar archive, as GRUB's memdisk holds one. POSIX.1-1988 "ustar"; names past 100 bytes by the
 * prefix field.
 *
 * @throws ImageError `corrupt` for a member that runs past the end.
 */
export function readTar(archive: Uint8Array): TarFile[] {
  const files: TarFile[] = [];
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header[0] === 0) break;
    const text = (from: number, length: number): string =>
      decodeText(header.subarray(from, from + length)).replace(/\0.*$/s, "");
    const octal = text(124, 12).trim();
    const size = /^[0-7]{1,11}$/.test(octal) ? Number.parseInt(octal, 8) : -1;
    if (size < 0 || at + BLOCK + size > archive.length) {
      throw new ImageError("corrupt", `a member of "${octal}" bytes (octal), ${archive.length - at - BLOCK} are left`, {
        format: "tar",
        structure: "header",
        field: "size",
        offset: at + 124,
      });
    }
    const type = header[156];
    const prefix = text(257, 5) === "ustar" ? text(345, 155) : "";
    if (type === 0 || type === 0x30) {
      const name = `${prefix === "" ? "" : `${prefix}/`}${text(0, 100)}`.replace(/^(\.?\/)+/, "");
      files.push({ name, bytes: archive.subarray(at + BLOCK, at + BLOCK + size) });
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
