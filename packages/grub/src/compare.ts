import { encodeText, equalBytes, toHex } from "@guestprobe/block";

/** Labels are compared byte for byte; a volume without one has the empty label. */
export function isLabel(label: Uint8Array | undefined, name: Uint8Array): boolean {
  return label !== undefined && equalBytes(label, name);
}

/** UUIDs are compared without regard to case. */
export function isUuid(uuid: string | undefined, name: Uint8Array): boolean {
  return uuid !== undefined && equalBytes(lowerCase(encodeText(uuid)), lowerCase(name));
}

/** Under which a name is cached: GRUB finds it there as the search itself compares it. */
export function cacheKey(by: "file" | "label" | "uuid", name: Uint8Array): string {
  return toHex(by === "uuid" ? lowerCase(name) : name);
}

/** Letters of ASCII in lower case, other bytes as they are: grub_tolower. */
function lowerCase(name: Uint8Array): Uint8Array {
  return Uint8Array.from(name, (byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
}
