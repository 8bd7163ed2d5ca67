import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
// The built command: the sandbox starts it, and looks for its files beside it.
import { sandboxArguments } from "../../dist/sandbox.js";
import { checkDocument } from "./schema.js";

const sample = fileURLToPath(new URL("../../../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-sandbox-"));
afterAll(() => rmSync(scratch, { recursive: true }));

test.each([
  ["inspect", "--json", sample],
  ["search", sample],
  ["ls", "-lR", sample, "/"],
  ["cat", sample, "/boot/grub/grub.cfg"],
  ["cat", sample, "/no/such"],
  ["manifest", sample],
  ["boot", sample],
  ["lint", "--sarif", sample],
])("the same answer and exit code: %s %s", { timeout: 60_000 }, async (...args) => {
  const plain = await guestprobe(args);
  const inside = await guestprobe([...args, "--sandbox"]);
  expect([inside.code, inside.out]).toEqual([plain.code, plain.out]);
});

describe("what the process inside may do", () => {
  const invocation = { verb: { name: "cp" }, words: [sample, "/etc", join(scratch, "out")], options: {} };
  const limits = { memory: 256 << 20, time: undefined };
  const attempt = (script: string): string => {
    const node = sandboxArguments(invocation as never, limits as never).slice(0, -1);
    const run = spawnSync(process.execPath, [...node, "--input-type=module", "-e", script], { encoding: "utf8" });
    return run.status === 0 ? "allowed" : (/ERR_ACCESS_DENIED/.exec(run.stderr)?.[0] ?? run.stderr);
  };

  test("read the image, write below DEST", () => {
    expect(attempt(`import fs from "node:fs"; fs.openSync(${JSON.stringify(sample)}, "r")`)).toBe("allowed");
    const made = JSON.stringify(join(scratch, "out"));
    expect(attempt(`import fs from "node:fs"; fs.mkdirSync(${made}); fs.writeFileSync(${made} + "/x", "")`)).toBe(
      "allowed",
    );
  });

  test.each([
    ["read another file", `fs.readFileSync("/etc/passwd")`],
    ["read another file by a link", `fs.readFileSync(${JSON.stringify(join(scratch, "link"))})`],
    ["write beside DEST", `fs.writeFileSync(${JSON.stringify(join(scratch, "beside"))}, "")`],
    ["write to the image", `fs.openSync(${JSON.stringify(sample)}, "r+")`],
    ["start a process", `(await import("node:child_process")).spawnSync("true")`],
    ["start a thread", `new (await import("node:worker_threads")).Worker("", { eval: true })`],
  ])("not %s", (_, script) => {
    expect(attempt(`import fs from "node:fs"; ${script}`)).toBe("ERR_ACCESS_DENIED");
  });
});

describe("a process that does not keep to the limits", () => {
  test("is ended, and the document is whole", { timeout: 60_000 }, async () => {
    const { code, out, err } = await guestprobe(["inspect", "--json", "--sandbox", "--limit-memory", "64M", sample]);
    // Whether it notices by itself or is ended from outside: the program alone is larger than that.
    expect(code).toBe(4);
    expect(checkDocument(out).schema).toBe("guestprobe/error/1");
    expect(err).toMatch(/memory limit of 67108864 bytes/);
  });

  test("copying leaves nothing under a final name", { timeout: 60_000 }, async () => {
    const big = join(scratch, "big.img");
    writeFileSync(big, "");
    const { code } = await guestprobe([
      "cp",
      "--sandbox",
      "--limit-time",
      "1ms",
      sample,
      "/boot",
      join(scratch, "cut"),
    ]);
    expect(code).toBe(4);
    expect(readdirSync(scratch).filter((name) => name === "cut")).toEqual([]);
  });

  test("links are not made in it", async () => {
    const { code } = await guestprobe(["cp", "--sandbox", "--links", sample, "/boot", join(scratch, "links")]);
    expect(code).toBe(2);
  });
});
