import { encodeText } from "@guestprobe/block";
import { viewOf } from "@guestprobe/block/struct";
import type { NameHash } from "./dir-hash.js";
import { sha256 } from "./sha256.js";

/** Shortest encrypted name. Kernel: FSCRYPT_FNAME_MIN_MSG_LEN. */
const MIN_CIPHERTEXT = 16;
/** Bytes of an encrypted name that are shown as they are; of the rest, a digest. Kernel: fscrypt_nokey_name. */
const SHOWN_BYTES = 149;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * How the kernel shows an encrypted name while it has no key: hash and ciphertext in base64url. Such a name can be
 * looked up again. Undefined for bytes that are no encrypted name. Kernel: fscrypt_fname_disk_to_usr.
 */
export function noKeyName(ciphertext: Uint8Array, { hash, minor }: NameHash): Uint8Array | undefined {
  if (ciphertext.length < MIN_CIPHERTEXT) return undefined;
  const shown = ciphertext.subarray(0, SHOWN_BYTES);
  const rest = ciphertext.subarray(SHOWN_BYTES);
  const data = new Uint8Array(8 + shown.length + (rest.length > 0 ? 32 : 0));
  viewOf(data).setUint32(0, hash, true);
  viewOf(data).setUint32(4, minor, true);
  data.set(shown, 8);
  if (rest.length > 0) data.set(sha256(rest), 8 + SHOWN_BYTES);
  return encodeText(base64url(data));
}

/** RFC 4648, section 5, without padding. */
function base64url(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length; at += 3) {
    const group = (data[at]! << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    const digits = Math.min(3, data.length - at) + 1;
    for (let n = 0; n < digits; n += 1) text += ALPHABET[(group >>> (18 - 6 * n)) & 63];
  }
  return text;
}
