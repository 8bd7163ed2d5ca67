/** How the command starts: its file is a shell script, which hands itself to Node. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const main = join(root, "packages/cli/dist/main.js");
const sample = join(root, "sample/guest.img");
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-launcher-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);

const { GLIBC_TUNABLES: _tunables, NODE_EXTRA_CA_CERTS: _certificates, ...inherited } = process.env;

/** Runs the file itself, as a shell would. */
function start(file: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { encoding: "utf8", cwd: scratch, env: { ...inherited, PATH, ...env } } as const;
  const { status, stdout, stderr, signal } = spawnSync(file, words, options);
  return { status, stdout, stderr, signal };
}

/** What Node sees of how it was started. */
function seen(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const tell = join(scratch, "tell.cjs");
  writeFileSync(
    tell,
    `const { execArgv, argv, env: { GLIBC_TUNABLES, NODE_EXTRA_CA_CERTS } } = process;
     console.log(JSON.stringify({ execArgv, argv: argv.slice(2), GLIBC_TUNABLES, NODE_EXTRA_CA_CERTS }));
     process.exit();`,
  );
  const { stdout } = start(main, words, { ...env, NODE_OPTIONS: `--require=${JSON.stringify(tell)}` });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("words reach the program as they are, Node is started as suits it, and certificates are not read", () => {
  const words = ["ls", "a b", "", "$HOME", "*", '"', "--", "\\"];
  expect(seen(words, { NODE_EXTRA_CA_CERTS: "/etc/ssl/cert.pem" })).toEqual({
    argv: words,
    execArgv: ["--v8-pool-size=1", "--max-semi-space-size=2"],
    GLIBC_TUNABLES: expect.stringMatching(/^glibc\.malloc\.hugetlb=1:/),
  });
});

test("who tunes the C library is not overruled", () => {
  for (const GLIBC_TUNABLES of ["glibc.malloc.arena_max=3", ""])
    expect(seen([], { GLIBC_TUNABLES })).toMatchObject({ GLIBC_TUNABLES });
});

test("it answers as the program does, by whatever name and link it is reached", () => {
  const expected = spawnSync(process.execPath, [main, "search", sample], { encoding: "utf8" });
  expect(expected.stdout).toContain("(xen/xvda,msdos2)/boot/grub/grub.cfg");
  const bin = join(scratch, "a folder's $bin");
  mkdirSync(bin);
  const link = join(bin, "guestprobe");
  symlinkSync(main, link);
  for (const [file, env] of [
    [main, {}],
    [link, {}],
    ["guestprobe", { PATH: [bin, PATH].join(delimiter) }],
  ] as const) {
    expect(start(file, ["search", sample], env)).toEqual({ ...pick(expected), signal: null });
  }
});

const pick = ({ status, stdout, stderr }: ReturnType<typeof spawnSync>) => ({ status, stdout, stderr });

test("exit codes are the program's; a machine without Node has the shell's", () => {
  expect(start(main, ["search", "-f", "/not/there", sample]).status).toBe(1);
  expect(start(main, ["no-such-verb"]).status).toBe(2);
  symlinkSync("/bin/sh", join(scratch, "sh"));
  const none = start(main, ["--version"], { PATH: scratch });
  expect(none.status).toBe(127);
  expect(none.stderr).toMatch(/node: (command )?not found/);
});
