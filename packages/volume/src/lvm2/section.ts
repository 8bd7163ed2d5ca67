import { type ErrorPlace, ImageError } from "@guestprobe/block";
import type { Section, Value } from "./metadata-lexer.js";

/** Damage in a section; the offset is in bytes from the start of the text. */
export function corrupt(section: Section, field: string, reason: string): ImageError {
  const place: ErrorPlace = { format: "lvm2", structure: "metadata text", field, offset: section.at };
  return new ImageError("corrupt", reason, place);
}

const isText = (value: Value | undefined): value is string => typeof value === "string";

/** @throws ImageError `corrupt` unless the key is there and is a string. */
export function textOf(section: Section, key: string): string {
  const value = section.values.get(key);
  if (isText(value)) return value;
  throw corrupt(section, key, `"${key}" is ${value === undefined ? "missing" : "no string"}`);
}

export function optionalText(section: Section, key: string): string | undefined {
  return section.values.has(key) ? textOf(section, key) : undefined;
}

/** @throws ImageError `corrupt` unless the key is there and is a whole number from `min` to 2^53. */
export function countOf(section: Section, key: string, min = 0): number {
  const value = section.values.get(key);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= min) return value;
  const what = value === undefined ? "missing" : `${JSON.stringify(value)}, expected a number from ${min} to 2^53`;
  throw corrupt(section, key, `"${key}" is ${what}`);
}

export function optionalCount(section: Section, key: string, min = 0): number | undefined {
  return section.values.has(key) ? countOf(section, key, min) : undefined;
}

/** The strings of an array. */
export function wordsOf(section: Section, key: string): readonly string[] {
  const value = section.values.get(key);
  return Array.isArray(value) ? value.filter(isText) : [];
}
