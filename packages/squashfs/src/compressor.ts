import { viewOf } from "@guestprobe/block/struct";
import type { CodecName } from "@guestprobe/codec";
import {
  gzip_comp_opts,
  LZ4_COMPRESSION,
  LZMA_COMPRESSION,
  LZO_COMPRESSION,
  lz4_comp_opts,
  lzo_comp_opts,
  XZ_COMPRESSION,
  xz_comp_opts,
  ZLIB_COMPRESSION,
  ZSTD_COMPRESSION,
  zstd_comp_opts,
} from "./layout.js";
import { failure } from "./place.js";

export interface Compressor {
  readonly id: number;
  /** As mksquashfs calls it. */
  readonly name: "gzip" | "lzma" | "lzo" | "xz" | "lz4" | "zstd";
  readonly codec: CodecName;
  /** As extents name it. */
  readonly encoding: string;
}

/** By the superblock's `compression`. What mksquashfs calls gzip is a zlib stream. */
const COMPRESSORS: readonly Compressor[] = [
  { id: ZLIB_COMPRESSION, name: "gzip", codec: "zlib", encoding: "zlib" },
  { id: LZMA_COMPRESSION, name: "lzma", codec: "lzma", encoding: "lzma" },
  { id: LZO_COMPRESSION, name: "lzo", codec: "lzo1x", encoding: "lzo" },
  { id: XZ_COMPRESSION, name: "xz", codec: "xz", encoding: "xz" },
  { id: LZ4_COMPRESSION, name: "lz4", codec: "lz4", encoding: "lz4" },
  { id: ZSTD_COMPRESSION, name: "zstd", codec: "zstd", encoding: "zstd" },
];

export function compressorOf(id: number): Compressor | undefined {
  return COMPRESSORS.find((compressor) => compressor.id === id);
}

const LZO_ALGORITHMS = ["lzo1x_1", "lzo1x_1_11", "lzo1x_1_12", "lzo1x_1_15", "lzo1x_999"];
const XZ_FILTERS = ["x86", "powerpc", "ia64", "arm", "armthumb", "sparc"];
const GZIP_STRATEGIES = ["default", "filtered", "huffman_only", "run_length_encoded", "fixed"];
const LZ4_LEGACY = 1;
const LZ4_HC = 1;

/**
 * Decodes the compressor options into "name=value" words. They say how the volume was made; only lz4's version changes
 * how it is read.
 *
 * @param data The decoded metadata block after the superblock, which lies at byte `offset`.
 * @throws ImageError `corrupt` for options that are too short, `unsupported` for a version of lz4 that is not known.
 */
export function compressorOptions(compressor: Compressor, data: Uint8Array, offset: number): string[] {
  const view = viewOf(data);
  const need = (size: number): void => {
    if (data.length >= size) return;
    const reason = `${compressor.name} options have ${data.length} bytes, expected ${size}`;
    throw failure("corrupt", reason, offset);
  };
  const bits = (value: number, names: readonly string[]): string =>
    names.filter((_, bit) => Math.floor(value / 2 ** bit) % 2 === 1).join("+") || "none";
  switch (compressor.name) {
    case "gzip": {
      need(gzip_comp_opts.$size);
      return [
        `level=${gzip_comp_opts.compression_level(view, 0)}`,
        `window=${gzip_comp_opts.window_size(view, 0)}`,
        `strategy=${bits(gzip_comp_opts.strategy(view, 0), GZIP_STRATEGIES)}`,
      ];
    }
    case "lzo": {
      need(lzo_comp_opts.$size);
      const algorithm = lzo_comp_opts.algorithm(view, 0);
      return [
        `algorithm=${LZO_ALGORITHMS[algorithm] ?? algorithm}`,
        `level=${lzo_comp_opts.compression_level(view, 0)}`,
      ];
    }
    case "xz": {
      need(xz_comp_opts.$size);
      return [
        `dictionary=${xz_comp_opts.dictionary_size(view, 0)}`,
        `filters=${bits(xz_comp_opts.flags(view, 0), XZ_FILTERS)}`,
      ];
    }
    case "lz4": {
      need(lz4_comp_opts.$size);
      const version = lz4_comp_opts.version(view, 0);
      if (version !== LZ4_LEGACY) throw failure("unsupported", `lz4 blocks of version ${version}`, offset);
      return [lz4_comp_opts.flags(view, 0) & LZ4_HC ? "hc" : "fast"];
    }
    case "zstd": {
      need(zstd_comp_opts.$size);
      return [`level=${zstd_comp_opts.compression_level(view, 0)}`];
    }
    case "lzma":
      throw failure("corrupt", "lzma has no options, but the superblock says that they are stored", offset);
  }
}
