/** The name of a record without Rock Ridge, as Linux shows it: fs/isofs/dir.c, isofs_name_translate, `map=normal`. */
export function plainName(raw: Uint8Array): Uint8Array {
  let bare = raw.includes(0) ? raw.subarray(0, raw.indexOf(0)) : raw;
  // A version number, and the dot before it where there is no extension. ECMA-119, 7.5.1.
  if (endsWith(bare, ".;1")) bare = bare.subarray(0, -3);
  else if (endsWith(bare, ";1")) bare = bare.subarray(0, -2);
  return bare.map((byte) => {
    if (byte >= 0x41 && byte <= 0x5a) return byte | 0x20;
    // Another version than the first, and what some writers let through.
    return byte === 0x3b || byte === 0x2f ? 0x2e : byte;
  });
}

const endsWith = (name: Uint8Array, end: string): boolean =>
  name.length >= end.length && [...end].every((c, n) => name[name.length - end.length + n] === c.charCodeAt(0));

/** A name in Joliet's UTF-16BE as Linux shows it: fs/isofs/joliet.c, get_joliet_filename. */
export function jolietName(raw: Uint8Array): Uint8Array {
  const units: number[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const unit = (raw[at]! << 8) | raw[at + 1]!;
    if (unit === 0) break;
    units.push(unit);
  }
  let name = new TextEncoder().encode(withoutHalves(units));
  if (name.length > 2 && endsWith(name, ";1")) name = name.subarray(0, -2);
  // Windows drops dots at the end, so Linux does too.
  let end = name.length;
  while (end >= 2 && name[end - 1] === 0x2e) end -= 1;
  return name.subarray(0, end);
}

/** The units as text, halves of surrogate pairs left out, as Linux leaves them out. */
function withoutHalves(units: readonly number[]): string {
  const text = String.fromCharCode(...units);
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "");
}

const fold = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);

function withoutTrailingDots(name: Uint8Array): Uint8Array {
  let end = name.length;
  while (end > 0 && name[end - 1] === 0x2e) end -= 1;
  return name.subarray(0, end);
}

/** The bytes of a name as a key: one letter for each, so that what is no UTF-8 keeps its difference. */
export const byteKey = (name: Uint8Array): string => String.fromCharCode(...name);

/**
 * What two names share that are one under Joliet: the case of ASCII letters does not count, nor do dots at the end. Linux,
 * fs/isofs/inode.c, isofs_dentry_cmpi_ms.
 */
export const jolietKey = (name: Uint8Array): string => byteKey(withoutTrailingDots(name).map(fold));
