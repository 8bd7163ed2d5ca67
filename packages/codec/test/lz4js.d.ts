declare module "lz4js" {
  const lz4js: {
    compressBound(length: number): number;
    compressBlock(src: Uint8Array, dst: Uint8Array, at: number, length: number, hashTable: Uint32Array): number;
  };
  // biome-ignore lint/style/noDefaultExport: a CommonJS module, as an import sees it.
  export default lz4js;
}
