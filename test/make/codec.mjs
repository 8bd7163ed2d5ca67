/**
 * Builds test/fixtures/codec: streams by xz with each filter and each check, files by lzop, and a randomised block for bzip2, each with
 * the SHA-256 of what the tool decodes it to. Run it from anywhere: node test/make/codec.mjs
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const target = fileURLToPath(new URL("../fixtures/codec/", import.meta.url));

/** Each architecture's opcodes, and the bytes that sign extension leaves, far more often than code has them. */
const OPCODES = [
  0xe8, 0xe9, 0xeb, 0x48, 0x4b, 0x40, 0x7f, 0x94, 0x97, 0x90, 0xb0, 0xf0, 0xf8, 0x10, 0x16, 0x50, 0, 0xff, 1,
];

/** Numbers that are the same at each run (Park and Miller's generator). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

/** Bytes full of branches. */
function branches(length, seed, opcodes = OPCODES) {
  const below = numbers(seed);
  const byte = () => (below(4) === 0 ? below(256) : opcodes[below(opcodes.length)]);
  return Buffer.from(Array.from({ length }, byte));
}

/** IA-64 bundles, of every template, whose three slots all hold br.call where the template has a branch there. */
function bundles(length, seed) {
  const data = branches(length, seed);
  for (let at = 0; at + 16 <= length; at += 16) {
    data[at] = (data[at] & 0xe0) | ((at >> 4) & 0x1f);
    data[at + 1] &= 0x3f;
    data[at + 2] &= 0xfe;
    data[at + 5] = (data[at + 5] & 0xc3) | 0x14;
    data[at + 6] &= 0x7f;
    data[at + 7] &= 0xfc;
    data[at + 10] = (data[at + 10] & 0x87) | 0x28;
    data[at + 12] &= 0xf8;
    data[at + 15] = (data[at + 15] & 0x0f) | 0x50;
  }
  return data;
}

/** Calls that overlap, with displacements that look like sign extension. */
const calls = (length, seed) => branches(length, seed, [0xe8, 0xe9, 0, 0xff]);

const CASES = [
  ["delta", "--check=crc32", "--delta=dist=3"],
  ["x86", "--check=crc32", "--x86"],
  ["powerpc", "--check=crc64", "--powerpc"],
  ["ia64", "--check=sha256", "--ia64=start=4096"],
  ["arm", "--check=none", "--arm"],
  ["armthumb", "--check=crc32", "--armthumb=start=2"],
  ["sparc", "--check=crc64", "--sparc"],
  ["arm64", "--check=sha256", "--arm64=start=1048576"],
  ["x86 over delta", "--check=crc64", "--delta=dist=1", "--x86=start=77"],
  ["four blocks with their sizes", "--check=crc64", "--block-size=1000", "-T2"],
];

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const decoded = (tool, stream) => {
  const data = execFileSync(tool, ["-dc"], { input: stream });
  return { size: data.length, sha256: sha256(data), stream: stream.toString("base64") };
};

/**
 * No tool writes randomised blocks any more. The bit that says so is set in a block of bzip2's making, and the CRCs of
 * block and stream become those that bzip2 computes of what it then decodes.
 */
function randomised() {
  // Long enough for every entry of the table of distances, and for its beginning again.
  const data = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 37) & 0x7e));
  const stream = execFileSync("bzip2", ["-9c"], { input: data });
  stream[14] |= 0x80;
  const [, stored, computed] = /\{0x([0-9a-f]{8}), 0x([0-9a-f]{8})\}/.exec(
    spawnSync("bzip2", ["-tvvv"], { input: stream, encoding: "utf8" }).stderr,
  );
  stream.writeUInt32BE(Number.parseInt(computed, 16), 10);
  // The CRC of the one block is also that of the stream: the last 32 bits before the padding to a byte.
  const [from, to] = [stored, computed].map((crc) => BigInt(`0x${crc}`));
  for (let padding = 0n; padding < 8n; padding++) {
    const tail = BigInt(`0x${stream.subarray(-5).toString("hex")}`);
    if (((tail >> padding) & 0xffff_ffffn) !== from) continue;
    const changed = tail ^ ((from ^ to) << padding);
    stream.write(changed.toString(16).padStart(10, "0"), stream.length - 5, "hex");
    return stream;
  }
  throw new Error("the CRC of the stream is not where it must be");
}

/** Long runs that do not pack, matches near and far, and long ones, so that every instruction of LZO1X occurs. */
function mixed() {
  const below = numbers(5);
  const noise = Buffer.from(Array.from({ length: 17_000 }, () => below(256)));
  const near = Buffer.from(Array.from({ length: 900 }, () => 0x61 + below(3)));
  return Buffer.concat([noise, near, noise.subarray(100, 700), Buffer.alloc(1000, 0x2a), noise.subarray(40, 44), near]);
}

const lzop = [
  ["level 1, Adler-32", "Adler-32", "-1"],
  ["level 9, CRC-32", "CRC-32", "-9", "--crc32"],
].map(([name, sum, ...options]) => ({
  name,
  sum,
  ...decoded("lzop", execFileSync("lzop", [...options, "-c"], { input: mixed() })),
}));

const xz = CASES.map(([name, ...options], n) => {
  const make = options.some((option) => option.startsWith("--ia64")) ? bundles : name === "x86" ? calls : branches;
  const data = make(n < 9 ? 3001 : 3500, n + 1);
  const lzma2 = options.some((option) => option.startsWith("--block-size")) ? [] : ["--lzma2=preset=6"];
  return { name, ...decoded("xz", execFileSync("xz", [...options, ...lzma2, "-c"], { input: data })) };
});
mkdirSync(target, { recursive: true });
/** Lines that differ little, which pack twelve to one and more: their bits are decoded in another way. */
const log = Buffer.from(
  Array.from({ length: 1500 }, (_, n) => `${n * 7} host${n % 5}: state=${(n * n) % 11 < 9 ? "idle" : "BUSY"}\n`).join(
    "",
  ),
);
for (const lzma2 of ["--lzma2", "--lzma2=lc=0,lp=3,pb=0"]) {
  const stream = execFileSync("xz", ["--check=crc32", lzma2, "-c"], { input: log });
  xz.push({ name: `lines that differ little, ${lzma2}`, ...decoded("xz", stream) });
}

writeFileSync(`${target}xz.json`, `${JSON.stringify(xz, null, 1)}\n`);
writeFileSync(`${target}lzop.json`, `${JSON.stringify(lzop, null, 1)}\n`);
writeFileSync(`${target}bzip2-randomised.json`, `${JSON.stringify(decoded("bzip2", randomised()), null, 1)}\n`);
