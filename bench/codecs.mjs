/**
 * Throughput of each decoder and of a whole squashfs file, beside the native tool in the same run: `npm run bench --
 * --only codecs`. Figures are megabytes of output in a second, the best of several runs; the tools' include
 * their start. Needs gzip, zstd, lz4, xz, bzip2, lzop and squashfs-tools.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync, inflateSync } from "node:zlib";
import { cachedDevice } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import {
  decodeBzip2,
  decodeGzip,
  decodeLz4Legacy,
  decodeLzmaAlone,
  decodeLzop,
  decodeXz,
  decodeZlib,
  decodeZstd,
} from "@guestprobe/codec";
import { workerDecompressor } from "@guestprobe/codec/node";
import { squashfs, squashfsWith } from "@guestprobe/squashfs";
import { filePieces, resolve } from "@guestprobe/vfs";

const MIB = 1 << 20;
const RUNS = 3;
const folder = mkdtempSync(join(tmpdir(), "guestprobe-bench-"));

/** Code and text, as a root file system has them: this program's runtime, 16 MiB of it. */
const data = new Uint8Array(readFileSync(process.execPath).subarray(0, 16 * MIB));

const rate = (bytes, ms) => (bytes / MIB / (ms / 1000)).toFixed(0).padStart(6);

function best(work) {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < RUNS; n += 1) {
    const began = performance.now();
    work();
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

async function bestAsync(work) {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < RUNS; n += 1) {
    const began = performance.now();
    await work();
    least = Math.min(least, performance.now() - began);
  }
  return least;
}

function line(name, ours, native, what) {
  console.log(`${name.padEnd(34)}${ours} MB/s   ${what.padStart(28)}${native} MB/s`);
}

const compress = (command, ...options) =>
  new Uint8Array(
    execFileSync(command, options, { input: data, maxBuffer: 1 << 30, stdio: ["pipe", "pipe", "ignore"] }),
  );

function tool(block, command, ...options) {
  const ms = best(() => {
    const { status } = spawnSync(command, options, { input: block, stdio: ["pipe", "ignore", "ignore"] });
    if (status !== 0) throw new Error(`${command} failed`);
  });
  return rate(data.length, ms);
}

function whole(name, decode, block, command, ...options) {
  if (Buffer.compare(decode(block, { exact: data.length }), data) !== 0) throw new Error(`${name}: wrong output`);
  const ms = best(() => decode(block, { exact: data.length }));
  line(name, rate(data.length, ms), tool(block, command, ...options), [command, ...options].join(" "));
}

async function codecs() {
  const gzip = compress("gzip", "-6c");
  whole("gzip", decodeGzip, gzip, "gzip", "-dc");
  whole("zstd", decodeZstd, compress("zstd", "-qc"), "zstd", "-qdc");
  whole("lzop", decodeLzop, compress("lzop", "-c"), "lzop", "-dc");
  whole("lz4, legacy frame", decodeLz4Legacy, compress("lz4", "-lc"), "lz4", "-dc");
  whole("xz", decodeXz, compress("xz", "-c", "-T1"), "xz", "-dc", "-T1");
  whole("xz, x86 filter", decodeXz, compress("xz", "-c", "-T1", "--x86", "--lzma2"), "xz", "-dc", "-T1");
  whole("lzma", decodeLzmaAlone, compress("xz", "--format=lzma", "-c"), "xz", "--format=lzma", "-dc");
  whole("bzip2", decodeBzip2, compress("bzip2", "-c"), "bzip2", "-dc");
  const size = 128 * 1024;
  for (const [name, decode] of [
    ["zlib, blocks of 128 KiB", decodeZlib],
    ["the same by Node's own zlib", inflateSync],
  ]) {
    const blocks = Array.from({ length: 64 }, (_, n) => deflateSync(data.subarray(n * size, (n + 1) * size)));
    const ms = best(() => {
      for (const block of blocks) decode(block, { exact: size });
    });
    console.log(`${name.padEnd(34)}${rate(blocks.length * size, ms)} MB/s`);
  }
}

/** Reads one large file of a volume, hashing it, as `cat` does; unsquashfs writes it to a pipe. */
async function wholeFile(compressor) {
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  writeFileSync(join(tree, "file"), data);
  const image = join(folder, `${compressor}.squashfs`);
  execFileSync("mksquashfs", [tree, image, "-comp", compressor, "-noappend", "-quiet", "-no-progress"]);
  const wanted = createHash("sha256").update(data).digest("hex");
  const readWith = async (format) => {
    const device = await openFile(image);
    const fs = await format.open(cachedDevice(device));
    const found = await resolve(fs, "/file");
    const hash = createHash("sha256");
    for await (const piece of filePieces(found.inode)) hash.update(piece);
    await device.close();
    if (hash.digest("hex") !== wanted) throw new Error(`${compressor}: wrong content`);
  };
  const pool = workerDecompressor();
  const single = await bestAsync(() => readWith(squashfs));
  const threaded = await bestAsync(() => readWith(squashfsWith({ decompressor: pool })));
  await pool.close();
  const native = (threads) =>
    best(() => {
      const options = ["-processors", `${threads}`, "-quiet", "-no-progress", "-cat", image, "file"];
      const { status } = spawnSync("unsquashfs", options, { stdio: ["ignore", "ignore", "ignore"] });
      if (status !== 0) throw new Error("unsquashfs failed");
    });
  line(
    `squashfs ${compressor}, one thread`,
    rate(data.length, single),
    rate(data.length, native(1)),
    "unsquashfs -cat, 1 thread",
  );
  line(
    `squashfs ${compressor}, worker threads`,
    rate(data.length, threaded),
    rate(data.length, native(8)),
    "unsquashfs -cat, 8 threads",
  );
}

/** Prints a line for each decoder, then two for a file of each compressor. */
export async function benchCodecs() {
  try {
    await codecs();
    for (const compressor of ["gzip", "lzo", "xz", "lz4", "zstd"]) await wholeFile(compressor);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
