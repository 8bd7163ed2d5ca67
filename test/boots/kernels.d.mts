/** Types of kernels.mjs, for the tests. */
export const PACKERS: Readonly<Record<"xz" | "gzip" | "lz4" | "zstd" | "lzma" | "bzip2" | "lzo", readonly string[]>>;
export function unpackPackage(work: string, name: string): string;
export function dependencyOf(name: string, pattern: RegExp): string | undefined;
export function unpackKernel(image: Buffer): Buffer;
export function repack(image: Buffer, compressor: keyof typeof PACKERS, vmlinux?: Buffer): Buffer;
export function makeKernels(work: string): Readonly<Record<string, string>>;
