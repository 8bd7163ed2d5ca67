import { defineConfig } from "vitest/config";
import { sourceAlias } from "./vitest.config.js";

/** The differential suite: builds images with the real tools and compares with the kernel and the real GRUB. */
export default defineConfig({
  resolve: { alias: sourceAlias },
  test: {
    include: ["test/reference/**/*.test.ts"],
    // Above what emulated guests and installations are given themselves, for those say what was in the way.
    testTimeout: 1_000_000,
    hookTimeout: 1_000_000,
    // Loop devices, mounts and terminals of other programs: once in a while one is busy.
    retry: 1,
    maxWorkers: 2,
  },
});
