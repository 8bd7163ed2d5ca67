/**
 * The rarer checksums. A module of their own: of a library that is loaded by its name, a bundler takes everything, of one that
 * is listed, what is listed.
 */
export { createBLAKE2b, createSHA256, createXXHash64 } from "hash-wasm";
