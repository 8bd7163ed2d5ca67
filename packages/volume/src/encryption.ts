import { decodeText, encodeText, equalBytes, untilNul } from "@guestprobe/block";
import { BE, bytes, struct, u16, viewOf } from "@guestprobe/block/struct";

/** A device whose content nobody can tell without its key. */
export interface EncryptedDevice {
  readonly kind: "luks1" | "luks2" | "bitlocker";
  /** LUKS only. */
  readonly uuid: string | undefined;
  /** LUKS2 only. */
  readonly label: string | undefined;
}

/** Start of a LUKS header of either version. LUKS1 On-Disk Format 1.2.3; LUKS2 On-Disk Format 1.1. Big-endian. */
const luks_hdr = struct("luks_hdr", 512, BE, {
  magic: bytes(0, 6),
  version: u16(6),
  label: bytes(24, 48), // version 2; text, NUL-padded
  uuid: bytes(168, 40), // text, NUL-padded
});
const LUKS_MAGIC = Uint8Array.of(0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe);
/** Where a boot sector has the name of the system that made it. */
const OEM_AT = 3;
const BITLOCKER = encodeText("-FVE-FS-");

/** What the first sector of a device says of its encryption. */
export function recogniseEncryption(start: Uint8Array): EncryptedDevice | undefined {
  if (start.length < luks_hdr.$size) return undefined;
  if (equalBytes(start.subarray(OEM_AT, OEM_AT + BITLOCKER.length), BITLOCKER)) {
    return { kind: "bitlocker", uuid: undefined, label: undefined };
  }
  const view = viewOf(start);
  if (!equalBytes(luks_hdr.magic(view, 0), LUKS_MAGIC)) return undefined;
  const version = luks_hdr.version(view, 0);
  if (version !== 1 && version !== 2) return undefined;
  const text = (field: Uint8Array): string | undefined => decodeText(untilNul(field)) || undefined;
  return {
    kind: version === 1 ? "luks1" : "luks2",
    uuid: text(luks_hdr.uuid(view, 0)),
    label: version === 2 ? text(luks_hdr.label(view, 0)) : undefined,
  };
}
