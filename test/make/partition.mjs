/**
 * Builds test/fixtures/partition: disks partitioned by sfdisk and sgdisk, each with what sfdisk says about it; and
 * test/fixtures/disk-label: disks with the labels of other machines, by parted, with parted's own list. Run it from
 * anywhere: node test/make/partition.mjs
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const target = fileURLToPath(new URL("../fixtures/partition/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "partition-"));
const uuid = (n) => `6F7A1C2E-0000-4000-8000-${String(n).padStart(12, "0")}`;
const gptHead = ["label: gpt", `label-id: ${uuid(0)}`];

/** name, size in KiB, lines for sfdisk, and what is done to the image afterwards */
const CASES = [
  [
    "mbr-primaries",
    512,
    [
      "label: dos",
      "label-id: 0x00c0ffee",
      "1 : start=63, size=100, type=83, bootable",
      "2 : start=200, size=77, type=82",
      "4 : start=300, size=700, type=da",
    ],
  ],
  [
    "mbr-logicals",
    1024,
    [
      "label: dos",
      "label-id: 0xdeadbeef",
      "1 : start=16, size=16, type=7",
      "3 : start=100, size=1900, type=f",
      ...Array.from({ length: 12 }, (_, n) => `start=${110 + n * 150}, size=${100 + n}, type=${n % 2 ? "8e" : "83"}`),
    ],
  ],
  ["mbr-empty", 64, ["label: dos", "label-id: 0x12345678"]],
  [
    "gpt-slots",
    512,
    [
      ...gptHead,
      "first-lba: 34",
      `1 : start=34, size=30, type=U, uuid=${uuid(1)}, name="EFI"`,
      `7 : start=100, size=1, type=L, uuid=${uuid(7)}`,
      `128 : start=200, size=300, type=V, uuid=${uuid(128)}, name="${"x".repeat(36)}"`,
    ],
  ],
  [
    "gpt-names-attributes",
    512,
    [
      ...gptHead,
      "first-lba: 34",
      `1 : start=40, size=10, type=L, uuid=${uuid(1)}, name="größe ✓ 漢字", attrs="LegacyBIOSBootable"`,
      `2 : start=60, size=10, type=S, uuid=${uuid(2)}, attrs="RequiredPartition,NoBlockIOProtocol,GUID:48,63"`,
    ],
  ],
  [
    "gpt-backup-only",
    512,
    [...gptHead, "first-lba: 34", `3 : start=40, size=100, type=L, uuid=${uuid(3)}, name="saved"`],
    (image) => {
      const bytes = readFileSync(image);
      bytes.fill(0, 512, 34 * 512);
      writeFileSync(image, bytes);
    },
  ],
  [
    "gpt-hybrid",
    512,
    [
      ...gptHead,
      "first-lba: 34",
      `1 : start=40, size=100, type=L, uuid=${uuid(1)}`,
      `2 : start=200, size=100, type=L, uuid=${uuid(2)}`,
    ],
    (image) => execFileSync("sgdisk", ["-h", "2", image], { stdio: "pipe" }),
  ],
];

/** What sfdisk says; `nested` asks for the MBR beside a GPT. */
function ask(image, nested = false) {
  const text = execFileSync("sfdisk", ["--json", ...(nested ? ["-Y", "dos"] : []), image], { encoding: "utf8" });
  const { label, id, sectorsize, partitions = [] } = JSON.parse(text).partitiontable;
  return {
    label,
    id,
    sectorsize,
    partitions: partitions.map(({ node, ...rest }) => ({ number: Number(node.slice(image.length)), ...rest })),
  };
}

/** label, and what is made in it: first and last sector */
const LABELS = [
  ["sun", "0s 2047s", "4096s 8191s", "8192s 12287s"],
  ["dvh", "4096s 8191s", "8192s 12287s"],
];

function makeLabels() {
  const labels = fileURLToPath(new URL("../fixtures/disk-label/", import.meta.url));
  mkdirSync(labels, { recursive: true });
  for (const [label, ...parts] of LABELS) {
    const image = join(folder, label);
    writeFileSync(image, new Uint8Array(16 << 20));
    execFileSync("parted", ["-s", "-a", "none", image, "mklabel", label]);
    for (const part of parts) {
      const kind = label === "dvh" ? ["primary"] : [];
      execFileSync("parted", ["-s", "-a", "none", image, "mkpart", ...kind, ...part.split(" ")]);
    }
    const text = execFileSync("parted", ["-s", "-m", image, "unit", "s", "print"], { encoding: "utf8" });
    const rows = text.split("\n").filter((line) => /^\d+:/.test(line));
    const partitions = rows.map((line) => {
      const [number, start, , sectors] = line.split(":").map((word) => Number(word.replace("s", "")));
      return { number, start, sectors };
    });
    writeFileSync(join(labels, `${label}.json`), `${JSON.stringify({ partitions }, null, 2)}\n`);
    writeFileSync(join(labels, `${label}.img.gz`), gzipSync(readFileSync(image), { level: 9 }));
  }
}

mkdirSync(target, { recursive: true });
try {
  makeLabels();
  for (const [name, size, script, after] of CASES) {
    const image = join(folder, `${name}.img`);
    writeFileSync(image, new Uint8Array(size * 1024));
    execFileSync("sfdisk", ["-q", image], { input: `${script.join("\n")}\n` });
    const expected = { tool: execFileSync("sfdisk", ["--version"], { encoding: "utf8" }).trim(), table: ask(image) };
    after?.(image);
    if (name === "gpt-hybrid") expected.nested = ask(image, true);
    writeFileSync(join(target, `${name}.json`), `${JSON.stringify(expected, null, 2)}\n`);
    // No name and no time in the gzip header, so that the same image gives the same file.
    writeFileSync(join(target, `${name}.img.gz`), gzipSync(readFileSync(image), { level: 9 }));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
