import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deflateSync, gzipSync } from "node:zlib";
import { isImageError } from "@guestprobe/block";
import {
  type Decode,
  decodeBzip2,
  decodeGzip,
  decodeGzipPortable,
  decodeLz4Block,
  decodeLz4Legacy,
  decodeLzmaAlone,
  decodeLzo1x,
  decodeLzop,
  decodeXz,
  decodeZlib,
  decodeZlibPortable,
  loadZstd,
} from "@guestprobe/codec";
import { expect, test } from "vitest";
import { mutate, Random } from "../lib/random.js";

const SCRIPT = fileURLToPath(new URL("./native-codec.py", import.meta.url));

interface Sample {
  readonly block: Uint8Array;
  /** Bytes that the sound block decodes to. */
  readonly size: number;
}

function native(line: string, records: readonly Sample[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`${line}\n`)];
  for (const { block, size } of records) {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(size, 0);
    header.writeUInt32LE(block.length, 4);
    parts.push(header, block);
  }
  const run = spawnSync("python3", [SCRIPT], { input: Buffer.concat(parts), maxBuffer: 1 << 30, timeout: 250_000 });
  if (run.status !== 0) throw new Error(`${line}: ${run.error?.message ?? run.stderr.toString()}`);
  return run.stdout;
}

/** For each record the digest of the native output, or undefined where the library refused the block. */
function nativeDigests(codec: string, records: readonly Sample[]): (string | undefined)[] {
  const out = native(`decode ${codec}`, records);
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

/** Machine code, text, noise, runs, and a mixture, from a few bytes to 128 KiB. */
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
  blocks.push(code.subarray(0x30000, 0x50000), new Uint8Array(0x20000));
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

interface Rules {
  /** How many damaged blocks. */
  readonly count?: number;
  /** Where we refuse, by a rule of the format, what the native decoder lets pass: the reason we then give. */
  readonly stricter?: RegExp;
  /** Whether damage that leaves the output intact may pass where the native decoder notices it. */
  readonly harmless?: boolean;
}

/** Sound blocks decode to what went in; damaged ones give the same bytes as natively, or neither accepts them. */
function differential(codec: string, decode: Decode, samples: readonly Sample[], rules: Rules = {}): void {
  const sound = nativeDigests(codec, samples);
  samples.forEach((sample, i) => {
    expect(sound[i], `sample ${i} natively`).toBeDefined();
    expect(ours(decode, sample), `sample ${i}`).toEqual({ digest: sound[i] });
  });
  const random = new Random(7 + codec.length);
  const mutants: (Sample & { readonly sound: string })[] = [];
  while (mutants.length < (rules.count ?? 2400)) {
    const chosen = random.below(samples.length);
    const { block, size } = samples[chosen]!;
    const damaged = mutate(random, block);
    if (Buffer.compare(damaged, block) !== 0) mutants.push({ block: damaged, size, sound: sound[chosen]! });
  }
  const expected = nativeDigests(codec, mutants);
  const differing: string[] = [];
  let excused = 0;
  mutants.forEach((mutant, i) => {
    const { digest, reason } = ours(decode, mutant);
    if (digest === expected[i]) return;
    if (reason !== undefined && rules.stricter?.test(reason)) excused++;
    else if (rules.harmless && expected[i] === undefined && digest === mutant.sound) excused++;
    else differing.push(`mutant ${i}: ours ${digest ?? reason}, native ${expected[i] ?? "refused"}`);
  });
  expect(differing).toEqual([]);
  expect(excused).toBeLessThan(mutants.length / 50);
  expect(expected.some((digest) => digest === undefined)).toBe(true);
}

const plain = plainBlocks();

test("zlib", () => {
  const samples = plain.flatMap((data) =>
    [0, 1, 9].map((level) => ({ block: deflateSync(data, { level }), size: data.length })),
  );
  differential("zlib", decodeZlib, samples);
});

test("zlib without Node", () => {
  // fflate does not say where the stream ended, so bytes between it and the checksum go unnoticed.
  const samples = plain.map((data) => ({ block: deflateSync(data, { level: 6 }), size: data.length }));
  differential("zlib", decodeZlibPortable, samples, { harmless: true });
});

const gzipSamples = (): Sample[] => [
  ...plain.map((data) => ({ block: gzipSync(data), size: data.length })),
  { block: Buffer.concat([gzipSync(plain[5]!), gzipSync(plain[6]!)]), size: plain[5]!.length + plain[6]!.length },
];
test("gzip", () => differential("gzip", decodeGzip, gzipSamples()));
test("gzip without Node", () => differential("gzip", decodeGzipPortable, gzipSamples(), { harmless: true }));

test("zstd", async () => {
  const samples = plain.flatMap((data) =>
    [["-1", "--no-check"], ["-3"], ["-19", "--no-check"]].map((options) => tool(data, "zstd", "-c", ...options)),
  );
  // On 64-bit machines libzstd decodes Huffman literals by a loop that lets pass damage which its portable code, and so
  // the WebAssembly build, notices. What both accept must be the same.
  differential("zstd", await loadZstd(), samples, { stricter: /stream is damaged/ });
});

test("lzo1x", () => {
  const samples = ["lzo1x", "lzo1x999"].flatMap((name) => nativeCompress(name, plain));
  differential("lzo1x", decodeLzo1x, samples, { count: 4000 });
});

/** The format forbids distance 0; liblz4 does not look for it, and answers zeros. */
const LZ4_STRICTER = /distance 0$/;

test("lz4 block", () => {
  const samples = ["lz4", "lz4hc"].flatMap((name) => nativeCompress(name, plain));
  differential("lz4", decodeLz4Block, samples, { count: 4000, stricter: LZ4_STRICTER });
});

test("lz4 legacy frame", () => {
  const samples = plain.map((data) => tool(data, "lz4", "-lc"));
  differential("lz4-legacy", decodeLz4Legacy, samples, { count: 2000, stricter: LZ4_STRICTER });
});

// lzop lets a few bytes after the end pass.
test("lzop", () => {
  const samples = plain.flatMap((data) =>
    [["-1"], ["-9", "--crc32"]].map((options) => tool(data, "lzop", "-c", ...options)),
  );
  differential("lzop", decodeLzop, samples, { count: 2000, stricter: /bytes follow the end/ });
});

test("lzma alone", () => {
  const samples = plain.flatMap((data) => [
    tool(data, "xz", "--format=lzma", "-c"),
    tool(data, "xz", "--format=lzma", "--lzma1=lc=1,lp=2,pb=1,dict=4KiB", "-c"),
  ]);
  differential("lzma", decodeLzmaAlone, samples, { count: 4000 });
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
  differential("xz", decodeXz, samples, { count: 4000 });
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
  differential("bzip2", decodeBzip2, samples, { stricter: /randomised/ });
});
