/** The part of lz4js that the tests compare with; the package has no types of its own. */
declare module "lz4js" {
  const lz4js: {
    compressBound(length: number): number;
    compressBlock(source: Uint8Array, target: Uint8Array, from: number, length: number, table: Uint32Array): number;
  };
  // biome-ignore lint/style/noDefaultExport: that is how the package is made
  export default lz4js;
}
