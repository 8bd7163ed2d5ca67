/**
 * Builds test/fixtures/ext: small volumes with what the Linux kernel shows of them. Needs root, e2fsprogs, attr and acl.
 * UUID, label and hash seed are fixed; times of creation and generation numbers are those of the build, and the JSON
 * that is written with each image holds them.
 *
 * Usage: node test/make/ext.mjs
 */
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { makeExt, makeFilledExt, UUID } from "../lib/ext-images.mjs";
import { pattern, writeHoles, writeTimes, writeTree } from "../lib/ext-tree.mjs";
import { kernelView, kernelXattrs, run, withMount } from "../lib/kernel-view.mjs";

const MIB = 1 << 20;
const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "guestprobe-make-"));

const save = (folder, name, image, expected) => {
  mkdirSync(join(fixtures, folder), { recursive: true });
  writeFileSync(join(fixtures, folder, `${name}.img.gz`), gzipSync(readFileSync(image), { level: 9 }));
  saveJson(folder, name, expected);
};
/** One line for each entry, so that a change shows as one. */
const saveJson = (folder, name, { entries, ...rest }) => {
  const lines = entries?.map((entry) => JSON.stringify(entry)).join(",\n");
  const head = JSON.stringify(rest).slice(1, -1);
  const text = lines === undefined ? `{${head}}\n` : `{${head},"entries":[\n${lines}\n]}\n`;
  writeFileSync(join(fixtures, folder, `${name}.json`), text);
};
const expectedOf = (kind, entries) => ({ kind, label: "guest \u00e9", uuid: UUID, entries });

const WITH_ATTRIBUTES = ["/attributes/file", "/attributes/dir", "/attributes/link", "/empty"];

const CASES = {
  "ext2-revision-0": { kind: "ext2", args: ["-t", "ext2", "-r", "0", "-b", "1024"], attributes: false },
  "ext3-1k": { kind: "ext3", args: ["-t", "ext3", "-b", "1024", "-I", "128", "-J", "size=1"] },
  "ext4-1k": { kind: "ext4", args: ["-t", "ext4", "-b", "1024", "-J", "size=1"], wide: true },
  "ext4-inline-ea-inode": {
    kind: "ext4",
    args: ["-t", "ext4", "-b", "1024", "-I", "512", "-J", "size=1", "-O", "inline_data,ea_inode,metadata_csum_seed"],
    wide: true,
  },
  "ext4-bigalloc-meta-bg": {
    kind: "ext4",
    args: ["-t", "ext4", "-b", "1024", "-C", "4096", "-J", "size=1", "-O", "bigalloc,meta_bg,^resize_inode"],
    wide: true,
  },
  "ext4-uninit-bg-no-journal": {
    kind: "ext4",
    args: ["-t", "ext4", "-b", "2048", "-O", "^metadata_csum,uninit_bg,^has_journal,sparse_super2,^resize_inode"],
    blockSize: 2048,
    wide: true,
  },
};

/** The two volumes that are damaged in thousands of ways: small, so that each takes milliseconds. */
const SMALL = {
  "small-checksums": ["-t", "ext4", "-b", "1024", "-N", "64", "-O", "metadata_csum,^has_journal,^resize_inode"],
  "small-plain": ["-t", "ext4", "-b", "1024", "-N", "64", "-O", "^metadata_csum,^64bit,^has_journal,^resize_inode"],
};

try {
  for (const [name, args] of Object.entries(SMALL)) {
    const image = join(work, name);
    makeFilledExt(image, MIB, args, writeFew);
    save(
      "ext",
      name,
      image,
      expectedOf(
        "ext4",
        withMount(image, ["ro"], (root) => kernelView(root)),
      ),
    );
  }
  for (const [name, { kind, args, blockSize = 1024, attributes = true, wide = false }] of Object.entries(CASES)) {
    const image = join(work, name);
    makeFilledExt(image, 8 * MIB, args, (root) => {
      writeTree(root, { blockSize, attributes, big: 100_000 });
      writeTimes(join(root, "times"), { wide });
    });
    const [entries, xattrs] = withMount(image, ["ro"], (root) => [
      kernelView(root),
      attributes ? Object.fromEntries(WITH_ATTRIBUTES.map((path) => [path, kernelXattrs(join(root, path))])) : {},
    ]);
    save("ext", name, image, { ...expectedOf(kind, entries), xattrs });
  }
  makeLarge();
  makeDirty();
  makeEncrypted();
  makeCasefold();
} finally {
  rmSync(work, { recursive: true });
}

function writeFew(root) {
  mkdirSync(join(root, "indexed"));
  for (let n = 0; n < 50; n += 1) linkSync(fileIn(root), join(root, `indexed/a rather long name, number ${n}`));
  writeHoles(join(root, "fragments"), 1024, 8);
  writeFileSync(join(root, "mapped"), pattern(20_000, 1));
  symlinkSync("file", join(root, "link"));
  run("setfattr", ["-n", "user.large", "-v", `0x${"ab".repeat(400)}`, join(root, "mapped")]);
}

function fileIn(root) {
  const path = join(root, "file");
  writeFileSync(path, "small\n");
  return path;
}

/** Two groups, a directory whose index has inner nodes, and values that have inodes of their own. */
function makeLarge() {
  const image = join(work, "large");
  makeFilledExt(image, 10 * MIB, ["-t", "ext4", "-b", "1024", "-N", "64", "-O", "ea_inode,^has_journal"], (root) => {
    mkdirSync(join(root, "deep"));
    for (let n = 0; n < 400; n += 1) linkSync(fileIn(root), join(root, `deep/${`${n} `.padEnd(240, "long ")}`));
    for (const [name, letter] of [
      ["one", "a"],
      ["two", "b"],
    ]) {
      writeFileSync(join(root, "value"), Buffer.alloc(3000, letter));
      run("sh", ["-c", 'setfattr -n "user.$0" -v "$(cat "$1")" "$2"', name, join(root, "value"), join(root, "file")]);
    }
  });
  const [entries, xattrs] = withMount(image, ["ro"], (root) => [
    kernelView(root),
    { "/file": kernelXattrs(join(root, "file")) },
  ]);
  save("ext", "ext4-large", image, { ...expectedOf("ext4", entries), xattrs });
}

/** A copy taken while the volume was mounted, its last changes in the journal only. */
function makeDirty() {
  const image = join(work, "dirty-source");
  const dirty = join(work, "dirty");
  makeExt(image, 8 * MIB, ["-t", "ext4", "-b", "1024", "-J", "size=1"]);
  withMount(image, ["rw", "commit=600", "data=journal"], (root) => {
    for (let n = 0; n < 40; n += 1) writeFileSync(join(root, `old-${n}`), pattern(2000, n));
    run("sync", ["-f", root]);
    for (let n = 0; n < 20; n += 1) rmSync(join(root, `old-${n}`));
    mkdirSync(join(root, "made/after/sync"), { recursive: true });
    writeFileSync(join(root, "made/escaped"), Buffer.from("c03b3998c03b3998", "hex"));
    run("sync", [join(root, "made/escaped")]);
    run("sync", [join(root, "made")]);
    run("cp", [image, dirty]);
  });
  const plain = withMount(dirty, ["ro", "noload"], (root) => kernelView(root));
  save("ext", "ext4-dirty", dirty, expectedOf("ext4", plain));
  const recovered = withMount(dirty, ["rw", "noatime"], (root) => kernelView(root));
  saveJson("ext", "ext4-dirty.replay", expectedOf("ext4", recovered));
}

/** Encrypted names as the kernel shows them without the key. */
function makeEncrypted() {
  const image = join(work, "encrypted");
  const args = ["-t", "ext4", "-b", "1024", "-J", "size=1", "-O", "encrypt"];
  makeExt(image, 4 * MIB, args);
  withMount(image, ["rw", "test_dummy_encryption"], (root) => {
    mkdirSync(join(root, "vault/many"), { recursive: true });
    writeFileSync(join(root, "vault/secret"), "hidden");
    writeFileSync(join(root, "vault", "n".repeat(255)), "long name");
    for (let n = 0; n < 60; n += 1) writeFileSync(join(root, `vault/many/file ${n}`), "x");
  });
  const entries = withMount(image, ["ro"], (root) => kernelView(root, { hash: false }));
  save("ext-encrypted", "encrypted", image, expectedOf("ext4", entries));
}

/**
 * Directories that disregard case. The kernel of the build may not know them: debugfs sets the flag, and e2fsck builds
 * the index by its own tables. The names are those of the folder given to mke2fs.
 */
function makeCasefold() {
  const source = join(work, "casefold-source");
  const names = [
    "README",
    "Stra\u00dfe",
    "\u00c9T\u00c9",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\u0130stanbul",
  ];
  mkdirSync(join(source, "small"), { recursive: true });
  mkdirSync(join(source, "indexed"));
  for (const name of names) {
    writeFileSync(join(source, "small", name), name);
    writeFileSync(join(source, "indexed", name), name);
  }
  for (let n = 0; n < 200; n += 1) writeFileSync(join(source, `indexed/Entry Number ${n}`), `${n}`);
  const image = join(work, "casefold");
  makeExt(image, 4 * MIB, ["-t", "ext4", "-b", "1024", "-J", "size=1", "-O", "casefold", "-d", source]);
  for (const folder of ["small", "indexed"]) {
    run("debugfs", ["-w", "-R", `set_inode_field ${folder} flags 0x40080000`, image]);
  }
  try {
    run("e2fsck", ["-fyD", image]);
  } catch (error) {
    // 1: it has changed something, as it was asked to.
    if (error.status !== 1) throw error;
  }
  save("ext-casefold", "casefold", image, { small: names, indexed: 200 });
}
