/** ext: a journal that is not there, or is damaged: what was committed before the damage is replayed, and the place is told. */
import { bufferDevice, FindingLog } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import * as layout from "@guestprobe/ext/layout";
import { describe, expect, test } from "vitest";
import { drain } from "../lib/drain.js";
import { fixtures } from "../lib/fixtures.js";

const dirty = fixtures("ext").find(({ name }) => name === "ext4-dirty")!;
const BLOCK = 1024;
const sb = layout.ext4_super_block.$fields;
/** Block types of jbd2.h: a descriptor, a commit and, of version 2, the superblock. Numbers are big-endian. */
const [MAGIC, DESCRIPTOR, COMMIT, SUPER] = [0xc03b3998, 1, 2, 4];

const replay = async (patch: (view: DataView) => void) => {
  const image = dirty.image();
  patch(new DataView(image.buffer));
  const log = new FindingLog();
  const fs = await ext.open(bufferDevice(image), { journal: "replay", checksums: "ignore", report: log.report });
  return { errors: (await drain(fs)).errors, damage: log.findings.filter(({ code }) => code !== "ext-journal-dirty") };
};

/** Bytes of the log's blocks of one type, in their order; the fixture's journal lies in one piece. */
function blocksOf(type: number): number[] {
  const view = new DataView(dirty.image().buffer);
  const all: number[] = [];
  for (let at = 0; at < view.byteLength; at += BLOCK) {
    if (view.getUint32(at) === MAGIC && view.getUint32(at + 4) === type) all.push(at);
  }
  const [start = 0] = type === SUPER ? [0] : blocksOf(SUPER);
  const first = type === SUPER ? 0 : start + view.getUint32(start + 28) * BLOCK;
  return all.filter((at) => at >= first);
}

describe("no journal to replay", () => {
  test.each<[string, (view: DataView) => void, string, string, number]>([
    [
      "an external one",
      (view) => view.setUint32(1024 + sb.s_journal_inum.offset, 0, true),
      "unsupported",
      "the journal is external",
      1024 + sb.s_journal_uuid.offset,
    ],
    [
      "an inode that is a directory",
      (view) => view.setUint32(1024 + sb.s_journal_inum.offset, 2, true),
      "corrupt",
      "inode 2 is not a journal",
      -1,
    ],
    [
      "a superblock without magic",
      (view) => view.setUint32(blocksOf(SUPER)[0]!, 0),
      "corrupt",
      "magic",
      blocksOf(SUPER)[0]!,
    ],
  ])("%s", async (_, patch, code, reason, offset) => {
    const error: unknown = await replay(patch).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, reason: expect.stringContaining(reason) as string });
    const place = (error as { offset: number }).offset;
    if (offset >= 0) expect(place).toBe(offset);
    else expect(place).toBeGreaterThan(1024);
  });
});

describe("a damaged log", () => {
  test("sound, nothing is told", async () => {
    expect(await replay(() => {})).toEqual({ errors: [], damage: [] });
  });

  test.each([
    ["a descriptor", DESCRIPTOR, "a descriptor block does not match its checksum"],
    ["a commit", COMMIT, "a commit block does not match its checksum"],
  ])("%s with a changed byte ends the replay before it", async (_, type, reason) => {
    const [first] = blocksOf(type);
    expect(first).toBeGreaterThan(0);
    const { damage } = await replay((view) => view.setUint8(first! + 900, view.getUint8(first! + 900) ^ 1));
    expect(damage).toMatchObject([
      {
        code: "ext-journal-damaged",
        structure: "journal",
        offset: first,
        message: `${reason}; 0 transactions before it are replayed`,
      },
    ]);
  });

  test("a copy with a changed byte is left out, and told by its place", async () => {
    // The copy behind each descriptor; those of blocks that were revoked later are not looked at.
    let told = 0;
    for (const descriptor of blocksOf(DESCRIPTOR)) {
      const copy = descriptor + BLOCK;
      const { damage } = await replay((view) => view.setUint8(copy + 500, view.getUint8(copy + 500) ^ 1));
      if (damage.length === 0) continue;
      told += 1;
      expect(damage[0]).toMatchObject({ code: "ext-journal-damaged", structure: "journal", offset: copy });
      expect(damage[0]!.message).toMatch(/^the copy of block \d+ in transaction \d+ does not match its checksum$/);
    }
    expect(told).toBeGreaterThan(0);
  });
});
