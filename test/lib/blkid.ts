/** What the real blkid says of a device, and what `identify` says in its words. */
import { spawnSync } from "node:child_process";
import { type BlockDevice, decodeText } from "@guestprobe/block";
import { openFile } from "@guestprobe/block/node";
import { readPartitions } from "@guestprobe/partition";
import { identify, type Signature } from "@guestprobe/signature";
import { expect } from "vitest";

/**
 * TYPE, LABEL, UUID, USAGE and VERSION of one signature; AMBIVALENT alone, "usage:type:version" of each, where blkid found several
 * and would not choose. Empty where nothing is known.
 */
export type Answer = Readonly<Record<string, string>>;

const KEYS = ["TYPE", "LABEL", "UUID", "USAGE", "VERSION", "AMBIVALENT"];
const NOTHING_FOUND = 2;
const AMBIVALENT = 8;

/** By low-level probing, never from a cache. `range` is in bytes of the file. */
export function blkid(file: string, range?: { readonly start: number; readonly length: number }): Answer {
  const part = range === undefined ? [] : ["-O", `${range.start}`, "-S", `${range.length}`];
  // udev's form is the one in which each byte of a label can be told.
  const { status, stdout, stderr, error } = spawnSync("blkid", ["-p", "-o", "udev", ...part, file], {
    encoding: "utf8",
  });
  if (error !== undefined) throw error;
  if (![0, NOTHING_FOUND, AMBIVALENT].includes(status ?? -1)) throw new Error(`blkid ended in ${status}: ${stderr}`);
  const answer: Record<string, string> = {};
  for (const key of KEYS) {
    const value =
      new RegExp(`^ID_FS_${key}_ENC=(.*)$`, "m").exec(stdout)?.[1] ??
      new RegExp(`^ID_FS_${key}=(.*)$`, "m").exec(stdout)?.[1];
    if (value !== undefined) answer[key] = unescaped(value);
  }
  return answer;
}

/** udev's "\x20" as the byte that it stands for; what is not escaped is UTF-8 already. */
function unescaped(text: string): string {
  const bytes = text
    .split(/(\\x[0-9a-f]{2})/)
    .map((part) => (part.startsWith("\\x") ? Buffer.from(part.slice(2), "hex") : Buffer.from(part)));
  return Buffer.concat(bytes).toString();
}

/** A signature in blkid's words. */
export function inBlkidsWords(signature: Signature | undefined): Answer {
  if (signature === undefined) return {};
  const { kind, usage, label, uuid, version } = signature;
  return {
    TYPE: kind,
    USAGE: usage,
    ...(label.length > 0 ? { LABEL: decodeText(label) } : {}),
    ...(uuid === undefined ? {} : { UUID: uuid }),
    ...(version === undefined ? {} : { VERSION: version }),
  };
}

/** One device, or one partition of it, through both. */
export interface Compared {
  /** The name given; behind it "#2" for its second partition. */
  readonly name: string;
  readonly theirs: Answer;
  readonly ours: Answer;
  readonly all: readonly Signature[];
}

/** A whole device, and each of its partitions. */
export async function compareWithBlkid(name: string, file: string): Promise<readonly Compared[]> {
  await using device = await openFile(file);
  const { partitions } = await readPartitions(device);
  const parts = partitions.filter(({ kind }) => kind !== "extended");
  // What lies in a partition is that partition's, at the end of the last one as well; not so for one that begins with the table.
  const all = (await identify(device)).filter(
    ({ offset }) => !parts.some(({ start, length }) => start > 0 && offset >= start && offset < start + length),
  );
  const compared = [compare(name, blkid(file), all)];
  for (const { number, start, length, device: block } of parts) {
    if (block === undefined) continue;
    compared.push(compare(`${name}#${number}`, blkid(file, { start, length }), await identify(block as BlockDevice)));
  }
  return compared;
}

function compare(name: string, theirs: Answer, all: readonly Signature[]): Compared {
  const ours =
    theirs.AMBIVALENT === undefined || all.length < 2
      ? inBlkidsWords(all[0])
      : { AMBIVALENT: all.map(({ usage, kind, version }) => [usage, kind, version ?? ""].join(":")).join(" ") };
  return { name, theirs, ours, all };
}

/** A device about which the two differ, and why that is right. */
export interface Difference {
  readonly name: string;
  readonly theirs: Answer;
  readonly ours: Answer;
  readonly why: string;
}

/**
 * Fails where a device or one of its partitions is not named as blkid names it, but for `explained` differences; and where one of
 * those is no more.
 */
export class BlkidCheck {
  readonly #explained: ReadonlyMap<string, Difference>;
  readonly #met = new Set<string>();
  /** Devices and partitions compared. */
  count = 0;

  constructor(explained: readonly Difference[] = []) {
    this.#explained = new Map(explained.map((row) => [row.name, row]));
    for (const { name, theirs, ours, why } of explained) {
      expect(ours, name).not.toEqual(theirs);
      expect(why, name).not.toBe("");
    }
  }

  async compare(name: string, file: string): Promise<readonly Compared[]> {
    const compared = await compareWithBlkid(name, file);
    for (const { name: place, theirs, ours } of compared) {
      this.count += 1;
      const row = this.#explained.get(place);
      if (row !== undefined) this.#met.add(place);
      const expected = row === undefined ? { theirs, ours: theirs } : { theirs: row.theirs, ours: row.ours };
      expect({ theirs, ours }, place).toEqual(expected);
    }
    return compared;
  }

  /** Explained differences of devices that no test has made. */
  get unmet(): readonly string[] {
    return [...this.#explained.keys()].filter((name) => !this.#met.has(name));
  }
}

/** Fails where a device or one of its partitions is not named as blkid names it. */
export async function expectAsBlkidHasIt(file: string): Promise<void> {
  await new BlkidCheck().compare(file, file);
}
