/** The first lines of the command, which are a shell's, before the shells that stand behind /bin/sh somewhere. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const main = join(root, "packages/cli/dist/main.js");
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

test.each([
  ["dash", []],
  ["bash", ["--posix"]],
  ["busybox", ["sh"]],
  ["mksh", []],
])("%s", (shell, words) => {
  const ask = ["search", "sample/guest.img"];
  const expected = spawnSync(process.execPath, [main, ...ask], { cwd: root, env, encoding: "utf8" });
  expect(expected.stdout).toContain("(xen/xvda,msdos2)/boot/grub/grub.cfg");
  const { error, status, stdout, stderr } = spawnSync(shell, [...words, main, ...ask], {
    cwd: root,
    env,
    encoding: "utf8",
  });
  expect({ error, status, stdout, stderr }).toEqual({
    error: undefined,
    status: 0,
    stdout: expected.stdout,
    stderr: "",
  });
});
