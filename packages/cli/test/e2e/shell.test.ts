import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

/** The command as a shell runs it: its real entry, pipes that close early, full disks, odd words. */
const root = fileURLToPath(new URL("../../../../", import.meta.url));
const main = join(root, "packages/cli/dist/main.js");
const sample = join(root, "sample/guest.img");
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-shell-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Shelled {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `stdout` is a descriptor to write to, or "closed": a pipe whose reader leaves at once. */
function shell(args: readonly string[], stdout?: number | "closed", closedErr = false): Promise<Shelled> {
  return new Promise((resolve, reject) => {
    const stdio = ["ignore", typeof stdout === "number" ? stdout : "pipe", "pipe"] as const;
    const child = spawn(process.execPath, [main, ...args], { stdio: [...stdio], cwd: scratch });
    const text = { out: "", err: "" };
    if (stdout === "closed") child.stdout?.destroy();
    child.stdout?.on("data", (chunk) => {
      text.out += chunk;
    });
    if (closedErr) child.stderr?.destroy();
    child.stderr?.on("data", (chunk) => {
      text.err += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...text }));
  });
}

const everyKind = [
  ["inspect", sample],
  ["ls", "-R", sample, "(hd0,2)/"],
  ["ls", "--json", sample, "(hd0,2)/"],
  ["cat", sample, "(hd0,2)/boot/grub/grub.cfg"],
  ["manifest", sample],
  ["--help"],
  ["help", "ls"],
  ["completion", "bash"],
];

describe("the reader of a pipe leaves", () => {
  test.each(everyKind)("%s %s", async (...args) => {
    const { code, err } = await shell(args, "closed");
    expect(err).not.toMatch(/EPIPE|\bat /);
    expect(code).toBe(5);
  });

  test("that of standard error: the exit code is still the answer", async () => {
    expect((await shell(["cat", sample, "(hd0,2)/absent"], undefined, true)).code).toBe(1);
    expect(await shell(["inspect", "-v", sample], undefined, true)).toMatchObject({ code: 0 });
  });
});

// Linux has a device that is always full.
describe.runIf(existsSync("/dev/full"))("standard output is full", () => {
  test.each(everyKind)("%s %s", async (...args) => {
    const full = openSync("/dev/full", "w");
    try {
      const { code, err } = await shell(args, full);
      expect(code).toBe(5);
      expect(err).toBe("guestprobe: standard output: ENOSPC: no space left on device, write\n");
    } finally {
      closeSync(full);
    }
  });
});

describe("words as people type them", () => {
  test("a blank in the name of an image, and -- in front of it", async () => {
    writeFileSync(join(scratch, "my disk.img"), readFileSync(sample));
    writeFileSync(join(scratch, "-x.img"), readFileSync(sample));
    for (const args of [["my disk.img"], ["--", "my disk.img"], ["--", "-x.img"], ["inspect", "--", "-x.img"]]) {
      const { code, out, err } = await shell(args);
      expect([code, err], args.join(" ")).toEqual([0, ""]);
      expect(out).toContain("(xen/xvda,msdos2)/boot/grub/grub.cfg");
    }
  });

  test("options behind the words", async () => {
    expect((await shell(["ls", sample, "(hd0,2)/etc", "-l"])).out).toMatch(/^-rw-r--r--/);
  });

  test.each<[string[], number, string, string]>([
    [[""], 2, '"" is neither a verb nor a file', "guestprobe --help"],
    [["ls", ""], 2, "the name of an IMAGE is empty", "guestprobe ls --help"],
    [["ls", "", "/"], 2, "the name of an IMAGE is empty", "guestprobe ls --help"],
    [["-v"], 2, "no IMAGE is given", "guestprobe inspect --help"],
    [["ls", "--lng", sample, "/"], 2, "unknown option '--lng'", "--long"],
    [["ls", "--zzzzzz", sample, "/"], 2, "unknown option '--zzzzzz'", "guestprobe ls --help"],
    [["help", "mainfest"], 2, '"mainfest" is no verb', "guestprobe help manifest"],
    [["a".repeat(5000)], 2, "is neither a verb nor a file", "guestprobe --help"],
  ])("%j", async (args, code, message, next) => {
    const got = await shell(args);
    expect(got.code).toBe(code);
    expect(got.out).toBe("");
    const lines = got.err.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(message);
    expect(lines[1]).toBe(`  try: ${next}`);
  });

  test("a path without its slash is told apart from a missing image", async () => {
    const { code, err } = await shell(["ls", sample, "etc"]);
    expect(code).toBe(5);
    expect(err).toBe('guestprobe: etc: no such file; a path in the guest begins with "/" or "(DEVICE)"\n');
  });

  test("help, help VERB and VERB --help", async () => {
    expect((await shell(["help"])).out).toBe((await shell(["--help"])).out);
    const help = await shell(["help", "manifest"]);
    expect(help).toEqual(await shell(["manifest", "--help"]));
    expect([help.code, help.err]).toEqual([0, ""]);
  });
});
