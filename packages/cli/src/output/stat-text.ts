import type { FileType, Stat } from "@guestprobe/vfs";

const LETTERS: Record<FileType, string> = {
  file: "-",
  dir: "d",
  symlink: "l",
  char: "c",
  block: "b",
  fifo: "p",
  socket: "s",
};

/** "drwxr-sr-x", as ls -l writes it. */
export function modeText(stat: Stat): string {
  const triple = (bits: number, special: boolean, letter: string): string => {
    const x = (bits & 1) !== 0;
    const last = special ? (x ? letter : letter.toUpperCase()) : x ? "x" : "-";
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${last}`;
  };
  const { mode } = stat;
  return (
    LETTERS[stat.type] +
    triple(mode >> 6, (mode & 0o4000) !== 0, "s") +
    triple(mode >> 3, (mode & 0o2000) !== 0, "s") +
    triple(mode, (mode & 0o1000) !== 0, "t")
  );
}

/** "2026-03-01 12:00:05.123456789 UTC"; far years as ISO 8601 writes them. */
export function timeText(ns: bigint): string {
  const second = 1_000_000_000n;
  const seconds = ns / second - (ns % second < 0n ? 1n : 0n);
  const fraction = (ns - seconds * second).toString().padStart(9, "0");
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} s since 1970`;
  return `${date.toISOString().slice(0, -5).replace("T", " ")}.${fraction} UTC`;
}

/** The minute that was asked for last, and its text: files of a directory are often made together. */
let lastMinute: bigint | undefined;
let lastText = "";

/** "2026-03-01 12:00": what a listing has room for. */
export function shortTimeText(ns: bigint): string {
  const perMinute = 60_000_000_000n;
  const minute = ns / perMinute - (ns % perMinute < 0n ? 1n : 0n);
  if (minute !== lastMinute) {
    const date = new Date(Number(minute) * 60_000);
    lastText = Number.isNaN(date.getTime()) ? timeText(ns) : date.toISOString().slice(0, -8).replace("T", " ");
    lastMinute = minute;
  }
  return lastText;
}

/** "8, 1" for device nodes, bytes for the rest. */
export function sizeText(stat: Stat): string {
  return stat.rdev === undefined ? String(stat.size) : `${stat.rdev.major}, ${stat.rdev.minor}`;
}
