import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const packages = fileURLToPath(new URL("./packages/", import.meta.url));

/** Tests run against the TypeScript sources, so that a stale build can never pass. */
export const sourceAlias = [
  { find: /^@guestprobe\/([a-z0-9]+)$/, replacement: `${packages}$1/src/index.ts` },
  { find: /^@guestprobe\/([a-z0-9]+)\/([a-z0-9-]+)$/, replacement: `${packages}$1/src/$2` },
];

export default defineConfig({
  resolve: { alias: sourceAlias },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/*.test.ts", "test/{corrupt,fuzz,advisories}/**/*.test.ts"],
    testTimeout: 20_000,
  },
});
