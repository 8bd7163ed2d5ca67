import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { guestprobe } from "../lib/cli.js";
import { kernelView, run, withMount } from "../lib/kernel-view.mjs";

/** The command as users run it, against the kernel and the real GRUB. */
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-cli-"));
const sample = fileURLToPath(new URL("../../sample/guest.img", import.meta.url));
const program = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
const image = join(scratch, "volume.img");
afterAll(() => rmSync(scratch, { recursive: true }));

beforeAll(() => {
  writeFileSync(image, "");
  truncateSync(image, 64 << 20);
  run("mke2fs", ["-q", "-F", "-t", "ext4", image]);
  withMount(image, [], (point: string) => {
    mkdirSync(join(point, "d"), { mode: 0o2750 });
    for (let n = 0; n < 300; n += 1) writeFileSync(join(point, "d", `file ${n}`), "x".repeat(n * 37));
    writeFileSync(Buffer.concat([Buffer.from(`${point}/not utf-8 `), Buffer.from([0xff, 0xfe])]), "bytes");
    writeFileSync(join(point, "d", "\u202egnp.exe\u001b[31m"), "escapes");
    symlinkSync("d/file 1", join(point, "link"));
    symlinkSync("x".repeat(1000), join(point, "long link"));
    run("mknod", [join(point, "null"), "c", "1", "3"]);
    run("mknod", [join(point, "pipe"), "p"]);
    run("truncate", ["-s", "5G", join(point, "sparse")]);
    run("truncate", ["-s", "1M", join(point, "holes")]);
    run("dd", [
      "if=/dev/urandom",
      `of=${join(point, "holes")}`,
      "bs=4096",
      "seek=100",
      "count=3",
      "conv=notrunc",
      "status=none",
    ]);
  });
});

test("manifest equals what the kernel shows, key by key", async () => {
  // The sparse file of 5 GiB is compared but for its hash, which would cost the most and say the least.
  const kernel = withMount(image, ["ro"], (point: string) => {
    return kernelView(point, { skip: ["/sparse"] });
  }) as Record<string, unknown>[];
  const { out, code } = await guestprobe(["manifest", image]);
  expect(code).toBe(0);
  const ours = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const byPath = new Map(ours.map((entry) => [entry.pathHex ?? entry.path, entry]));
  expect(ours.length).toBe(kernel.length + 1);
  for (const entry of kernel) {
    const { schema, device, ...found } = byPath.get(entry.pathHex ?? entry.path) ?? {};
    expect([schema, device]).toEqual(["guestprobe/manifest/1", "xen/xvda"]);
    expect(found).toEqual(entry);
  }
  expect(byPath.get("/sparse")).toMatchObject({ size: 5 * 2 ** 30, type: "file" });
});

test("cp gives the files that the kernel gives", async () => {
  const out = join(scratch, "copy");
  expect((await guestprobe(["cp", "--links", image, "/d", "/link", out])).code).toBe(0);
  withMount(image, ["ro"], (point: string) => {
    expect(run("diff", ["-r", join(point, "d"), join(out, "d")])).toBe("");
  });
});

test("a block device is read as a file is", async () => {
  const loop = run("losetup", ["--find", "--show", "--read-only", sample]).trim();
  try {
    const [file, device] = [await guestprobe(["search", sample]), await guestprobe(["search", loop])];
    expect(device.out).toBe(file.out);
    expect(device.code).toBe(0);
    const { out } = await guestprobe(["inspect", "--json", loop]);
    expect((JSON.parse(out) as { disks: { bytes: number }[] }).disks[0]?.bytes).toBe(22528 * 512);
  } finally {
    run("losetup", ["--detach", loop]);
  }
});

test("no system call that could change the image is ever made", () => {
  const copy = join(scratch, "traced.img");
  copyFileSync(sample, copy);
  const log = join(scratch, "trace");
  for (const args of [["inspect"], ["search"], ["parts"], ["manifest"], ["ls", "-lR", "--journal", "replay"]]) {
    const command = ["-f", "-y", "-o", log, process.execPath, program, ...args, copy];
    execFileSync("strace", command, { stdio: ["ignore", "ignore", "pipe"] });
    const calls = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes("traced.img"));
    const opens = calls.filter((line) => /\bopen(at)?\(/.test(line));
    expect(opens.length).toBeGreaterThan(0);
    for (const line of opens) expect(line).toMatch(/O_RDONLY/);
    const names = new Set(calls.map((line) => /(?:^|\s)(\w+)\(/.exec(line)?.[1]));
    const harmless = [
      "open",
      "openat",
      "fstat",
      "statx",
      "newfstatat",
      "stat",
      "lstat",
      "read",
      "pread64",
      "preadv",
      "lseek",
      "close",
      "fcntl",
      "execve",
      "epoll_ctl",
      "ioctl",
    ];
    for (const name of names) expect(harmless, `${args[0]}: ${name}`).toContain(name);
  }
  expect(readFileSync(copy).equals(readFileSync(sample))).toBe(true);
});

test("the completion script for bash completes verbs, options and their values", () => {
  const complete = (words: readonly string[]): string[] =>
    execFileSync(
      "bash",
      [
        "-c",
        `eval "$(${process.execPath} ${program} completion bash)"
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
      _guestprobe; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
      { encoding: "utf8", cwd: scratch },
    )
      .trim()
      .split("\n");
  expect(complete(["guestprobe", "mani"])).toEqual(["manifest"]);
  expect(complete(["guestprobe", "search", "--hi"])).toEqual(["--hint"]);
  expect(complete(["guestprobe", "ls", "--journal", "re"])).toEqual(["replay"]);
  expect(complete(["guestprobe", "ls", "volu"])).toEqual(["volume.img"]);
});
