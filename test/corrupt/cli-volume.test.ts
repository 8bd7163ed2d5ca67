import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bufferDevice } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { resolve } from "@guestprobe/vfs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkDocument } from "../../packages/cli/test/e2e/schema.js";
import { type BatchResult, guestprobeBatch } from "../lib/cli.js";
import { fixtures } from "../lib/fixtures.js";

/**
 * Each verb over a volume that is damaged inside: trees of extents and of hashes that lead in circles, directory entries
 * of no length, directories inside themselves. A verb that comes past the damage says where it is and ends in 3 or 4;
 * one that does not, and the sound disk beside it, answer as ever.
 */
const MAX_MS = 2000;
const MAX_RSS = 256 << 20;

const sample = fileURLToPath(new URL("../../sample/guest.img", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "guestprobe-volume-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const plain = fixtures("ext")
  .find(({ name }) => name === "small-plain")!
  .image();
const BLOCK = 1024;
/** A block that no file of the fixture uses. */
const FREE = 900;
const I_BLOCK = 0x28;

interface Found {
  /** Bytes of the inode, and of the first data block. */
  readonly inode: number;
  readonly data: number;
  /** Byte of the second block. */
  readonly second: number;
}
const places: Record<string, Found> = {};
beforeAll(async () => {
  const fs = await ext.open(bufferDevice(plain));
  for (const path of ["/", "/mapped", "/indexed"]) {
    const { inode } = (await resolve(fs, path))!;
    const blocks: number[] = [];
    for await (const batch of inode.extents()) {
      for (const { physical, length } of batch) {
        for (let at = 0; physical !== undefined && at < length; at += BLOCK) blocks.push(physical + at);
      }
    }
    places[path] = { inode: inode.offset!, data: blocks[0]!, second: blocks[1]! };
  }
});

const le16 = (value: number): number[] => [value & 0xff, value >> 8];
const le32 = (value: number): number[] => [...le16(value & 0xffff), ...le16(value >>> 16)];
type Edit = readonly [at: number, bytes: readonly number[]];
const edited = (edits: readonly Edit[]): Uint8Array => {
  const copy = plain.slice();
  for (const [at, bytes] of edits) copy.set(bytes, at);
  return copy;
};

/** ext4_extent_header and ext4_extent_idx: one child at logical block 0. */
const inner = (depth: number, max: number, block: number): number[] => [
  ...le16(0xf30a),
  ...le16(1),
  ...le16(max),
  ...le16(depth),
  ...le32(0),
  ...le32(0),
  ...le32(block),
  ...le32(0),
];
/** The tree of one inode, whose only node is its own child. */
const extentCircle = (path: string): Edit[] => [
  [places[path]!.inode + I_BLOCK, inner(1, 4, FREE)],
  [FREE * BLOCK, inner(1, 84, FREE)],
];

/** Command lines by a short name; "A" is the damaged image. */
const VERBS: Record<string, readonly string[]> = {
  inspect: ["inspect", "--json", "A", sample],
  "search a file": ["search", "--json", "-f", "/file", "A"],
  "search behind the index": ["search", "--json", "-f", "/indexed/a rather long name, number 7", "A"],
  manifest: ["manifest", "A", sample],
  "ls -R": ["ls", "-R", "--json", "A", "(hd0)/"],
  tree: ["tree", "--json", "A", "(hd0)/"],
  find: ["find", "--json", "A", "(hd0)/"],
  "cat the mapped file": ["cat", "A", "(hd0)/mapped"],
  "cat another file": ["cat", "A", "(hd0)/file"],
};
const WALKS = ["manifest", "ls -R", "tree", "find"];

interface Case {
  readonly edits: () => Edit[];
  /** Verbs that come past the damage, and so must tell. */
  readonly telling: readonly string[];
}
const cases: Record<string, Case> = {
  "a file's extents lead in a circle": {
    edits: () => extentCircle("/mapped"),
    telling: ["manifest", "cat the mapped file"],
  },
  "a directory's extents lead in a circle": {
    edits: () => extentCircle("/indexed"),
    telling: [...WALKS, "search behind the index"],
  },
  "the root's extents lead in a circle": { edits: () => extentCircle("/"), telling: Object.keys(VERBS) },
  "an entry of the root has the length 0": {
    // Behind "." and "..", 12 bytes each; the length lies at byte 4.
    edits: () => [[places["/"]!.data + 24 + 4, le16(0)]],
    telling: Object.keys(VERBS),
  },
  "an entry of the root is its own directory": {
    edits: () => {
      // The inode number of the first name, whatever it is.
      return [[places["/"]!.data + 24, le32(2)]];
    },
    telling: WALKS,
  },
  "the hash tree leads to its own root": {
    // dx_root: info.indirect_levels at 0x1e; the first dx_entry's block at 0x24.
    edits: () => [
      [places["/indexed"]!.data + 0x1e, [1]],
      [places["/indexed"]!.data + 0x24, le32(0)],
    ],
    telling: ["search behind the index"],
  },
  "the length of an indexed directory's entry is 0": {
    edits: () => [[places["/indexed"]!.second + 4, le16(0)]],
    telling: [...WALKS, "search behind the index"],
  },
};

const run = async (image: Uint8Array): Promise<Map<string, BatchResult>> => {
  const path = join(scratch, "case.img");
  writeFileSync(path, image);
  const jobs = Object.values(VERBS).map((args) => args.map((word) => (word === "A" ? path : word)));
  const results = await guestprobeBatch(jobs, 60_000);
  return new Map(Object.keys(VERBS).map((name, index) => [name, results[index]!]));
};

/** What the sound second disk contributes to the answer. */
function soundAnswer(verb: string, { out }: BatchResult): unknown {
  if (verb === "inspect") return (checkDocument(out).disks as unknown[])[1];
  return out.split("\n").filter((line) => line.includes('"device":"xen/xvdb'));
}

describe("a volume damaged inside", () => {
  let sound: Map<string, BatchResult>;
  beforeAll(async () => {
    sound = await run(plain);
    for (const [verb, result] of sound) expect([verb, result.code, result.err]).toEqual([verb, 0, ""]);
  });

  test.each(Object.entries(cases))("%s", async (_, { edits, telling }) => {
    for (const [verb, result] of await run(edited(edits()))) {
      expect(result.ms, `${verb}: time`).toBeLessThan(MAX_MS);
      expect(result.rss, `${verb}: memory`).toBeLessThan(MAX_RSS);
      if (VERBS[verb]!.includes(sample)) {
        expect(soundAnswer(verb, result), verb).toEqual(soundAnswer(verb, sound.get(verb)!));
      }
      if (result.out !== "" && VERBS[verb]!.includes("--json")) checkDocument(result.out);
      if (telling.includes(verb)) {
        expect([3, 4], `${verb}: exit code ${result.code}\n${result.err}`).toContain(result.code);
        expect(result.out + result.err, `${verb}: where`).toMatch(/at byte \d+|"offset": \d+/);
      } else {
        expect([verb, result.code, result.out], result.err).toEqual([verb, 0, sound.get(verb)!.out]);
      }
    }
  });
});
