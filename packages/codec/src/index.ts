export { MAX_OUTPUT } from "./bound.js";
export { decodeDeflate, decodeDeflatePortable } from "./deflate.js";
export { decodeGzip, decodeGzipPortable } from "./gzip.js";
export { decodeLzo1x } from "./lzo1x.js";
export type { Decode, DecodeOptions, OutputBound } from "./types.js";
export { decodeZlib, decodeZlibPortable } from "./zlib.js";
export { loadZstd } from "./zstd.js";
