import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { checkDocument } from "./schema.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const sample = join(root, "sample/guest.img");
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-e2e-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** What test/make/sample.mjs wrote, and sfdisk and mke2fs were told. */
const GRUB_CFG = `set timeout=5
menuentry 'Sample Linux' {
  linux /boot/vmlinuz-sample root=/dev/xvda2 ro console=hvc0
  initrd /boot/initrd-sample.img
}
`;
const FSTAB = "/dev/xvda2 / ext4 defaults 0 1\n/dev/xvda1 /boot ext2 defaults 0 2\n";
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("inspect", () => {
  test("without a verb, an image is inspected", async () => {
    const alone = await guestprobe([sample]);
    const named = await guestprobe(["inspect", sample]);
    expect(alone.code).toBe(0);
    expect(alone.out).toBe(named.out);
    expect(alone.out).toContain("(xen/xvda,msdos2)/boot/grub/grub.cfg");
    for (const line of alone.out.split("\n")) expect(line.length).toBeLessThan(100);
  });

  test("the document has what sfdisk and mke2fs were told", async () => {
    const { out, code, err } = await guestprobe(["inspect", "--json", sample]);
    expect(code).toBe(0);
    expect(err).toBe("");
    const { disks, findings } = checkDocument(out) as { disks: Record<string, unknown>[]; findings: unknown[] };
    expect(findings).toEqual([]);
    expect(disks).toHaveLength(1);
    expect(disks[0]).toMatchObject({ device: "xen/xvda", image: sample, format: "raw", bytes: 22528 * 512, fs: null });
    expect(disks[0]?.partitions).toMatchObject([
      {
        device: "xen/xvda,msdos1",
        start: 2048 * 512,
        bytes: 2048 * 512,
        type: { id: "0x83" },
        active: true,
        fs: { kind: "ext2", label: "boot", uuid: "11111111-2222-4333-8444-555555555501", blockSize: 1024 },
        bootFiles: ["/xen/pvboot-x86_64.elf", "/grub/grub.cfg", "/grub/menu.lst"],
      },
      { device: "xen/xvda,msdos2", active: false, fs: { kind: "ext4", label: "root", blockSize: 4096 } },
      { device: "xen/xvda,msdos3", kind: "extended", type: { id: "0x05" }, fs: null },
      { device: "xen/xvda,msdos5", kind: "logical", start: 14336 * 512, fs: { kind: "ext3", label: "old" } },
    ]);
  });

  test("several images are disks in their order, and --as names them", async () => {
    const { out } = await guestprobe(["inspect", "--json", "--as", "xvdb,hda", sample, sample]);
    const { disks } = checkDocument(out) as { disks: { device: string; partitions: { device: string }[] }[] };
    expect(disks.map((disk) => disk.device)).toEqual(["xen/xvdb", "xen/hda"]);
    expect(disks[1]?.partitions[0]?.device).toBe("xen/hda,msdos1");
  });
});

describe("parts", () => {
  test("tables, partitions and gaps", async () => {
    const { out, code } = await guestprobe(["parts", "--json", sample]);
    expect(code).toBe(0);
    const { disks } = checkDocument(out) as { disks: { tables: unknown[]; gaps: unknown[] }[] };
    expect(disks[0]?.tables).toMatchObject([{ kind: "mbr", role: "main", uuid: "5a3b1c00", problems: [] }]);
    // Between the table and the first partition, and between the extended boot record and its logical partition.
    expect(disks[0]?.gaps).toEqual([
      { start: 512, bytes: 2048 * 512 - 512 },
      { start: 12289 * 512, bytes: (14336 - 12289) * 512 },
    ]);
  });

  test("no table is the answer no", async () => {
    const file = join(scratch, "zeros.img");
    writeFileSync(file, Buffer.alloc(1 << 20));
    expect((await guestprobe(["parts", file])).code).toBe(1);
  });
});

describe("one place", () => {
  test("ls: names in byte order, hidden ones only with -a", async () => {
    expect((await guestprobe(["ls", sample, "(xen/xvda,msdos2)/etc"])).out).toBe("fstab\nhostname\nmtab\nos-release\n");
  });

  test("ls -l shows modes, sizes and link targets", async () => {
    const { out } = await guestprobe(["ls", "-l", sample, "(hd0,2)/etc"]);
    expect(out).toMatch(/^-rw-r--r-- +1 +0 +0 +66 +2023-11-14 22:13 +fstab$/m);
    expect(out).toMatch(/^lrwxrwxrwx .* mtab -> \/proc\/mounts$/m);
  });

  test("ls of a link: the directory that it leads to, or else the link itself", async () => {
    const link = join(scratch, "links.img");
    const image = readFileSync(sample);
    // The target of /etc/mtab, a fast symbolic link, stands in its inode; another of the same length.
    const at = image.indexOf("/proc/mounts", 0, "latin1");
    expect(at).toBeGreaterThan(0);
    image.write("/boot/./grub", at, "latin1");
    writeFileSync(link, image);
    const to = async (...words: string[]) => (await guestprobe(["ls", "--checksums", "ignore", ...words])).out;
    expect(await to(link, "(hd0,2)/etc/mtab")).toBe("grub.cfg\n");
    expect(await to("-l", link, "(hd0,2)/etc/mtab")).toContain(" grub.cfg\n");
    // To a file, and to nothing.
    expect(await to(sample, "(hd0,2)/boot/vmlinuz")).toBe("vmlinuz\n");
    expect(await to("-l", sample, "/boot/vmlinuz")).toMatch(/^lrwxrwxrwx .* vmlinuz -> vmlinuz-sample\n$/);
    expect(await to("-l", sample, "(hd0,2)/etc/mtab")).toMatch(/ mtab -> \/proc\/mounts\n$/);
    const { entries } = checkDocument(await to("--json", sample, "(hd0,2)/etc/mtab")) as { entries: object[] };
    expect(entries).toEqual([expect.objectContaining({ path: "/etc/mtab", type: "symlink", target: "/proc/mounts" })]);
  });

  test("ls -R descends, and --json says the same", async () => {
    const { out } = await guestprobe(["ls", "-R", sample, "(hd0,msdos2)/boot"]);
    expect(out).toContain("/boot/grub:\ngrub.cfg\n");
    const document = checkDocument((await guestprobe(["ls", "-R", "--json", sample, "(hd0,2)/boot"])).out);
    expect((document.entries as { path: string }[]).map((entry) => entry.path)).toContain("/boot/grub/grub.cfg");
  });

  test("a path alone is the first volume in GRUB's order that has it, and says which", async () => {
    const { out, err } = await guestprobe(["ls", sample, "/boot/grub"]);
    expect(out).toBe("menu.lst\n");
    expect(err).toBe("guestprobe: /boot/grub is taken from (xen/xvda,msdos5)\n");
    expect((await guestprobe(["ls", "-q", sample, "/boot/grub"])).err).toBe("");
  });

  test.each(["(xen/xvda,msdos2)", "(xvda,msdos2)", "(hd0,msdos2)", "(hd0,2)", "(xen/xvda,2)"])(
    "%s names the same volume",
    async (device) => {
      expect((await guestprobe(["cat", sample, `${device}/etc/fstab`])).out).toBe(FSTAB);
    },
  );

  test("cat writes the bytes", async () => {
    const { stdout, code } = await guestprobe(["cat", sample, "/boot/grub/grub.cfg"]);
    expect(code).toBe(0);
    expect(stdout.toString()).toBe(GRUB_CFG);
  });

  test("stat: every claim with its byte offset", async () => {
    const { out } = await guestprobe(["stat", "--json", sample, "(hd0,2)/boot/grub/grub.cfg"]);
    const document = checkDocument(out) as {
      offset: number;
      volumeStart: number;
      extents: { physical: number; length: number }[];
      size: number;
    };
    const image = readFileSync(sample);
    const extent = document.extents[0];
    const at = document.volumeStart + (extent?.physical ?? 0);
    expect(document.volumeStart).toBe(4096 * 512);
    expect(image.subarray(at, at + document.size).toString()).toBe(GRUB_CFG);
    // The inode begins with its mode: a regular file, 0644.
    expect(image.readUInt16LE(document.volumeStart + document.offset)).toBe(0o100644);
  });

  test("stat does not follow a link unless told to", async () => {
    expect((await guestprobe(["stat", "--json", sample, "(hd0,2)/boot/vmlinuz"])).out).toContain('"type": "symlink"');
    expect((await guestprobe(["stat", "-L", "--json", sample, "(hd0,2)/boot/vmlinuz"])).out).toContain(
      '"type": "file"',
    );
  });

  test("tree", async () => {
    const { out } = await guestprobe(["tree", sample, "(hd0,1)/"]);
    expect(out).toBe(`/
├── grub
│   ├── grub.cfg
│   └── menu.lst
├── lost+found
└── xen
    └── pvboot-x86_64.elf

3 directories, 3 files
`);
    checkDocument((await guestprobe(["tree", "--json", sample, "(hd0,1)/"])).out);
  });

  test("find: by name, type and size; none is the answer no", async () => {
    const find = async (...args: string[]) => guestprobe(["find", ...args, sample, "(hd0,2)/"]);
    expect((await find("--name", "*.cfg")).out).toBe("/boot/grub/grub.cfg\n");
    expect((await find("--type", "l")).out.split("\n").sort().join(" ").trim()).toBe("/boot/vmlinuz /etc/mtab");
    expect((await find("--iname", "FSTAB", "-0")).stdout.toString()).toBe("/etc/fstab\0");
    expect((await find("--size", "+200", "--type", "f")).out).toBe("/boot/xen/pvboot-x86_64.elf\n");
    expect((await find("--name", "absent")).code).toBe(1);
    checkDocument((await find("--json", "--type", "f")).out);
  });

  test("manifest: one line per file, content hashed", async () => {
    const { out, code } = await guestprobe(["manifest", sample, "(hd0,2)/etc"]);
    expect(code).toBe(0);
    const lines = out.trim().split("\n").map(checkDocument);
    const byPath = new Map(lines.map((line) => [line.path, line]));
    expect([...byPath.keys()].sort()).toEqual(["/etc", "/etc/fstab", "/etc/hostname", "/etc/mtab", "/etc/os-release"]);
    expect(byPath.get("/etc/fstab")).toMatchObject({
      sha256: sha256(FSTAB),
      size: FSTAB.length,
      mtimeNs: "1700000000000000000",
    });
    expect(byPath.get("/etc/mtab")).toMatchObject({ type: "symlink", target: "/proc/mounts", sha256: null });
  });

  test("manifest of a guest covers every volume; --no-hash reads no content", async () => {
    const lines = (await guestprobe(["manifest", "--no-hash", sample])).out.trim().split("\n").map(checkDocument);
    expect(new Set(lines.map((line) => line.device))).toEqual(
      new Set(["xen/xvda,msdos1", "xen/xvda,msdos2", "xen/xvda,msdos5"]),
    );
    expect(lines.every((line) => line.sha256 === null)).toBe(true);
  });
});

describe("cp", () => {
  test("copies files and directories, leaves links out, keeps times", async () => {
    const out = join(scratch, "copy");
    const { code, err } = await guestprobe(["cp", sample, "(hd0,2)/etc", "(hd0,2)/boot/grub/grub.cfg", out]);
    expect(code).toBe(0);
    expect(err).toContain("4 files");
    expect(err).toContain("1 links, device nodes, pipes or sockets left out; --links");
    expect(readdirSync(join(out, "etc")).sort()).toEqual(["fstab", "hostname", "os-release"]);
    expect(readFileSync(join(out, "grub.cfg"), "utf8")).toBe(GRUB_CFG);
    expect(statSync(join(out, "grub.cfg")).mtimeMs).toBe(1_700_000_000_000);
    checkDocument((await guestprobe(["cp", "--json", "--force", sample, "(hd0,2)/etc", out])).out);
  });

  test("an existing file is kept, and no link of the host is followed below DEST", async () => {
    const out = join(scratch, "kept");
    await guestprobe(["cp", sample, "(hd0,2)/etc/fstab", out]);
    const again = await guestprobe(["cp", sample, "(hd0,2)/etc/fstab", out]);
    expect(again.code).toBe(5);
    expect(again.err).toContain("--force");
    const trap = join(scratch, "trap");
    await guestprobe(["cp", sample, "(hd0,2)/etc/hostname", trap]);
    symlinkSync(scratch, join(trap, "etc"));
    expect((await guestprobe(["cp", sample, "(hd0,2)/etc", trap])).code).toBe(5);
    expect(readdirSync(scratch)).not.toContain("fstab");
  });
});

describe("usage and help", () => {
  test("help begins with three examples", async () => {
    const { out, code } = await guestprobe(["--help"]);
    expect(code).toBe(0);
    expect(out.split("\n").slice(0, 4)).toEqual([
      "Examples:",
      expect.stringContaining("guestprobe "),
      expect.stringContaining("guestprobe "),
      expect.stringContaining("guestprobe "),
    ]);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("no arguments print the help on standard error", async () => {
    const { out, err, code } = await guestprobe([]);
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain("Usage:");
  });

  test("a wrong verb suggests the nearest one", async () => {
    const { err, code } = await guestprobe(["manifets", sample]);
    expect(code).toBe(2);
    expect(err).toContain("guestprobe manifest");
  });

  test.each([
    [["ls"]],
    [["ls", "--no-such-option", sample, "/"]],
    [["inspect", "--as", "nonsense", sample]],
    [["inspect", "--color", "mauve", sample]],
    [["cat", sample, "(hd7)/x"]],
    [["explain", "no-such-code"]],
    [["completion", "tcsh"]],
    [["inspect", "--limit-time", "soon", sample]],
  ])("%j is wrong usage, and says what to do", async (args) => {
    const { err, code, out } = await guestprobe(args);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/try: /);
  });

  test("common options may come before the verb", async () => {
    expect((await guestprobe(["--quiet", "--color", "never", "ls", sample, "/boot/grub"])).out).toBe("menu.lst\n");
  });

  test.each(["bash", "zsh", "fish"])("completion for %s names every verb", async (shell) => {
    const { out, code } = await guestprobe(["completion", shell]);
    expect(code).toBe(0);
    for (const verb of ["inspect", "search", "manifest", "explain", "completion"]) expect(out).toContain(verb);
  });

  test("explain has a text for every code", async () => {
    const { codes } = checkDocument((await guestprobe(["explain", "--json"])).out) as { codes: { code: string }[] };
    expect(codes.length).toBeGreaterThan(30);
    expect(new Set(codes.map((each) => each.code)).size).toBe(codes.length);
    const { out, code } = await guestprobe(["explain", "limit"]);
    expect(code).toBe(0);
    expect(out).toContain("--limit-memory");
  });
});

describe("exit codes", () => {
  test("a missing file in the guest: 1", async () => {
    const { code, err } = await guestprobe(["cat", sample, "(hd0,2)/etc/absent"]);
    expect(code).toBe(1);
    expect(err).toContain("(xen/xvda,msdos2)/etc/absent");
  });
  test("a directory in place of a file: 1", async () => {
    expect((await guestprobe(["cat", sample, "(hd0,2)/etc"])).code).toBe(1);
  });
  test("nothing recognised: 3, with the next step", async () => {
    const file = join(scratch, "blank.img");
    writeFileSync(file, Buffer.alloc(1 << 20));
    const { code, err } = await guestprobe(["inspect", file]);
    expect(code).toBe(3);
    expect(err).toContain("disk-not-recognised");
  });
  test("a missing image, a directory, a missing permission: 5", async () => {
    for (const path of [join(scratch, "absent.img"), scratch]) {
      const { code, err, out } = await guestprobe(["inspect", "--json", path]);
      expect(code).toBe(5);
      expect(err).toContain(path);
      expect(checkDocument(out)).toMatchObject({ error: { code: "io" } });
    }
  });
  test("a limit: 4, with what was answered until then", async () => {
    const { code, out, err } = await guestprobe(["manifest", "--limit-entries", "5", sample, "(hd0,2)/"]);
    expect(code).toBe(4);
    expect(out.trim().split("\n").length).toBeGreaterThan(3);
    expect(err).toContain("more than 5 entries");
  });
  test.each([["ls", "-R"], ["find"], ["tree"]])(
    "a limit in the middle of %s --json: the same, in one whole document",
    async (...verb) => {
      const words = [...verb, "--json", sample, "(hd0,2)/"];
      const whole = checkDocument((await guestprobe(words)).out);
      const { code, out, err } = await guestprobe(["--limit-entries", "5", ...words]);
      expect(code).toBe(4);
      expect(err).toContain("more than 5 entries");
      const cut = checkDocument(out);
      expect(cut).toMatchObject({ schema: whole.schema, error: { code: "limit" }, findings: [] });
      const namesOf = (document: object): string[] => JSON.stringify(document).match(/"(?:path|name)":"[^"]+"/g) ?? [];
      expect(namesOf(cut).length).toBeGreaterThan(1);
      expect(namesOf(cut).length).toBeLessThan(namesOf(whole).length);
      expect(namesOf(whole)).toEqual(expect.arrayContaining(namesOf(cut)));
    },
  );
});

test("what is read is counted under -v", async () => {
  const { err } = await guestprobe(["inspect", "-v", sample]);
  expect(err).toMatch(/\(xen\/xvda\): \d+ reads, [\d.]+ KiB/);
});

describe("search", () => {
  test("alone, it is the eight boot paths", async () => {
    const { out, code, err } = await guestprobe(["search", sample]);
    expect([code, err]).toEqual([0, ""]);
    expect(out.split("\n").map((line) => line.split(/ {2,}/))).toEqual([
      ["/boot/xen/pvboot-x86_64.elf", "(xen/xvda,msdos2)/boot/xen/pvboot-x86_64.elf"],
      ["/xen/pvboot-x86_64.elf", "(xen/xvda,msdos1)/xen/pvboot-x86_64.elf"],
      ["/boot/xen/pvboot-i386.elf", "not found"],
      ["/xen/pvboot-i386.elf", "not found"],
      ["/boot/grub/grub.cfg", "(xen/xvda,msdos2)/boot/grub/grub.cfg"],
      ["/grub/grub.cfg", "(xen/xvda,msdos1)/grub/grub.cfg"],
      ["/boot/grub/menu.lst", "(xen/xvda,msdos5)/boot/grub/menu.lst"],
      ["/grub/menu.lst", "(xen/xvda,msdos1)/grub/menu.lst"],
      [""],
    ]);
  });

  test("two disks: the order of the command line; -s stops at the first", async () => {
    const both = checkDocument((await guestprobe(["search", "--json", "-f", "/grub/grub.cfg", sample, sample])).out);
    const devices = (document: Record<string, unknown>): string[] =>
      (document.search as { hits: { device: string }[] }[]).flatMap((each) => each.hits.map((hit) => hit.device));
    expect(devices(both)).toEqual(["xen/xvda,msdos1", "xen/xvdb,msdos1"]);
    const args = ["search", "--json", "-s", "-f", "/grub/grub.cfg"];
    expect(devices(checkDocument((await guestprobe([...args, sample, sample])).out))).toEqual(["xen/xvda,msdos1"]);
    const hinted = await guestprobe([...args, "--hint", "(xen/xvdb,msdos1)", sample, sample]);
    expect(devices(checkDocument(hinted.out))).toEqual(["xen/xvdb,msdos1"]);
  });

  test("by label and UUID, several at once; nothing found is the answer no", async () => {
    const { out, code } = await guestprobe([
      "search",
      "-l",
      "root",
      "-u",
      "11111111-2222-4333-8444-555555555503",
      sample,
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/^root +\(xen\/xvda,msdos2\)$/m);
    expect(out).toMatch(/555555555503 +\(xen\/xvda,msdos5\)$/m);
    expect((await guestprobe(["search", "-l", "absent", sample])).code).toBe(1);
  });

  test("a miss beside a volume that cannot be told is no answer: 3", async () => {
    const file = join(scratch, "unknown.img");
    writeFileSync(file, Buffer.concat([Buffer.from("not a file system "), Buffer.alloc(1 << 20)]));
    const { code, err, out } = await guestprobe(["search", "--json", "-f", "/absent", sample, file]);
    expect(code).toBe(3);
    expect(err).toBe("");
    expect(checkDocument(out).unknown).toEqual([{ device: "xen/xvdb", reason: "its content is not recognised" }]);
  });

  test("an encrypted volume is named as the reason why there is no answer: 3", async () => {
    const uuid = "0b2d4c5e-1111-4222-8333-0123456789ab";
    const luks2 = Buffer.alloc(1 << 20);
    luks2.write("LUKS\xba\xbe\x00\x02", 0, "latin1");
    luks2.write("secret", 24);
    luks2.write(uuid, 168);
    const file = join(scratch, "luks.img");
    writeFileSync(file, luks2);
    const { code, out } = await guestprobe(["search", "--json", "-f", "/absent", sample, file]);
    expect(code).toBe(3);
    const [volume, ...others] = checkDocument(out).unknown as { device: string; reason: string }[];
    expect(others).toEqual([]);
    expect(volume?.device).toBe("xen/xvdb");
    expect(volume?.reason).toMatch(/LUKS/);
    expect(volume?.reason).toContain(uuid);
    expect(volume?.reason).toContain("label secret");
  });

  test("what GRUB would not list is hidden, with the reason", async () => {
    const image = readFileSync(sample);
    // A status byte that is neither 0 nor 0x80: GRUB drops the whole table, Linux does not.
    image[0x1be + 16] = 0x42;
    const file = join(scratch, "status.img");
    writeFileSync(file, image);
    const { out } = await guestprobe(["search", "--json", "-f", "/grub/grub.cfg", file]);
    const { search } = checkDocument(out) as {
      search: { hits: unknown[]; hidden: { device: string; code: string }[] }[];
    };
    expect(search[0]?.hits).toEqual([]);
    expect(search[0]?.hidden).toMatchObject([
      { device: "xen/xvda,msdos1", path: "/grub/grub.cfg", code: "grub-table-refused" },
    ]);
  });
});

test("no permission to write is needed, and the image is not changed by any verb", async () => {
  const before = { hash: sha256(readFileSync(sample, "latin1")), mtime: statSync(sample, { bigint: true }).mtimeNs };
  // Node's permission model refuses every write, and every way to start another program that could.
  const nodeArgs = ["--experimental-permission", "--allow-fs-read=*", "--no-warnings"];
  const place = "(hd0,2)/boot";
  const verbs = [["inspect"], ["search"], ["parts"], ["manifest"]].map((verb) => [...verb, sample]);
  const paths = [["ls", "-lR"], ["tree"], ["stat"], ["find"]].map((verb) => [...verb, sample, place]);
  for (const args of [...verbs, ...paths, ["cat", sample, `${place}/grub/grub.cfg`]]) {
    expect((await guestprobe(args, { nodeArgs })).code, args.join(" ")).toBe(0);
  }
  // The same model does stop a verb that writes: the check above can fail.
  expect((await guestprobe(["cp", sample, place, join(scratch, "refused")], { nodeArgs })).code).toBe(5);
  expect({ hash: sha256(readFileSync(sample, "latin1")), mtime: statSync(sample, { bigint: true }).mtimeNs }).toEqual(
    before,
  );
});
