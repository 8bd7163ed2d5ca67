/** Makes ext images with mke2fs, fills them through the kernel. Plain JavaScript, for test/make as well. */
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { run, withMount } from "./kernel-view.mjs";

export const UUID = "3f8a1c52-7d0e-4b96-a1c4-5e2f90b7d613";
export const HASH_SEED = "6b1d2f3e-90ab-4cde-8f01-23456789abcd";

/** An image of `size` bytes, formatted with `args`; UUID, hash seed and label are always the same. */
export function makeExt(image, size, args) {
  closeSync(openSync(image, "w"));
  const fd = openSync(image, "r+");
  ftruncateSync(fd, size);
  closeSync(fd);
  const fixed = ["-q", "-F", "-U", UUID, "-E", `hash_seed=${HASH_SEED},lazy_itable_init=0`, "-L", "guest \u00e9"];
  run("mke2fs", [...fixed, ...args, image]);
}

/** The same, with `fill` called on the mounted volume. */
export function makeFilledExt(image, size, args, fill, mountOptions = []) {
  makeExt(image, size, args);
  withMount(image, ["rw", ...mountOptions], fill);
}
