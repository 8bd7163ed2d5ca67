/** Seconds from 1970 to 1980, where DOS begins to count. */
const DOS_EPOCH = 3652 * 86_400;
/** Days before each month, as Linux has them: there is no month 0, and what is past December adds none. */
const DAYS_BEFORE = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0] as const;
/** Years from 1980. */
const YEAR_2100 = 120;

/**
 * Date and time of a directory entry as nanoseconds since 1970. DOS keeps the guest's local time and not which one that
 * is: it is taken for UTC, as Linux does with `tz=UTC`. Values that no calendar has give what Linux makes of them: fs/fat/
 * misc.c, fat_time_fat2unix.
 *
 * @param hundredths 0 to 199, of a second: odd seconds and less.
 */
export function timeOf(date: number, time: number, hundredths = 0): bigint {
  const year = date >> 9;
  const month = Math.max(1, (date >> 5) & 0xf);
  const day = Math.max(1, date & 0x1f) - 1;
  let leapDays = Math.floor((year + 3) / 4);
  // 2100 is no leap year, and the year 127 is 2107.
  if (year > YEAR_2100) leapDays -= 1;
  if (year % 4 === 0 && year !== YEAR_2100 && month > 2) leapDays += 1;
  const days = year * 365 + leapDays + DAYS_BEFORE[month]! + day;
  const seconds = (time & 0x1f) * 2 + ((time >> 5) & 0x3f) * 60 + (time >> 11) * 3600 + days * 86_400 + DOS_EPOCH;
  return BigInt(seconds) * 1_000_000_000n + BigInt(hundredths) * 10_000_000n;
}
