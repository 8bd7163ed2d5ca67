import { inflateSync } from "fflate";
import { corrupt } from "./bound.js";

/** Raw DEFLATE data, decoded. */
export interface Inflated {
  readonly out: Uint8Array;
  /** Byte of the input after the stream and its trailer. */
  readonly end: number;
}

/** The checksum (and size) that must follow a stream with this output. */
export type Trailer = (out: Uint8Array) => Uint8Array;

interface NodeZlib {
  inflateSync(src: Uint8Array, options: object): { buffer: Uint8Array; engine: { bytesWritten: number } };
  inflateRawSync(src: Uint8Array, options: object): { buffer: Uint8Array; engine: { bytesWritten: number } };
}

interface NodeProcess {
  getBuiltinModule?(id: string): unknown;
}

const builtins = (globalThis as { process?: NodeProcess }).process;
let loaded: NodeZlib | undefined;

function load(): NodeZlib {
  loaded ??= builtins?.getBuiltinModule?.("node:zlib") as NodeZlib;
  return loaded;
}

/**
 * Node's own zlib, asked for without an import so that bundles for browsers stay free of it, and only once it is used:
 * a reader that meets no compressed data should not pay for it.
 */
export const nodeZlib: NodeZlib | undefined =
  builtins?.getBuiltinModule === undefined
    ? undefined
    : {
        inflateSync: (src, options) => load().inflateSync(src, options),
        inflateRawSync: (src, options) => load().inflateRawSync(src, options),
      };

/** One turn of Node's zlib makes this much output at most, so that a small stream under a large limit stays small. */
const CHUNK_MAX = 1024 * 1024;

/**
 * Options that make Node stop at one byte past `capacity`: a longer stream throws, and a stream of just `capacity`
 * bytes needs no second turn to find its end.
 */
export function nodeOptions(capacity: number): object {
  return { info: true, maxOutputLength: capacity + 1, chunkSize: Math.max(64, Math.min(capacity + 1, CHUNK_MAX)) };
}

/** Whether `error` is Node's way of saying that `maxOutputLength` was passed. */
export function isTooLarge(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === "ERR_BUFFER_TOO_LARGE";
}

/** The result of Node's zlib without the pool or the spare room of its last chunk. */
export function owned(buffer: Uint8Array): Uint8Array {
  const out = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
  return buffer.buffer.byteLength > buffer.length + 1024 ? out.slice() : out;
}

/**
 * Inflates with fflate, which stops silently at the end of the buffer it is given, checks no checksum and does not say
 * where the stream ended. So: one byte more than `capacity` tells a stream that is too long; the trailer computed from
 * the output is looked for where it must be, or, with `search`, at its first place after the stream's smallest size.
 *
 * @returns undefined when the stream holds more than `capacity` bytes.
 */
export function inflatePortable(
  format: string,
  src: Uint8Array,
  at: number,
  capacity: number,
  trailer: Trailer,
  search: boolean,
): Inflated | undefined {
  // DEFLATE expands at most 1032 times: a 258-byte match takes two bits.
  const room = Math.min(capacity, (src.length - at) * 1032) + 1;
  let out: Uint8Array;
  try {
    out = inflateSync(src.subarray(at), { out: new Uint8Array(room) });
  } catch (cause) {
    // fflate lets a RangeError of its own copying through where a stored block passes the buffer.
    if (cause instanceof RangeError) return undefined;
    throw corrupt(format, "DEFLATE data is damaged or truncated", at, { cause });
  }
  if (out.length > capacity) return undefined;
  const expected = trailer(out);
  const last = src.length - expected.length;
  const first = search ? at + Math.ceil(out.length / 1032) : last;
  for (let p = Math.max(first, at); p <= last; p++) {
    if (expected.every((byte, i) => src[p + i] === byte)) return { out, end: p + expected.length };
  }
  throw corrupt(format, "the checksum of the output does not follow the DEFLATE data", at);
}
