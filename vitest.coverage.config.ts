import { defineConfig } from "vitest/config";
import { sourceAlias } from "./vitest.config.js";

/** Packages that decode what a guest holds. The command stands apart: its tests run it in processes of their own. */
const DECODERS = [
  "boot",
  "btrfs",
  "codec",
  "ext",
  "fat",
  "grub",
  "image",
  "iso9660",
  "partition",
  "signature",
  "squashfs",
  "volume",
  "xfs",
];
const sources = (name: string): string => `packages/${name}/src/**/*.ts`;

/**
 * How much of each package's lines is run by tests that say what must come out. Fuzzing and the command reach more of them,
 * and would only show that nothing crashed; the differential suite needs tools that not every machine has.
 */
export default defineConfig({
  resolve: { alias: sourceAlias },
  test: {
    include: [
      `packages/{${DECODERS.join()}}/test/**/*.test.ts`,
      "test/*-fixtures.test.ts",
      "test/{corrupt,advisories}/**/*.test.ts",
    ],
    exclude: [
      "test/corrupt/cli*.test.ts",
      // Worker threads run the built package, and the compiler of WebAssembly none of it.
      "packages/codec/test/{wasm,workers}.test.ts",
    ],
    testTimeout: 60_000,
    // One after the other: what is counted is slower by half, and some tests hold hostile input to a time.
    fileParallelism: false,
    coverage: {
      provider: "v8",
      include: DECODERS.map(sources),
      exclude: ["packages/codec/src/node/**"],
      reporter: ["text-summary", "html"],
      thresholds: Object.fromEntries(DECODERS.map((name) => [sources(name), { lines: 95 }])),
    },
  },
});
