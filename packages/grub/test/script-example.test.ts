import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** The example of the documentation, as a reader would copy it. */
const example = /```js\n([\s\S]*?)```/.exec(readFileSync(`${root}docs/grub-script.md`, "utf8"))![1]!;

const expected = [
  [["Linux /boot/vmlinuz-5.10", "Linux /boot/vmlinuz-6.1"]],
  ["default is `/boot/vmlinuz-6.1', a title or an id", "/boot/vmlinuz-6.1", "root=/dev/xvda1 ro"],
];

async function bundle(platform: "node" | "browser"): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: `globalThis.finished = (async () => {\n${asFunctionBody(example)}\n})();`, resolveDir: root },
    bundle: true,
    write: false,
    platform,
    format: "iife",
    alias: {
      "@guestprobe/grub/script": `${root}packages/grub/src/script/index.ts`,
      "@guestprobe/block": `${root}packages/block/src/index.ts`,
    },
  });
  return outputFiles[0]!.text;
}

/** An import cannot stand in a function; as the first line of it, a dynamic one says the same. */
function asFunctionBody(text: string): string {
  return text.replace(/^import (\{.*?\}) from (".*?");/gm, "const $1 = await import($2);");
}

async function run(code: string, globals: Record<string, unknown>): Promise<unknown[][]> {
  const printed: unknown[][] = [];
  const context: Record<string, unknown> = { console: { log: (...args: unknown[]) => printed.push(args) }, ...globals };
  context.globalThis = context;
  runInNewContext(code, context);
  await (context as { finished: Promise<void> }).finished;
  return JSON.parse(JSON.stringify(printed)) as unknown[][];
}

describe("the example for authors of engines", () => {
  it("is at most 20 lines", () => {
    expect(example.trim().split("\n").length).toBeLessThanOrEqual(20);
  });

  it("runs in Node", async () => {
    expect(await run(await bundle("node"), { TextDecoder, TextEncoder, process, Buffer })).toEqual(expected);
  });

  it("runs in a browser: a bundle without Node's modules and globals", async () => {
    const code = await bundle("browser");
    expect(code).not.toMatch(/require\(["']node:/);
    expect(await run(code, { TextDecoder, TextEncoder })).toEqual(expected);
  });
});
