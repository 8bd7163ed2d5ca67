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
