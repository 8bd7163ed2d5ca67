/** A module of its own: of a library that is loaded by its name, a bundler takes everything, of one that is listed, what is listed. */
export { createMD5 } from "hash-wasm";
