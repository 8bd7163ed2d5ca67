import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync, gzipSync } from "node:zlib";
import { isImageError } from "@guestprobe/block";
import {
  type Decode,
  decodeBzip2,
  decodeGzip,
  decodeLz4Block,
  decodeLz4Legacy,
  decodeLzmaAlone,
  decodeLzo1x,
  decodeLzop,
  decodeXz,
  decodeZlib,
  decodeZstd,
} from "@guestprobe/codec";
import { uncompressSync } from "lz4-napi";
import { expect, test } from "vitest";
import { InvertedBytes } from "../../packages/codec/src/bzip2-random.js";
import { mutate, Random } from "../lib/random.js";

const SCRIPT = fileURLToPath(new URL("./native-codec.py", import.meta.url));

interface Sample {
  readonly block: Uint8Array;
  /** Bytes that the sound block decodes to. */
  readonly size: number;
}

/** Runs `command`, a program of the protocol that native-codec.py describes. */
function native(line: string, records: readonly Sample[], command = ["python3", SCRIPT]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`${line}\n`)];
  for (const { block, size } of records) {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(size, 0);
    header.writeUInt32LE(block.length, 4);
    parts.push(header, block);
  }
  const [program = "", ...args] = command;
  const run = spawnSync(program, args, { input: Buffer.concat(parts), maxBuffer: 1 << 30, timeout: 250_000 });
  if (run.status !== 0) throw new Error(`${line}: ${run.error?.message ?? run.stderr.toString()}`);
  return run.stdout;
}

/** For each record the digest of the native output, or undefined where the library refused the block. */
function nativeDigests(codec: string, records: readonly Sample[], command?: string[]): (string | undefined)[] {
  const out = native(`decode ${codec}`, records, command);
  return records.map((_, i) => {
    const at = i * 36;
    return out.readInt32LE(at) < 0 ? undefined : out.subarray(at + 4, at + 36).toString("hex");
  });
}

function nativeCompress(name: string, data: readonly Uint8Array[]): Sample[] {
  const out = native(
    `compress ${name}`,
    data.map((block) => ({ block, size: block.length })),
  );
  let at = 0;
  return data.map(({ length: size }) => {
    const length = out.readInt32LE(at);
    const block = out.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return { block, size };
  });
}

const tool = (data: Uint8Array, command: string, ...options: string[]): Sample => ({
  block: execFileSync(command, options, { input: data, stdio: ["pipe", "pipe", "ignore"], maxBuffer: 1 << 28 }),
  size: data.length,
});

/** Machine code, text, noise, runs, lines, and a mixture, from a few bytes to 128 KiB. */
function plainBlocks(): Uint8Array[] {
  const random = new Random(20_231);
  const code = readFileSync("/bin/bash");
  const text = readFileSync(SCRIPT);
  const runs = (length: number): Uint8Array => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const end = at + 1 + random.below(700);
      out.fill(random.below(4), at, end);
      at = end;
    }
    return out;
  };
  const blocks: Uint8Array[] = [text.subarray(0, 1), text.subarray(0, 13), new Uint8Array(4096), random.bytes(300)];
  for (const length of [100, 1000, 4096, 8192, 16_384]) {
    const at = 0x20000 + random.below(200_000);
    blocks.push(code.subarray(at, at + length), text.subarray(0, length), runs(length));
  }
  // Lines that differ little: what packs so well is decoded in another way by LZMA.
  const lines = Array.from(
    { length: 600 },
    (_, n) => `${n * 7} host${n % 5}: ${random.below(9) === 0 ? "BUSY" : "idle"}\n`,
  );
  blocks.push(code.subarray(0x30000, 0x50000), new Uint8Array(0x20000), Buffer.from(lines.join("")));
  return blocks;
}

/** What our decoder makes of the block: the digest, or why it refused. Only an ImageError may come out of it. */
function ours(decode: Decode, { block, size }: Sample): { digest?: string; reason?: string } {
  try {
    const out = decode(block, { exact: size });
    expect(out.length).toBe(size);
    return { digest: createHash("sha256").update(out).digest("hex") };
  } catch (error) {
    if (!isImageError(error)) throw error;
    return { reason: error.reason };
  }
}

type Digests = (samples: readonly Sample[]) => (string | undefined)[];

/** Sound blocks decode to what went in; damaged ones give the same bytes as natively, or neither accepts them. */
function differential(
  codec: string,
  decode: Decode,
  samples: readonly Sample[],
  count = 2400,
  digests: Digests = (blocks) => nativeDigests(codec, blocks),
): void {
  const sound = digests(samples);
  samples.forEach((sample, i) => {
    expect(sound[i], `sample ${i} natively`).toBeDefined();
    expect(ours(decode, sample), `sample ${i}`).toEqual({ digest: sound[i] });
  });
  const random = new Random(7 + codec.length);
  const mutants: Sample[] = [];
  while (mutants.length < count) {
    const { block, size } = random.pick(samples);
    const damaged = mutate(random, block);
    if (Buffer.compare(damaged, block) !== 0) mutants.push({ block: damaged, size });
  }
  const expected = digests(mutants);
  const differing: string[] = [];
  mutants.forEach((mutant, i) => {
    const { digest, reason } = ours(decode, mutant);
    if (digest !== expected[i])
      differing.push(`mutant ${i}: ours ${digest ?? reason}, native ${expected[i] ?? "refused"}`);
  });
  expect(differing).toEqual([]);
  expect(expected.some((digest) => digest === undefined)).toBe(true);
}

const plain = plainBlocks();

test("zlib", () => {
  const samples = plain.flatMap((data) =>
    [0, 1, 9].map((level) => ({ block: deflateSync(data, { level }), size: data.length })),
  );
  differential("zlib", decodeZlib, samples);
});

const gzipSamples = (): Sample[] => [
  ...plain.map((data) => ({ block: gzipSync(data), size: data.length })),
  { block: Buffer.concat([gzipSync(plain[5]!), gzipSync(plain[6]!)]), size: plain[5]!.length + plain[6]!.length },
];
test("gzip", () => differential("gzip", decodeGzip, gzipSamples()));

/** Builds the native decoder of zstd that is written in Go, from Debian's source package of it. */
function buildGoZstd(): string {
  const folder = mkdtempSync(join(tmpdir(), "guestprobe-zstd-"));
  const env = { ...process.env, GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOCACHE: join(folder, "cache") };
  const program = join(folder, "zstd");
  execFileSync("go", ["build", "-o", program, "."], { cwd: new URL("./native-zstd/", import.meta.url), env });
  return program;
}

/**
 * The native decoders of zstd differ: libzstd decodes Huffman literals in two ways that do not look whether a stream was
 * used up, which RFC 8878 (section 4.2.2) demands, and takes an offset of 0 for 1; klauspost/compress does neither. So a
 * block counts as sound where both decode it, to the same bytes.
 */
test("zstd", () => {
  const samples = plain.flatMap((data) =>
    [["-1", "--no-check"], ["-3"], ["-19", "--no-check"]].map((options) => tool(data, "zstd", "-c", ...options)),
  );
  const go = buildGoZstd();
  differential("zstd", decodeZstd, samples, 4000, (blocks) => {
    const strict = nativeDigests("zstd", blocks, [go]);
    return nativeDigests("zstd", blocks).map((digest, i) => (digest === strict[i] ? digest : undefined));
  });
});

test("lzo1x", () => {
  const samples = ["lzo1x", "lzo1x999"].flatMap((name) => nativeCompress(name, plain));
  differential("lzo1x", decodeLzo1x, samples, 4000);
});

/** What lz4_flex makes of a block of at most `size` bytes. */
function flexDecoded(block: Uint8Array, size: number): Buffer | undefined {
  const prefixed = Buffer.alloc(4 + block.length);
  prefixed.writeUInt32LE(size);
  prefixed.set(block, 4);
  try {
    return uncompressSync(prefixed);
  } catch {
    return undefined;
  }
}

/**
 * LZ4's native decoders differ: liblz4, like the kernel's, answers zeros for a match at distance 0, which the format
 * forbids; lz4_flex refuses that, but lets matches come nearer to the end of a block than the format allows. So a block
 * counts as sound where both decode it, to the same bytes.
 */
const bothDecode =
  (codec: string, flex: (sample: Sample) => Buffer | undefined): Digests =>
  (samples) =>
    nativeDigests(codec, samples).map((digest, i) => {
      if (digest === undefined) return undefined;
      const out = flex(samples[i]!);
      return out && createHash("sha256").update(out).digest("hex") === digest ? digest : undefined;
    });

test("lz4 block", () => {
  const samples = ["lz4", "lz4hc"].flatMap((name) => nativeCompress(name, plain));
  const digests = bothDecode("lz4", ({ block, size }) => flexDecoded(block, size));
  differential("lz4", decodeLz4Block, samples, 4000, digests);
});

test("lz4 legacy frame", () => {
  const samples = plain.map((data) => tool(data, "lz4", "-lc"));
  // The frame is read by lz4 itself; lz4_flex has no legacy frames, so it gets the blocks that lz4 found sound.
  const digests = bothDecode("lz4-legacy", ({ block: frame, size }) => {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const parts: Buffer[] = [];
    for (let at = 0; at < frame.length; ) {
      const word = view.getUint32(at, true);
      at += 4;
      if (word === 0x184c2102) continue;
      const part = flexDecoded(frame.subarray(at, at + word), Math.min(size, 8 << 20));
      if (part === undefined) return undefined;
      parts.push(part);
      at += word;
    }
    return Buffer.concat(parts);
  });
  differential("lz4-legacy", decodeLz4Legacy, samples, 2000, digests);
});

test("lzop", () => {
  const samples = plain.flatMap((data) =>
    [["-1"], ["-9", "--crc32"]].map((options) => tool(data, "lzop", "-c", ...options)),
  );
  const padded = Buffer.concat([samples[4]!.block, new Uint8Array(3)]);
  samples.push({ block: padded, size: samples[4]!.size });
  differential("lzop", decodeLzop, samples, 2000);
});

test("lzma alone", () => {
  const samples = plain.flatMap((data) => [
    tool(data, "xz", "--format=lzma", "-c"),
    tool(data, "xz", "--format=lzma", "--lzma1=lc=1,lp=2,pb=1,dict=4KiB", "-c"),
  ]);
  differential("lzma", decodeLzmaAlone, samples, 4000);
});

test("xz, no further than is needed", () => {
  const random = new Random(91);
  // More than one LZMA2 chunk, of 2 MiB at most: text that packs well, and bytes that do not.
  const data = Uint8Array.from({ length: 0x28_0000 }, (_, at) => (at % 64 === 0 ? random.below(256) : at >> 12));
  for (const options of [[], ["--x86", "--lzma2"], ["--block-size=700000", "-T1"], ["--delta=dist=4", "--lzma2"]]) {
    const { block } = tool(data, "xz", "-1", ...options, "-c");
    for (const enough of [0, 1, 699_999, 700_001, data.length - 1, 1 << 30]) {
      const got = decodeXz(block, { exact: data.length }, { enough });
      expect(got.length).toBeGreaterThanOrEqual(Math.min(enough, data.length));
      expect(Buffer.compare(got, data.subarray(0, got.length)), `${options} ${enough}`).toBe(0);
    }
    expect(decodeXz(block, { exact: data.length }, { enough: 4096 }).length).toBe(4096);
    // What is not decoded is still walked to its end.
    for (const cut of [1, 13, block.length >> 1]) {
      const part = block.subarray(0, block.length - cut);
      expect(() => decodeXz(part, { exact: data.length }, { enough: 4096, trailing: "ignore" })).toThrow();
    }
    expect(() => decodeXz(block, { max: data.length - 1 }, { enough: 4096 })).toThrow(/more than the limit/);
  }
});

const BCJ = ["x86", "arm", "armthumb", "arm64", "powerpc", "sparc", "ia64"];

test("xz", () => {
  const samples = plain.flatMap((data) => [
    tool(data, "xz", "-c"),
    tool(data, "xz", "--check=none", "--lzma2=lc=0,lp=3,pb=0,dict=4KiB", "-c"),
    tool(data, "xz", "--check=sha256", "--x86", "--lzma2", "-c"),
    tool(data, "xz", "--check=crc32", "--delta=dist=3", "--lzma2", "-c"),
    tool(data, "xz", "--check=none", "--block-size=2000", "-T1", "-c"),
  ]);
  const [first, second] = [samples[30]!, samples[31]!];
  const padded = Buffer.concat([first.block, new Uint8Array(8), second.block, new Uint8Array(4)]);
  samples.push({ block: padded, size: first.size + second.size });
  differential("xz", decodeXz, samples, 4000);
});

test.each(BCJ)("xz filter %s on bytes full of branches", (filter) => {
  // Each architecture's opcodes, and the bytes that sign extension leaves, far more often than code has them.
  const opcodes = [
    0xe8, 0xe9, 0xeb, 0x48, 0x4b, 0x40, 0x7f, 0x94, 0x97, 0x90, 0xb0, 0xf0, 0xf8, 0x10, 0x16, 0x50, 0, 0xff, 1,
  ];
  const samples: Sample[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed * 77 + filter.length);
    const data = Uint8Array.from({ length: 3 + random.below(6000) }, () =>
      random.below(4) === 0 ? random.below(256) : random.pick(opcodes),
    );
    const start = seed % 2 === 0 ? [] : [`=start=${16 * random.below(1 << 20)}`];
    samples.push(tool(data, "xz", "--check=crc32", `--${filter}${start.join("")}`, "--lzma2=preset=0", "-c"));
  }
  const expected = nativeDigests("xz", samples);
  samples.forEach((sample, i) => {
    expect(expected[i]).toBeDefined();
    expect(ours(decodeXz, sample), `sample ${i}`).toEqual({ digest: expected[i] });
  });
});

test("bzip2", () => {
  const samples = plain.flatMap((data) => [tool(data, "bzip2", "-1c"), tool(data, "bzip2", "-9c")]);
  const [first, second] = [samples[10]!, samples[12]!];
  samples.push({ block: Buffer.concat([first.block, second.block]), size: first.size + second.size });
  differential("bzip2", decodeBzip2, samples);
});

test("bzip2, randomised blocks", () => {
  // No tool writes them any more. The bit that says so is set in blocks that bzip2 made of bytes with the inversions
  // already in them, so that what the library decodes, and its CRCs, show whether ours are at the places of its table.
  differential("bzip2", decodeBzip2, [1000, 5000, 30_000].map(randomised), 2000);
  // Long enough for every entry of the table, and for its beginning again.
  const long = randomised(600_000);
  expect(ours(decodeBzip2, long)).toEqual({ digest: nativeDigests("bzip2", [long])[0] });
});

function randomised(size: number): Sample {
  // No byte equals the one before it by more than its lowest bit, so the run lengths of the format do not occur.
  const random = new Random(size);
  const data = new Uint8Array(size);
  for (let at = 1; at < size; at++) data[at] = (data[at - 1]! + 2 * (1 + random.below(9))) & 0x7f;
  const inverted = new Uint8Array(data);
  const places = new InvertedBytes();
  for (let at = places.next(); at < size; at = places.next()) inverted[at]! ^= 1;
  const block = Uint8Array.from(tool(inverted, "bzip2", "-9c").block);
  block[14]! |= 0x80;
  const view = new DataView(block.buffer);
  const crc = bzip2Crc(data);
  const old = view.getUint32(10);
  view.setUint32(10, crc);
  // The CRC of the one block is also that of the stream, in the last 32 bits before the padding to a byte.
  for (let padding = 0; padding < 8; padding++) {
    const tail = (BigInt(view.getUint32(block.length - 5)) << 8n) | BigInt(block.at(-1)!);
    const mask = 0xffff_ffffn << BigInt(padding);
    if ((tail & mask) >> BigInt(padding) !== BigInt(old)) continue;
    const changed = (tail & ~mask) | (BigInt(crc) << BigInt(padding));
    view.setUint32(block.length - 5, Number(changed >> 8n));
    block[block.length - 1] = Number(changed & 0xffn);
    return { block, size };
  }
  throw new Error("the CRC of the stream is not where it must be");
}

function bzip2Crc(data: Uint8Array): number {
  let crc = -1;
  for (const byte of data) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  }
  return ~crc >>> 0;
}
