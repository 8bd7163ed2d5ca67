import type { Decode, Decompressor } from "./types.js";

/** The decoders by name. Each is loaded when it is first asked for, so a page that reads gzip never fetches xz. */
const LOADERS = {
  zlib: async () => (await import("./zlib.js")).decodeZlib,
  gzip: async () => (await import("./gzip.js")).decodeGzip,
  zstd: async () => (await import("./zstd.js")).decodeZstd,
  lzo1x: async () => (await import("./lzo1x.js")).decodeLzo1x,
  lzop: async () => (await import("./lzop.js")).decodeLzop,
  lz4: async () => (await import("./lz4.js")).decodeLz4Block,
  "lz4-legacy": async () => (await import("./lz4.js")).decodeLz4Legacy,
  lzma: async () => (await import("./lzma.js")).decodeLzmaAlone,
  xz: async () => (await import("./xz/xz.js")).decodeXz,
  bzip2: async () => (await import("./bzip2.js")).decodeBzip2,
} satisfies Record<string, () => Promise<Decode>>;

export type CodecName = keyof typeof LOADERS;

export const CODEC_NAMES = Object.keys(LOADERS) as readonly CodecName[];

/** The decoder of that name, ready to be called. */
export function loadDecoder(name: CodecName): Promise<Decode> {
  return LOADERS[name]();
}

/** Decodes on the calling thread. */
export const inlineDecompressor: Decompressor = {
  async decode(codec, src, bound, options) {
    const decode = await loadDecoder(codec);
    return decode(src, bound, options);
  },
};
