import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const packages = fileURLToPath(new URL("../packages/", import.meta.url));

/** What each package exports, by subpath. A change here is a change of the public interface: it is meant to be seen. */
describe.each(readdirSync(packages).filter((name) => name !== "cli"))("@guestprobe/%s", (name) => {
  const { exports } = JSON.parse(readFileSync(`${packages}${name}/package.json`, "utf8")) as {
    exports: Record<string, { default: string }>;
  };
  test.each(Object.entries(exports))("%s", async (_, target) => {
    const source = target.default.replace("./dist/", "./src/").replace(/\.js$/, ".ts");
    const names = Object.keys((await import(`${packages}${name}/${source}`)) as object);
    expect(names.sort()).toMatchSnapshot();
    expect(names.length).toBeGreaterThan(0);
  });

  test("no file of it but those for Node imports from Node", () => {
    for (const file of readdirSync(`${packages}${name}/src`, { recursive: true }) as string[]) {
      if (!file.endsWith(".ts") || file.startsWith("node/")) continue;
      expect(readFileSync(`${packages}${name}/src/${file}`, "utf8"), file).not.toMatch(/from "node:/);
    }
  });
});
