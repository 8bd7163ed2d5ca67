import { ImageError } from "@guestprobe/block";
import { decodeText, encodeText } from "../script/text.js";

/** First line of an environment block (GRUB 2.06, include/grub/lib/envblk.h); the newline belongs to it. */
export const ENVIRONMENT_SIGNATURE = "# GRUB Environment Block\n";

export interface EnvironmentVariable {
  readonly name: string;
  readonly value: string;
  /** Bytes from the start of the block. */
  readonly offset: number;
}

export interface EnvironmentBlock {
  /** In the order of the block; GRUB sets them in this order, so of two with one name the later counts. */
  readonly variables: readonly EnvironmentVariable[];
  /** Bytes in all. GRUB writes 1024 and reads any size. */
  readonly size: number;
  /** Bytes of `#` at the end, which `save_env` has left to grow into. */
  readonly free: number;
}

const HASH = 0x23;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
const EQUALS = 0x3d;

/**
 * Reads an environment block as `load_env` does (lib/envblk.c, grub_envblk_iterate): lines `name=value` up to the end,
 * lines that start with `#` skipped, a backslash keeping the next byte from ending the value. A last line without its
 * newline is not read; a line without `=` becomes part of the next name.
 *
 * Throws "not-this-format" unless the signature is there.
 */
export function parseEnvironment(bytes: Uint8Array): EnvironmentBlock {
  const signature = encodeText(ENVIRONMENT_SIGNATURE);
  // At least one byte must follow it (grub_envblk_open).
  if (bytes.length <= signature.length || signature.some((byte, index) => bytes[index] !== byte)) {
    throw new ImageError("not-this-format", "the first line is not that of an environment block", {
      format: "grubenv",
      offset: 0,
    });
  }
  const variables: EnvironmentVariable[] = [];
  for (let at = signature.length; at < bytes.length; ) {
    if (bytes[at] === HASH) {
      at = nextLine(bytes, at);
      continue;
    }
    const offset = at;
    const equals = bytes.indexOf(EQUALS, at);
    if (equals < 0) break;
    const end = endOfValue(bytes, equals + 1);
    if (end >= bytes.length) break;
    const value = unescapeValue(bytes.subarray(equals + 1, end));
    variables.push({ name: decodeText(bytes.subarray(offset, equals)), value, offset });
    at = end + 1;
  }
  return { variables, size: bytes.length, free: freeBytes(bytes) };
}

function endOfValue(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== NEWLINE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

function nextLine(bytes: Uint8Array, start: number): number {
  return endOfValue(bytes, start) + 1;
}

function unescapeValue(bytes: Uint8Array): string {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === BACKSLASH) at += 1;
    if (at < bytes.length) out.push(bytes[at]!);
  }
  return decodeText(Uint8Array.from(out));
}

function freeBytes(bytes: Uint8Array): number {
  let free = 0;
  while (free < bytes.length && bytes[bytes.length - 1 - free] === HASH) free += 1;
  return free;
}

/**
 * The block as `save_env` would leave it: `value` undefined removes the variable. The size does not change. Undefined
 * when the new value does not fit, which GRUB calls "environment block too small".
 */
export function editEnvironment(bytes: Uint8Array, name: string, value: string | undefined): Uint8Array | undefined {
  const { variables } = parseEnvironment(bytes);
  const old = variables.find((variable) => variable.name === name);
  const body = bytes.subarray(0, bytes.length - freeBytes(bytes));
  const line = value === undefined ? new Uint8Array() : encodeText(`${name}=${value.replace(/[\\\n]/g, "\\$&")}\n`);
  const start = old?.offset ?? body.length;
  const end = old === undefined ? body.length : nextLine(bytes, bytes.indexOf(EQUALS, old.offset) + 1);
  const edited = new Uint8Array(bytes.length).fill(HASH);
  const rest = body.subarray(Math.min(end, body.length));
  if (start + line.length + rest.length > bytes.length) return undefined;
  edited.set(body.subarray(0, start), 0);
  edited.set(line, start);
  edited.set(rest, start + line.length);
  return edited;
}
