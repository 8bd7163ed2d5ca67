/**
 * Hostile names and texts through every verb and every format: what reaches a terminal cannot steer it, what is JSON is
 * valid, and `cp` and `extract-boot` write only where they may.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LINUX_NOTES, makeBzImage, makeElf } from "../../packages/boot/test/build.js";
import { checkDocument } from "../../packages/cli/test/e2e/schema.js";
import { guestprobe } from "../lib/cli.js";
import { run } from "../lib/kernel-view.mjs";

const place = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const main = place("../../packages/cli/dist/main.js");
const sample = place("../../sample/guest.img");
const fullPipe = place("full-pipe.py");
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-output-"));
const image = join(scratch, "guest.img");
afterAll(() => rmSync(scratch, { recursive: true }));

const NAMES: readonly (string | Buffer)[] = [
  "\x1b[2Jclear",
  "\x1b]0;title\x07",
  "bell\x07\b\x7f",
  "line\nbreak",
  "carriage\rreturn",
  "\u202efdp.exe",
  "\u2066isolate\u2069",
  "zero\u200bwidth",
  "\u009b31m",
  Buffer.from([0x66, 0xff, 0xfe, 0x80]),
  Buffer.from([0xc0, 0xaf, 0x2e]),
  "__proto__",
  "constructor",
  "=cmd|'calc'!A1",
  "+1+1",
  "@SUM(A1)",
  "<script>alert(1)",
  "\"quoted\", 'both'",
  "back\\slash\\x1b",
  "CON",
  "aux.txt",
  "Case",
  "case",
  "-rf",
  "a".repeat(255),
];
const HOSTILE = "\x1b[31m\u202e<b>=1+1\x07";

beforeAll(() => {
  const tree = join(scratch, "tree");
  for (const folder of ["", "boot", "boot/grub", "names", "etc"]) mkdirSync(join(tree, folder));
  const below = (name: string | Buffer): Buffer =>
    Buffer.concat([Buffer.from(join(tree, "names/")), Buffer.from(name)]);
  for (const name of NAMES) writeFileSync(below(name), "x");
  symlinkSync(`/etc/${HOSTILE}`, join(tree, "names/link"));
  symlinkSync("../../../../../../etc/passwd", join(tree, "names/out"));
  execFileSync("mknod", [join(tree, "names/null"), "c", "1", "3"]);
  writeFileSync(join(tree, "names/setuid"), "x", { mode: 0o755 });
  execFileSync("chmod", ["4755", join(tree, "names/setuid")]);
  const kernel = makeBzImage({ payload: new Uint8Array(gzipSync(makeElf({ notes: LINUX_NOTES }))) });
  writeFileSync(join(tree, "boot/vmlinuz"), kernel);
  writeFileSync(join(tree, "boot/initrd"), "initrd");
  const entry = (title: string): string =>
    `menuentry '${title}' {\n linux /boot/vmlinuz root=/dev/xvda '${HOSTILE}'\n initrd /boot/initrd\n}\n`;
  writeFileSync(
    join(tree, "boot/grub/grub.cfg"),
    `set default=0\nset timeout=5\n${entry(`a${HOSTILE}`)}${entry("b".repeat(65_536))}${entry("__proto__")}'nosuch${HOSTILE}' x\necho '${HOSTILE}'\n`,
  );
  writeFileSync(join(tree, "etc/fstab"), `LABEL=${HOSTILE} / ext4 defaults 0 1\n`);
  writeFileSync(join(tree, "etc/os-release"), `ID=${HOSTILE}\n`);
  closeSync(openSync(image, "w"));
  run("truncate", ["-s", "8M", image]);
  run("mke2fs", ["-q", "-t", "ext4", "-L", "\x1b[1m\u202e<i>", "-d", tree, image]);
});

/** Text that a terminal, or a person before it, would take for something else. */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

const VERBS: readonly (readonly string[])[] = [
  ["inspect", image],
  ["search", "-f", `/names/${NAMES[0]}`, image],
  ["parts", image],
  ["ls", image, "/names"],
  ["ls", "-lR", image, "/"],
  ["tree", image, "/"],
  ["stat", image, "/names/link"],
  ["stat", image, `/names/${NAMES[5]}`],
  ["find", image, "/"],
  ["find", "--name", "[", image, "/"],
  ["menu", image],
  ["boot", image],
  ["boot", "--all-hosts", image],
  ["lint", image],
  ["lint", "--all-hosts", image],
  ["cat", image, `/no/${HOSTILE}`],
  ["ls", image, `(${HOSTILE})/`],
  ["stat", image, `/${"n".repeat(65_535)}`],
  ["ls", image, `/names/${`${"d".repeat(255)}/`.repeat(256)}`],
  ["search", "-l", "\x1b[1m\u202e<i>", image],
  ["search", "-u", HOSTILE, image],
  ["find", "--name", HOSTILE, image, "/"],
  ["menu", "--entry", `a${HOSTILE}`, image],
  ["menu", "--entry", "__proto__", image],
  ["menu", "--file", `/no/${HOSTILE}`, image],
  ["grub", "check", image],
  ["host", image],
  ["explain", `no-${HOSTILE}`],
  ["cp", image, `/no/${HOSTILE}`, join(scratch, "no")],
  [`no${HOSTILE}`, image],
];

/** Each with what a report may call it. */
const NAMED = VERBS.map((args) => {
  const name = args.slice(0, 2).join(" ");
  return [name.replace(/[^ -~]/g, "?"), args] as const;
});

describe("text", () => {
  test.each(NAMED)("%s", { timeout: 60_000 }, async (_, args) => {
    const { code, out, err } = await guestprobe(args);
    expect(code).toBeLessThanOrEqual(5);
    expect(UNSAFE.exec(out)).toBeNull();
    expect(UNSAFE.exec(err)).toBeNull();
  });
});

describe("JSON", () => {
  test.each(NAMED)("%s", { timeout: 60_000 }, async (_, args) => {
    const { code, out, err } = await guestprobe([...args, "--json"]);
    expect(code).toBeLessThanOrEqual(5);
    if (code !== 2) checkDocument(out);
    expect(UNSAFE.exec(out)).toBeNull();
    expect(UNSAFE.exec(err)).toBeNull();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test("manifest: each line is a document, and each name is there exactly", async () => {
    const { out } = await guestprobe(["manifest", image, "/names"]);
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => checkDocument(line));
    const found = lines.map(({ path, pathHex }) =>
      (pathHex === undefined ? Buffer.from(String(path)) : Buffer.from(String(pathHex), "hex")).toString("latin1"),
    );
    for (const name of NAMES) expect(found).toContain(`/names/${Buffer.from(name).toString("latin1")}`);
  });

  test("lint --sarif: one document of the version that it names", async () => {
    const { out } = await guestprobe(["lint", "--sarif", image]);
    const document = JSON.parse(out) as { version: string; runs: { results: { message: { text: string } }[] }[] };
    expect(document.version).toBe("2.1.0");
    for (const { message } of document.runs[0]!.results) expect(UNSAFE.exec(message.text)).toBeNull();
  });
});

describe("files on the host", () => {
  test("cp: every name below DEST; no link, device node or setuid bit", { timeout: 60_000 }, async () => {
    const to = join(scratch, "out");
    const { code } = await guestprobe(["cp", image, "/names", to]);
    expect([0, 4]).toContain(code);
    const copied = readdirSync(join(to, "names"), { encoding: "buffer" }).map((name) => name.toString("latin1"));
    expect(copied.sort()).toEqual([...NAMES.map((name) => Buffer.from(name).toString("latin1")), "setuid"].sort());
    for (const name of readdirSync(join(to, "names"), { encoding: "buffer" })) {
      const stat = lstatSync(Buffer.concat([Buffer.from(`${to}/names/`), name]));
      expect(stat.isFile()).toBe(true);
      expect(stat.mode & 0o7000).toBe(0);
    }
    expect(readdirSync(to)).toEqual(["names"]);
  });

  test("cp: names that clash, or that Windows has for something else, are told", { timeout: 60_000 }, async () => {
    const { code, out, err } = await guestprobe(["cp", "--json", image, "/names", join(scratch, "told")]);
    expect(code).toBe(0);
    expect(UNSAFE.exec(err)).toBeNull();
    const { findings } = checkDocument(out) as {
      findings: { code: string; severity: string; where: { path: string } }[];
    };
    const told = (wanted: string): string[] =>
      findings.filter((each) => each.code === wanted).map(({ where }) => where.path.replace("/names/", ""));
    // Which of the two comes second is the directory's choice.
    expect(told("copy-names-clash")).toHaveLength(1);
    expect(told("copy-names-clash")[0]).toMatch(/^case$/i);
    const reserved = told("copy-name-reserved");
    for (const name of ["CON", "aux.txt", "=cmd|'calc'!A1", "<script>alert(1)", "bell\x07\b\x7f", "back\\slash\\x1b"]) {
      expect(reserved).toContain(name);
    }
    for (const name of ["__proto__", "@SUM(A1)", "-rf"]) expect(reserved).not.toContain(name);
    expect(new Set(findings.map(({ severity }) => severity))).toEqual(new Set(["warning"]));
  });

  test("cp: a link that stands where a directory is to be is not followed", async () => {
    const to = join(scratch, "trap");
    const elsewhere = join(scratch, "elsewhere");
    mkdirSync(to);
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(to, "names"));
    const { code, err } = await guestprobe(["cp", image, "/names", to]);
    expect(code, err).toBe(5);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test("extract-boot: nothing is written over or through what is there", async () => {
    const to = join(scratch, "boot");
    const victim = join(scratch, "victim");
    writeFileSync(victim, "untouched");
    mkdirSync(to);
    symlinkSync(victim, join(to, "boot_kernel"));
    const { code, err } = await guestprobe(["extract-boot", image, to]);
    expect(code, err).toBe(5);
    expect(err).not.toMatch(/\x1b/);
    expect(lstatSync(victim).size).toBe("untouched".length);
    const fresh = await guestprobe(["extract-boot", image, join(scratch, "fresh")]);
    expect(fresh.code).toBe(0);
    expect(readdirSync(join(scratch, "fresh")).sort()).toEqual(["boot_kernel", "boot_ramdisk"]);
  });

  test("a full disk: nothing is left under a final name", { timeout: 60_000 }, async () => {
    const full = join(scratch, "full");
    mkdirSync(full);
    run("mount", ["-t", "tmpfs", "-o", "size=16k", "tmpfs", full]);
    try {
      const copied = await guestprobe(["cp", image, "/boot/grub/grub.cfg", full]);
      expect([copied.code, readdirSync(full)]).toEqual([5, []]);
      writeFileSync(join(full, "filler"), Buffer.alloc(16 << 10));
      const taken = await guestprobe(["extract-boot", image, full]);
      expect([taken.code, readdirSync(full)]).toEqual([5, ["filler"]]);
    } finally {
      run("umount", [full]);
    }
  });
});

// Whoever shares a pipe may have set it not to block: a write that finds it full fails instead of waiting.
test.each([[["explain"]], [["--help"]], [["search", sample, "--json"]]])(
  "%j reaches its reader through a full pipe that does not block",
  (args) => {
    const command = [process.execPath, main, ...args];
    const answer = execFileSync("python3", [fullPipe, ...command], { encoding: "utf8", timeout: 30_000 });
    expect(answer).toBe(execFileSync(command[0]!, command.slice(1), { encoding: "utf8" }));
    expect(answer).not.toBe("");
  },
);
