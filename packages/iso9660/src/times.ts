/** Largest offset from UTC that is believed: 13 hours, in quarters. Linux, fs/isofs/util.c, iso_date. */
const MAX_ZONE = 52;

/** Seconds since 1970 of a date in the proleptic Gregorian calendar: Linux, kernel/time/time.c, mktime64. */
function secondsOf(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
  // March comes first, so that the leap day is the last of its year.
  const shifted = month <= 2 ? month + 10 : month - 2;
  const y = month <= 2 ? year - 1 : year;
  const days =
    Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + Math.floor((367 * shifted) / 12) + day + y * 365;
  return (((days - 719_499) * 24 + hour) * 60 + minute) * 60 + second;
}

const zoneSeconds = (quarters: number): number => (Math.abs(quarters) <= MAX_ZONE ? quarters * 15 * 60 : 0);
const signed = (byte: number): number => (byte << 24) >> 24;

/** The seven bytes of a directory record's date as nanoseconds since 1970. ECMA-119, 9.1.5. */
export function shortTime(date: Uint8Array): bigint {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zone = 0] = date;
  const seconds = secondsOf(year + 1900, month, day, hour, minute, second) - zoneSeconds(signed(zone));
  return BigInt(seconds) * 1_000_000_000n;
}

/** The seventeen bytes of a volume descriptor's date: digits, and the zone. ECMA-119, 8.4.26.1. Undefined where unset. */
export function longTime(date: Uint8Array): bigint | undefined {
  const digits = String.fromCharCode(...date.subarray(0, 16));
  if (!/^[0-9]{16}$/.test(digits) || /^0+$/.test(digits)) return undefined;
  const part = (from: number, to: number): number => Number(digits.slice(from, to));
  const seconds =
    secondsOf(part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14)) -
    zoneSeconds(signed(date[16] ?? 0));
  return BigInt(seconds) * 1_000_000_000n + BigInt(part(14, 16)) * 10_000_000n;
}

/** A volume descriptor's date as blkid makes a UUID of it: "2026-11-29-06-48-55-00"; undefined where unset. */
export function dateUuid(date: Uint8Array): string | undefined {
  const digits = String.fromCharCode(...date.subarray(0, 16));
  if (!/^[0-9]{16}$/.test(digits) || /^0+$/.test(digits)) return undefined;
  const parts = [digits.slice(0, 4), ...(digits.slice(4).match(/../g) ?? [])];
  return parts.join("-");
}
