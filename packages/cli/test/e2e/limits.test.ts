import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { fixtures } from "../../../../test/lib/fixtures.js";
import { checkDocument } from "./schema.js";

/** Each limit of the command line: where it ends the work, what is answered until then, and what just fits. */
const sample = fileURLToPath(new URL("../../../../sample/guest.img", import.meta.url));
const ROOT = "(hd0,2)/";
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-limits-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("--limit-depth", () => {
  /** What stands at the top of the sample, by the list in its maker. */
  const TOP = ["boot", "etc", "lost+found"];
  const names = (text: string): string[] =>
    text.replaceAll("xen/xvda", "").match(/\b(?:boot|etc|grub|xen|fstab|lost\+found)\b/g) ?? [];

  test.each([["find"], ["ls", "-R"], ["tree"], ["manifest", "--no-hash"]])(
    "%s: directories too deep are named, told and not entered",
    async (...verb) => {
      const { code, out, err } = await guestprobe([...verb, "--limit-depth", "1", sample, ROOT]);
      expect(code).toBe(4);
      expect(names(out).toSorted()).toEqual(TOP);
      for (const name of TOP) expect(err).toContain(`(xen/xvda,msdos2)/${name}: directories are nested too deep`);
    },
  );

  test.each([["find"], ["ls", "-R"], ["tree"], ["manifest", "--no-hash"]])("%s: it is inclusive", async (...verb) => {
    const deep = await guestprobe([...verb, "--limit-depth", "3", sample, ROOT]);
    expect([deep.code, deep.err]).toEqual([0, ""]);
    expect(deep.out).toBe((await guestprobe([...verb, sample, ROOT])).out);
    expect((await guestprobe([...verb, "--limit-depth", "2", sample, ROOT])).code).toBe(4);
    // Counted from where the listing begins.
    expect((await guestprobe([...verb, "--limit-depth", "2", sample, `${ROOT}boot`])).code).toBe(0);
  });

  test("in JSON the directory has the error", async () => {
    const { out } = await guestprobe(["find", "--json", "--limit-depth", "1", sample, ROOT]);
    const { entries } = checkDocument(out) as { entries: { path: string; type: string; error?: object }[] };
    expect(entries.find(({ path }) => path === "/boot")).toMatchObject({ type: "dir", error: { code: "limit" } });
    const { out: lines } = await guestprobe(["manifest", "--limit-depth", "1", sample, ROOT]);
    const boot = lines.split("\n").find((line) => line.includes('"path":"/boot"'));
    expect(checkDocument(boot ?? "")).toMatchObject({ type: "dir", error: { code: "limit" } });
  });
});

describe("a directory whose entries break off", () => {
  test.each(["find", "manifest"])("%s gives it once", async (verb) => {
    const image = readFileSync(sample);
    // ext4_dir_entry_2 of /etc/fstab: name_len 5, file_type 1 and the name; rec_len lies before them, and is made too short.
    const at = image.indexOf("\x05\x01fstab", 0, "latin1") - 2;
    expect(at).toBeGreaterThan(0);
    image.writeUInt16LE(8, at);
    const file = join(scratch, `${verb}.img`);
    writeFileSync(file, image);
    const { code, out, err } = await guestprobe([verb, "--checksums", "ignore", file, ROOT]);
    expect(code).toBe(4);
    expect(err).toContain("rec_len");
    expect(out.match(/\/etc\b/g)).toHaveLength(1);
  });
});

test("--limit-memory ends the work where the process holds more", async () => {
  // With so many disks the program is larger than the least that may be asked for.
  const disks = Array.from({ length: 60 }, () => sample);
  const { code, err } = await guestprobe(["inspect", "--limit-memory", "64M", ...disks]);
  expect(code).toBe(4);
  expect(err).toContain("the memory limit of 67108864 bytes is reached");
  expect((await guestprobe(["inspect", "--limit-memory", "1G", ...disks])).code).toBe(0);
});

describe("--limit-reads", () => {
  test.each([["inspect"], ["search"], ["find", ROOT], ["manifest", ROOT]])("%s ends with 4", async (verb, ...paths) => {
    const words = [sample, ...paths];
    const { code, err } = await guestprobe([verb, "--limit-reads", "4K", ...words]);
    expect(code).toBe(4);
    expect(err).toContain("more than 4096 bytes read from the images");
    expect((await guestprobe([verb, "--limit-reads", "1G", ...words])).code).toBe(0);
  });
});

describe("files of the host", () => {
  const uses = (file: string) => [
    ["host", file],
    ["grub", "check", file],
    ["grub", "run", file, "--image", sample],
    ["boot", "--xl", file],
    ["boot", "--host", file, sample],
    ["lint", "--xl", file],
  ];

  test.each(uses("/dev/zero"))("one without an end: %s %s", async (...words) => {
    const { code, err, maxRss } = await guestprobe(words);
    expect(code).toBe(4);
    expect(err).toMatch(/\/dev\/zero: more than \d+ bytes/);
    expect(maxRss).toBeLessThan(256 << 20);
  });

  test.each(uses(scratch))("a directory: %s %s", async (...words) => {
    const { code, err } = await guestprobe(words);
    expect(code).toBe(5);
    expect(err).toContain(`${scratch}: is a directory`);
  });

  test.each(uses(join(scratch, "absent")).filter(([verb, option]) => verb !== "boot" || option !== "--host"))(
    "one that is not there: %s %s",
    async (...words) => {
      const { code, err } = await guestprobe(words);
      expect(code).toBe(5);
      expect(err).toContain("absent: no such file");
    },
  );
});

describe("--limit-decoded", () => {
  test("what decoders make is counted over all files", async () => {
    const [fixture] = fixtures("squashfs").filter(({ name }) => name.includes("gzip"));
    const file = join(scratch, "squashfs.img");
    writeFileSync(file, fixture!.image());
    const { code, err } = await guestprobe(["manifest", "--limit-decoded", "1K", file]);
    expect(code).toBe(4);
    expect(err).toContain("more than 1024 bytes decoded");
    expect((await guestprobe(["manifest", file])).code).toBe(0);
  });
});

describe("--limit-symlinks", () => {
  test("links on the way to one file are counted", async () => {
    const path = "(hd0,2)/boot/vmlinuz";
    const { code, err } = await guestprobe(["cat", "--limit-symlinks", "0", sample, path]);
    expect(code).not.toBe(0);
    expect(err).toContain("more than 0 symbolic links on the way to /boot/vmlinuz");
    expect((await guestprobe(["cat", "--limit-symlinks", "1", sample, path])).code).toBe(0);
  });
});
