import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guestprobe } from "../../../../test/lib/cli.js";
import { fixtures } from "../../../../test/lib/fixtures.js";
import { checkDocument } from "./schema.js";

/** Files whose size is a lie, holes, odd names: what cat, cp and manifest make of them. */
const sample = fileURLToPath(new URL("../../../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-content-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Where the sample's own inode of a file lies, from the start of the image. */
async function inodeOf(path: string): Promise<number> {
  const { offset, volumeStart } = checkDocument((await guestprobe(["stat", "--json", sample, path])).out) as {
    offset: number;
    volumeStart: number;
  };
  return offset + volumeStart;
}

async function withSize(name: string, path: string, size: bigint): Promise<string> {
  const image = readFileSync(sample);
  const at = await inodeOf(path);
  // ext4_inode: i_size_lo at 0x4, i_size_high at 0x6c.
  image.writeUInt32LE(Number(size & 0xffff_ffffn), at + 0x4);
  image.writeUInt32LE(Number(size >> 32n), at + 0x6c);
  writeFileSync(join(scratch, name), image);
  return join(scratch, name);
}

describe("a file whose size is beyond belief", () => {
  const path = "(hd0,2)/etc/fstab";
  let lie: string;
  beforeAll(async () => {
    // Below what the block size allows a file in extents (16 TiB), so that nothing else refuses it.
    lie = await withSize("lie.img", path, 1n << 43n);
  });

  test("manifest gives its entry the error `limit`, lists the rest, and ends soon: 4", async () => {
    const { out, code, ms, maxRss, err } = await guestprobe(["manifest", lie, "(hd0,2)/"]);
    expect(code).toBe(4);
    expect(ms).toBeLessThan(2000);
    expect(maxRss).toBeLessThan(256 << 20);
    const byPath = new Map(
      out
        .trim()
        .split("\n")
        .map(checkDocument)
        .map((line) => [line.path, line]),
    );
    expect(byPath.get("/etc/fstab")).toMatchObject({ size: 2 ** 43, sha256: null, error: { code: "limit" } });
    expect(byPath.get("/etc/hostname")?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(byPath.has("/boot/grub/grub.cfg")).toBe(true);
    expect(err).toMatch(/fstab: a file of 8796093022208 bytes.*--limit-file.*at byte \d+/);
  });

  test("manifest --no-hash has nothing to refuse", async () => {
    const { out, code } = await guestprobe(["manifest", "--no-hash", "--checksums", "ignore", lie, "(hd0,2)/etc"]);
    expect(code).toBe(0);
    expect(out).toContain('"size":8796093022208');
  });

  test("cat writes nothing of it: 4", async () => {
    const { out, code, err } = await guestprobe(["cat", lie, path]);
    expect([out, code]).toEqual(["", 4]);
    expect(err).toContain("--limit-file");
  });

  test("cp leaves it out and copies the others: 4", async () => {
    const to = join(scratch, "lie");
    const { code, err } = await guestprobe(["cp", lie, "(hd0,2)/etc", to]);
    expect(code).toBe(4);
    expect(err).toContain("--limit-file");
    expect(readdirSync(join(to, "etc")).sort()).toEqual(["hostname", "os-release"]);
  });

  test("--limit-file draws the line elsewhere", async () => {
    const args = ["--limit-file", "65", sample, path];
    expect((await guestprobe(["cat", ...args])).code).toBe(4);
    expect((await guestprobe(["cat", "--limit-file", "66", sample, path])).code).toBe(0);
    expect((await guestprobe(["manifest", ...args])).out).toContain('"code":"limit"');
    expect((await guestprobe(["cp", ...args, join(scratch, "line")])).code).toBe(4);
  });
});

describe("cp", () => {
  test("what is sparse in the guest is sparse here, to the byte", async () => {
    // 66 bytes of text, then nothing up to 256 MiB and 5 bytes.
    const size = (1 << 28) + 5;
    const image = await withSize("sparse.img", "(hd0,2)/etc/fstab", BigInt(size));
    const to = join(scratch, "sparse");
    await guestprobe(["cp", image, "(hd0,2)/etc/fstab", to]);
    const copy = statSync(join(to, "fstab"));
    expect(copy.size).toBe(size);
    expect(copy.blocks * 512).toBeLessThan(1 << 20);
    const content = readFileSync(join(to, "fstab"));
    expect(content.subarray(0, 16).toString()).toBe("/dev/xvda2 / ext");
    expect(content.subarray(66).every((byte) => byte === 0)).toBe(true);
  });

  test("a link's file is copied under the link's name", async () => {
    const to = join(scratch, "link");
    expect((await guestprobe(["cp", sample, "(hd0,2)/boot/vmlinuz", to])).code).toBe(0);
    expect(readdirSync(to)).toEqual(["vmlinuz"]);
  });

  test("two that would have one name are refused before anything is written", async () => {
    const to = join(scratch, "twice");
    const { code, err } = await guestprobe(["cp", sample, "(hd0,1)/grub/grub.cfg", "(hd0,2)/boot/grub/grub.cfg", to]);
    expect(code).toBe(2);
    expect(err).toContain("would be written twice");
    expect(readdirSync(scratch)).not.toContain("twice");
  });

  test("one that exists stops none of the others: 5", async () => {
    const to = join(scratch, "some");
    mkdirSync(to);
    writeFileSync(join(to, "fstab"), "mine");
    const { code, err } = await guestprobe(["cp", sample, "(hd0,2)/etc/fstab", "(hd0,2)/etc/hostname", to]);
    expect(code).toBe(5);
    expect(err).toContain("some/fstab exists; --force replaces it");
    expect(readdirSync(to).sort()).toEqual(["fstab", "hostname"]);
    expect(readFileSync(join(to, "fstab"), "utf8")).toBe("mine");
  });

  test("a tree comes into a directory of its own, not among what is there: 5; --force is a word for it", async () => {
    const to = join(scratch, "full");
    mkdirSync(join(to, "etc"), { recursive: true });
    writeFileSync(join(to, "etc/fstab"), "mine");
    const { code, err } = await guestprobe(["cp", sample, "(hd0,2)/etc", to]);
    expect(code).toBe(5);
    expect(err).toContain("full/etc exists and is not empty; --force copies into it");
    expect(readdirSync(join(to, "etc"))).toEqual(["fstab"]);
    // The root's content would go into DEST itself.
    expect((await guestprobe(["cp", sample, "(hd0,2)/", to])).code).toBe(5);
    expect(readdirSync(to)).toEqual(["etc"]);
    expect((await guestprobe(["cp", "--force", sample, "(hd0,2)/etc", to])).code).toBe(0);
    expect(readdirSync(join(to, "etc")).sort()).toEqual(["fstab", "hostname", "os-release"]);
    expect(readFileSync(join(to, "etc/fstab"), "utf8")).not.toBe("mine");
    const empty = join(scratch, "empty");
    mkdirSync(join(empty, "etc"), { recursive: true });
    expect((await guestprobe(["cp", sample, "(hd0,2)/etc", empty])).code).toBe(0);
  });

  test("a name of 255 bytes, the longest there is", async () => {
    const image = join(scratch, "longest.img");
    writeFileSync(
      image,
      fixtures("ext")
        .find(({ name }) => name === "ext3-1k")!
        .image(),
    );
    const to = join(scratch, "longest");
    expect((await guestprobe(["cp", image, `(hd0)/names/${"n".repeat(255)}`, to])).code).toBe(0);
    expect(readdirSync(to)).toEqual(["n".repeat(255)]);
  });

  test("a name that is not UTF-8, typed as it is printed", async () => {
    const image = readFileSync(sample);
    // The directory entry of "hostname" becomes one of the same length that no terminal can type.
    const name = image.indexOf("hostname", 4096 * 512);
    image.write("caf\xe9\x1b[0m", name, "latin1");
    const file = join(scratch, "names.img");
    writeFileSync(file, image);
    const typed = "(hd0,2)/etc/caf\\xe9\\x1b[0m";
    const listed = (await guestprobe(["ls", "--checksums", "ignore", file, "(hd0,2)/etc"])).out;
    expect(listed.split("\n")).toContain("caf\\xe9\\x1b[0m");
    expect((await guestprobe(["cat", "--checksums", "ignore", file, typed])).out).toBe("sample\n");
    const to = join(scratch, "names");
    expect((await guestprobe(["cp", "--checksums", "ignore", file, typed, to])).code).toBe(0);
    expect(readdirSync(to, { encoding: "buffer" }).map((each) => each.toString("latin1"))).toEqual(["caf\xe9\x1b[0m"]);
  });
});

// The sample has both of these, as most hosts do.
test.runIf(existsSync("/etc/hostname") && existsSync("/etc/fstab"))(
  "a path that the host has too is the guest's, when the guest has it",
  async () => {
    const { out, code } = await guestprobe(["manifest", sample, "/etc/hostname"]);
    expect(code).toBe(0);
    expect(out.trim().split("\n").map(checkDocument)).toMatchObject([
      { device: "xen/xvda,msdos2", path: "/etc/hostname" },
    ]);
    const to = join(scratch, "both");
    expect((await guestprobe(["cp", sample, "/etc/hostname", "/etc/fstab", to])).code).toBe(0);
    expect(readdirSync(to).sort()).toEqual(["fstab", "hostname"]);
  },
);

test("an absolute word that only the host has is an image", async () => {
  const path = join(scratch, "extra.img");
  writeFileSync(path, readFileSync(sample));
  const both = await guestprobe(["manifest", "--no-hash", sample, path]);
  expect(new Set(both.out.match(/"device":"xen\/xvd./g))).toEqual(
    new Set(['"device":"xen/xvda', '"device":"xen/xvdb']),
  );
});

test("what has no content is no usage error: 1", async () => {
  const image = readFileSync(sample);
  const at = await inodeOf("(hd0,2)/etc/hostname");
  // S_IFIFO
  image.writeUInt16LE(0o010644, at);
  const file = join(scratch, "fifo.img");
  writeFileSync(file, image);
  const { code, err } = await guestprobe(["cat", "--checksums", "ignore", file, "(hd0,2)/etc/hostname"]);
  expect(code).toBe(1);
  expect(err).toBe("guestprobe: (hd0,2)/etc/hostname has no content: its type is fifo\n");
});

test("a name that a terminal would obey is escaped in JSON, and read back as it was", async () => {
  const image = readFileSync(sample);
  // ext4_dir_entry_2 of /etc/hostname: name_len 8, file_type 1 and the name. U+009B begins a control sequence, U+007F deletes.
  const at = image.indexOf("\x08\x01hostname", 0, "latin1") + 2;
  expect(at).toBeGreaterThan(2);
  image.write("a\xc2\x9b31m\x7fb", at, "latin1");
  const file = join(scratch, "control.img");
  writeFileSync(file, image);
  const name = "/etc/a\u009b31m\u007fb";
  const run = async (...words: string[]) =>
    (await guestprobe([...words, "--checksums", "ignore", file, "(hd0,2)/etc"])).out;
  const lines = (await run("manifest")).trim().split("\n").map(checkDocument);
  expect(lines.map(({ path }) => path)).toContain(name);
  for (const verb of [["find"], ["ls"], ["ls", "-lR"]]) {
    const { entries } = checkDocument(await run(...verb, "--json")) as { entries: { path: string }[] };
    expect(entries.map(({ path }) => path)).toContain(name);
  }
});

describe("a logical volume whose name a terminal would obey", () => {
  const file = join(scratch, "lvm-name.img");
  beforeAll(() => {
    const image = Buffer.from(
      fixtures("lvm")
        .find(({ name }) => name === "order")!
        .image(),
    );
    // The text of the metadata names the volumes, "b {" among them, in each of its copies.
    let copies = 0;
    for (let at = image.indexOf("\nb {"); at > 0; at = image.indexOf("\nb {", at + 1)) {
      image.writeUInt8(0x1b, at + 1);
      copies += 1;
    }
    expect(copies).toBeGreaterThan(0);
    writeFileSync(file, image);
  });

  test.each([
    ["inspect", "-v"],
    ["parts"],
    ["search"],
    ["boot"],
    ["lint"],
    ["menu"],
    ["ls", "-l", "(lvm/vg-\\x1b)/boot"],
    ["stat", "(lvm/vg-\\x1b)/boot/grub/grub.cfg"],
    ["ls", "(lvm/nope)/"],
  ])("%s %s", async (verb, ...more) => {
    const { out, err } = await guestprobe([verb!, file, ...more]);
    expect(`${out}${err}`).not.toMatch(/[\0-\x09\x0b-\x1f\x7f]/);
    // The menu is that of the first volume, and a listing has no device in it.
    if (verb !== "menu" && more[0] !== "-l") expect(`${out}${err}`).toContain("lvm/vg-\\x1b");
    if (more[0] === "-l") expect(out).toContain(" grub\n");
  });
});

test("a subvolume that is not there is a no, not damage", async () => {
  const file = join(scratch, "subvol.img");
  writeFileSync(
    file,
    fixtures("btrfs")
      .find(({ name }) => name === "subvolumes")!
      .image(),
  );
  for (const which of ["999", "no/such"]) {
    const { code, err } = await guestprobe(["ls", "--subvol", which, file, "/"]);
    expect(code).toBe(1);
    expect(err).toContain(which);
  }
  expect((await guestprobe(["ls", "--subvol", "one/dir/two", file, "/"])).code).toBe(0);
});

test("--checksums require holds btrfs's file data against its checksums, too", async () => {
  const file = join(scratch, "btrfs.img");
  const image = fixtures("btrfs")
    .find(({ name }) => name === "lzo-zlib")!
    .image();
  writeFileSync(file, image);
  const { extents } = checkDocument((await guestprobe(["stat", "--json", file, "/etc/prose"])).out) as {
    extents: { physical: number; physicalLength: number }[];
  };
  // In the padding behind the compressed bytes: only a checksum can tell.
  const { physical, physicalLength } = extents[0]!;
  image[physical + physicalLength - 1]! ^= 1;
  writeFileSync(file, image);
  const plain = await guestprobe(["cat", file, "/etc/prose"]);
  expect([plain.code, plain.err]).toEqual([0, ""]);
  const strict = await guestprobe(["manifest", "--checksums", "require", file]);
  expect(strict.code).toBe(4);
  const bad = strict.out.split("\n").filter((line) => line.includes('"error"'));
  // The second shares the extent.
  expect(bad.map((line) => checkDocument(line))).toMatchObject(
    ["/etc/prose", "/shared"].map((path) => ({ path, sha256: null, error: { code: "bad-checksum" } })),
  );
});

test.each(["search", "inspect", "parts"])("%s: a time limit is told, whatever met it", async (verb) => {
  const { code, err } = await guestprobe([verb, "--limit-time", "0ms", sample]);
  expect(code).toBe(4);
  expect(err).toBe("guestprobe: the time limit of 0 s is over\n");
});
