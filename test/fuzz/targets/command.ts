/** The whole command over an image: every verb ends with a documented exit code and with output that is valid. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDocument, checkSarif } from "../../../packages/cli/test/e2e/schema.js";
import { fixtures } from "../../lib/fixtures.js";
import { imageFixtures, unpackImage } from "../../lib/image-fixtures.js";
import { dissectBtrfs } from "../formats/btrfs.js";
import { dissectQcow2, dissectVhd, dissectVhdx, dissectVmdk } from "../formats/containers.js";
import { dissectExt } from "../formats/ext.js";
import { dissectFat } from "../formats/fat.js";
import { dissectIso9660 } from "../formats/iso9660.js";
import { dissectLvm } from "../formats/mapped.js";
import { dissectPartitions } from "../formats/partition.js";
import { dissectSquashfs } from "../formats/squashfs.js";
import { dissectXfs } from "../formats/xfs.js";
import type { Anatomy, Dissect } from "../lib/spots.js";
import type { Seed, Target } from "../lib/target.js";

type Form = "json" | "lines" | "sarif" | "text" | "bytes";

/** Command lines of each verb; the image comes last, and then what `after` adds. */
const LINES: readonly (readonly [words: string, form: Form, after?: string])[] = [
  ["inspect --json", "json"],
  ["inspect -v", "text"],
  ["inspect --json --journal replay --checksums require", "json"],
  ["search --json", "json"],
  ["search -f /boot/grub/grub.cfg -l root -u 1234-ABCD", "text"],
  ["parts --json", "json"],
  ["parts", "text"],
  ["ls -lR --json", "json", "/"],
  ["ls -la", "text", "/"],
  ["tree --json", "json", "/"],
  ["tree", "text", "/"],
  ["stat --json", "json", "/boot/grub/grub.cfg"],
  ["stat", "text", "/"],
  ["cat", "bytes", "/boot/grub/grub.cfg"],
  ["find --json --name *", "json", "/"],
  ["find --type f", "text", "/"],
  ["manifest", "lines"],
  ["manifest --no-hash --checksums ignore", "lines"],
  ["menu --json", "json"],
  ["menu", "text"],
  ["boot --json --all-hosts", "json"],
  ["boot --mode pygrub", "text"],
  ["lint --json", "json"],
  ["lint --sarif", "sarif"],
  ["lint", "text"],
  ["cp --links --force", "text", "/boot OUT"],
  ["cp --json --force", "json", "/ OUT"],
  ["extract-boot --mode pygrub", "text", "OUT"],
  ["host --json", "json"],
  ["grub run SCRIPT --json --image", "json"],
];

/** README, "exit code". The image is there and may be read, so that neither wrong usage nor the host's failure can be. */
const EXPECTED: ReadonlySet<number> = new Set([0, 1, 3, 4]);
/** But what an image itself asks for may not be there, and a name in it be longer than the host's file system takes. */
const HOST = 5;
const HOST_REASONS = /which was not supplied|needs device [^,\n]+, which was not given|ENAMETOOLONG/;

interface Outcome {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

type Run = (argv: readonly string[]) => Promise<number>;

let run: Run | undefined;

/** The published command, as `npm run build` makes it. */
function command(): Run {
  run ??= (createRequire(import.meta.url)("../../../packages/cli/dist/command.js") as { run: Run }).run;
  return run;
}

/**
 * Bytes of output that are kept. Only `cat` and listings of millions of files write more, and a sparse file of many gigabytes
 * must not fill the memory that is watched here.
 */
const MAX_KEPT = 64 << 20;

async function runCaptured(argv: readonly string[]): Promise<Outcome> {
  const chunks: [Buffer[], Buffer[]] = [[], []];
  const kept = [0, 0];
  const streams = [process.stdout, process.stderr] as const;
  const real = streams.map((stream) => stream.write);
  for (const [index, stream] of streams.entries()) {
    stream.write = ((chunk: string | Uint8Array, done?: unknown) => {
      const data = Buffer.from(chunk as string);
      if (kept[index]! < MAX_KEPT) chunks[index as 0 | 1].push(data);
      kept[index]! += data.length;
      if (typeof done === "function") done();
      return true;
    }) as typeof stream.write;
  }
  try {
    const code = await command()(argv);
    return { code, out: Buffer.concat(chunks[0]), err: Buffer.concat(chunks[1]).toString() };
  } finally {
    for (const [index, stream] of streams.entries()) stream.write = real[index]!;
  }
}

/** Bytes that a terminal would obey; a line feed is none. */
const CONTROL = /[\0-\x09\x0b-\x1f\x7f\u0080-\u009f\u202a-\u202e\u2066-\u2069]/u;

function checkOutput(form: Form, { code, out, err }: Outcome, line: string): void {
  const wrong = (what: string): Error => new Error(`${line}: ${what}`);
  const isExpected =
    EXPECTED.has(code) || (code === HOST && (HOST_REASONS.test(err) || HOST_REASONS.test(out.toString())));
  if (!isExpected) throw wrong(`exit code ${code}: ${err.slice(0, 300)}`);
  if (/\n {4}at /.test(err) || err.includes("internal error")) throw wrong(err.slice(0, 1000));
  if (CONTROL.test(err)) throw wrong("a control byte on standard error");
  if (form === "bytes") return;
  const text = new TextDecoder("utf-8", { fatal: true }).decode(out);
  if (CONTROL.test(text)) throw wrong("a control byte on standard output");
  if (form === "json") checkDocument(text);
  else if (form === "sarif") checkSarif(text);
  else if (form === "lines") {
    for (const each of text.split("\n").filter((one) => one !== "")) checkDocument(each);
  }
}

/** A partition's layout at its place on the disk. */
function at(offset: number, dissect: Dissect): Dissect {
  return (image, most): Anatomy => {
    const { spots, seals } = dissect(image.subarray(offset), most);
    return {
      spots: spots.map((spot) => ({ ...spot, at: spot.at + offset })),
      seals: seals.map((seal) => ({
        ...seal,
        at: seal.at + offset,
        renew: (data, write) => seal.renew(data.subarray(offset), (place, bytes) => write(place + offset, bytes)),
      })),
    };
  };
}

const all =
  (...parts: readonly Dissect[]): Dissect =>
  (image, most) => {
    const found = parts.map((part) => part(image, most));
    return { spots: found.flatMap(({ spots }) => spots), seals: found.flatMap(({ seals }) => seals) };
  };

/** Bytes. The command reads a file: writing it must not cost more than the reading. */
const MAX_SEED = 18 << 20;
const CONTAINERS: Readonly<Record<string, Dissect>> = {
  qcow2: dissectQcow2,
  vhd: dissectVhd,
  vhdx: dissectVhdx,
  vmdk: dissectVmdk,
};

function seeds(): readonly Seed[] {
  const sample = new Uint8Array(readFileSync(fileURLToPath(new URL("../../../sample/guest.img", import.meta.url))));
  const volumes = (name: string, wanted: string, dissect: Dissect): readonly Seed[] =>
    fixtures(name)
      .filter((one) => one.name === wanted)
      .map((one) => ({ name: `${name}/${wanted}`, bytes: one.image(), dissect }));
  return [
    { name: "sample", bytes: sample, dissect: all(dissectPartitions, at(2048 * 512, dissectExt)) },
    ...volumes("ext", "small-checksums", dissectExt),
    ...volumes("xfs", "v5-dirty", dissectXfs),
    ...volumes("btrfs", "lzo-zlib", dissectBtrfs),
    ...volumes("lvm", "order", dissectLvm),
    ...volumes("fat", "fat12", dissectFat),
    ...volumes("iso9660", "both", dissectIso9660),
    ...volumes("squashfs", "plain", dissectSquashfs),
    ...volumes("partition", "gpt-hybrid", dissectPartitions),
    ...imageFixtures.flatMap(({ name, expected: { format } }) => {
      const dissect = CONTAINERS[format];
      return dissect === undefined ? [] : [{ name, bytes: unpackImage(name), dissect }];
    }),
  ].filter(({ bytes }) => bytes.length <= MAX_SEED);
}

const whole: Target = {
  name: "command",
  seeds,
  async exercise(data, variant) {
    const base = mkdtempSync(join(tmpdir(), "guestprobe-fuzz-"));
    try {
      return await exerciseIn(base, data, variant);
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  },
};

/** @param base An empty folder. */
async function exerciseIn(base: string, data: Uint8Array, variant: number): Promise<readonly string[]> {
  const [image, script, out] = [join(base, "image"), join(base, "script.cfg"), join(base, "out")];
  writeFileSync(image, data);
  writeFileSync(script, "search --set=root -f /boot/grub/grub.cfg\nconfigfile /boot/grub/grub.cfg\n");
  mkdirSync(out);
  const [words, form, after = ""] = LINES[variant % LINES.length]!;
  const place: Readonly<Record<string, string>> = { OUT: out, SCRIPT: script };
  const argv = [...words.split(" "), image, ...after.split(" ")]
    .filter((word) => word !== "")
    .map((word) => place[word] ?? word);
  const outcome = await runCaptured([argv[0]!, "--color", "never", ...argv.slice(1)]);
  checkOutput(form, outcome, words);
  const codes = [...outcome.err.matchAll(/\[([a-z0-9-]+)\]$/gm)].map(([, code]) => code!);
  return [`${words} ${outcome.code}`, ...codes];
}

export const COMMAND_TARGETS: readonly Target[] = [whole];
