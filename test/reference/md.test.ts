import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlockDevice, bufferDevice, type Finding } from "@guestprobe/block";
import { type FileDevice, openFile } from "@guestprobe/block/node";
import { grubMapped } from "@guestprobe/grub";
import { readPartitions } from "@guestprobe/partition";
import { assembleMd, assembleVolumes, type VolumeMember } from "@guestprobe/volume";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAsBlkidHasIt } from "../lib/blkid.js";
import { grubEmuScript } from "../lib/grub-emu.js";
import { MD_PLAIN, MD_REFUSED, MD_SPECIAL, makeMdArrays } from "../lib/md-arrays.mjs";

const CASES = [...MD_PLAIN, ...MD_SPECIAL, ...MD_REFUSED];
const folder = mkdtempSync(join(tmpdir(), "md-arrays-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the kernel made and read. */
let made: Awaited<ReturnType<typeof makeMdArrays>>;
/** The disks, by GRUB's number. Open files: together they are large. */
const images: FileDevice[] = [];
afterAll(() => Promise.all(images.map((image) => image.close())));
/** By GRUB's number of the disk, the partitions by number. */
let partitions: VolumeMember[][];
beforeAll(async () => {
  made = await makeMdArrays(folder, CASES);
  partitions = [];
  for (const [disk, path] of made.disks.entries()) {
    const members: VolumeMember[] = [];
    const image = await openFile(path);
    images.push(image);
    for (const { number, device } of (await readPartitions(image)).partitions) {
      if (number !== undefined && device !== undefined) members[number] = { name: `hd${disk},gpt${number}`, device };
    }
    partitions.push(members);
  }
}, 960_000);

const caseOf = (name: string) => made.arrays.find((array) => array.name === name)!;
const membersOf = (name: string): VolumeMember[] =>
  caseOf(name).places.map(({ disk, partition }) => partitions[disk]![partition]!);

async function assembledQuietly(members: readonly VolumeMember[]) {
  const findings: Finding[] = [];
  const { arrays, unread } = await assembleMd(members, { report: (finding) => findings.push(finding) });
  expect(arrays.length + unread.length).toBe(1);
  return { arrays, unread, findings };
}

/** The only array of these members, its hash, and what was reported. */
async function assembled(members: readonly VolumeMember[]) {
  const { arrays, unread, findings } = await assembledQuietly(members);
  const [array] = arrays;
  return { array, unread, codes: findings.map(({ code }) => code), hash: array && (await hashOf(array.device)) };
}

async function hashOf(device: BlockDevice): Promise<string> {
  return createHash("sha256")
    .update(await device.read(0, device.size))
    .digest("hex");
}

/** All ways to leave out at most `count` of `members`, none included. */
function* without<T>(members: readonly T[], count: number): Generator<T[]> {
  yield [...members];
  if (count === 0) return;
  for (const [index] of members.entries()) {
    const rest = members.filter((_, other) => other !== index);
    yield rest;
    if (count < 2) continue;
    for (const [next] of rest.entries()) if (next >= index) yield rest.filter((_, other) => other !== next);
  }
}

/** Members that any array of a level can do without. */
function redundancy(level: string, count: number, layout = "n2"): number {
  if (level === "1") return Math.min(2, count - 1);
  if (level === "10") return Number(layout.slice(1)) - 1;
  return { linear: 0, "0": 0, "4": 1, "5": 1, "6": 2 }[level]!;
}

test("each disk and each member is named as blkid names it", async () => {
  for (const disk of made.disks) await expectAsBlkidHasIt(disk);
});

describe("bytes of an array are those that the kernel read", () => {
  for (const { name, level, layout, sizes, metadata } of MD_PLAIN) {
    test(`${name}, whole and without any members that it can do without`, async () => {
      const expected = caseOf(name);
      const spared = redundancy(level, sizes.length, layout);
      const whole = await assembled(membersOf(name));
      expect({ size: whole.array?.device.size, hash: whole.hash }).toEqual({
        size: expected.size,
        hash: expected.sha256,
      });
      expect(whole.array?.metadata).toBe(metadata);
      expect(whole.codes).toEqual([]);
      for (const members of without(membersOf(name), spared)) {
        const { arrays, findings } = await assembledQuietly(members);
        if (members.length < sizes.length) expect(findings.map(({ code }) => code)).toEqual(["md-degraded"]);
        // Every turn of the parity, and the end.
        for (const [at, length] of [
          [0, 512 << 10],
          [expected.size - 4096, 4096],
        ] as const) {
          const [found, right] = await Promise.all(
            [arrays[0]!.device, whole.array!.device].map((d) => d.read(at, length)),
          );
          expect(Buffer.compare(found!, right!), `${members.map((member) => member.name)}, byte ${at}`).toBe(0);
        }
      }
      // One more than it can do without. Which members hold a copy matters for raid10: not all sets are too few there.
      const few = membersOf(name).slice(spared + 1);
      if (level === "10" || few.length === 0) return;
      const { array, codes } = await assembled(few);
      expect(array).toBeUndefined();
      expect(codes).toEqual(["md-incomplete"]);
    });
  }
});

describe("arrays that members have left", () => {
  for (const { name } of MD_SPECIAL.filter((entry) => entry.name.includes("stale"))) {
    test(`${name}: old members are left out`, async () => {
      const { hash, codes } = await assembled(membersOf(name));
      expect(hash).toBe(caseOf(name).sha256);
      expect(new Set(codes)).toEqual(new Set(["md-member-stale", "md-degraded"]));
    });
  }
  test("an old member is better than none", async () => {
    const [old] = membersOf("1-1.2-stale-2");
    const { array, codes } = await assembled([old!]);
    // By itself, it knows of no changes that it missed.
    expect(codes).toEqual(["md-degraded"]);
    expect(array?.members).toEqual([old!.name]);
    const [, , five] = membersOf("5-1.2-stale-3");
    const forced = await assembled([membersOf("5-1.2-stale-3")[1]!, five!]);
    expect(forced.codes).toEqual(["md-member-stale", "md-stale-needed", "md-degraded"]);
  });
  test("a member that is being rebuilt is left out", async () => {
    const name = "1-1.2-rebuild-3";
    const { hash, codes, array } = await assembled(membersOf(name));
    expect(hash).toBe(caseOf(name).sha256);
    expect(new Set(codes)).toEqual(new Set(["md-member-stale", "md-rebuilding", "md-degraded"]));
    expect(array?.members).toEqual([membersOf(name)[1]!.name]);
  });
  for (const [name, bad] of [
    ["1-1.2-bad-blocks-2", 0],
    ["10-1.2-bad-blocks-4", 1],
  ] as const) {
    test(`${name}: bad blocks are read from another member`, async () => {
      const members = membersOf(name);
      const { device } = members[bad]!;
      // What the member has there is made wrong, to see that it is not read.
      const damaged = new Uint8Array(await device.read(0, device.size));
      damaged.fill(0xee, 2056 * 512, 2072 * 512);
      members[bad] = { name: "damaged", device: bufferDevice(damaged) };
      const { hash, codes } = await assembled(members);
      expect(hash).toBe(caseOf(name).sha256);
      expect(codes).toEqual([]);
    });
  }
});

describe("arrays that are refused by name", () => {
  for (const [name, reason] of [
    ["5-1.2-journal-4", /journal/],
    ["5-1.2-ppl-3", /ppl/],
    ["5-1.2-reshape-4", /reshape/],
  ] as const) {
    test(name, async () => {
      const { array, unread, codes } = await assembled(membersOf(name));
      expect(array).toBeUndefined();
      expect(unread[0]?.error.code).toBe("unsupported");
      expect(unread[0]?.error.message).toMatch(reason);
      expect(codes).toEqual(["unsupported"]);
    });
  }
});

test("all members of all disks at once, and the names that mdadm gives", async () => {
  const all = partitions.flatMap((members) => members.filter((member) => member !== undefined));
  const { arrays, unread } = await assembleMd(all);
  expect(unread).toHaveLength(MD_REFUSED.length);
  expect(arrays).toHaveLength(CASES.length - MD_REFUSED.length);
  for (const { name, places } of made.arrays) {
    const { disk, partition } = places[1]!;
    const { device } = partitions[disk]![partition]!;
    const member = join(folder, "member");
    writeFileSync(member, await device.read(0, device.size));
    const shown = execFileSync("mdadm", ["--examine", "--export", member], { encoding: "utf8" });
    const uuid = /^MD_UUID=(.*)$/m.exec(shown)?.[1];
    const array = arrays.find(({ group }) => group === uuid);
    if (MD_REFUSED.some((entry) => entry.name === name)) expect(array).toBeUndefined();
    else expect(array?.device.size).toBe(caseOf(name).size);
  }
});

describe("GRUB", () => {
  /** What GRUB lists, in its order, and why not the others, by our reckoning. */
  async function ours() {
    const members = images.flatMap((device, disk) => [
      { name: `hd${disk}`, device },
      ...partitions[disk]!.filter((member) => member !== undefined),
    ]);
    return grubMapped(await assembleVolumes(members));
  }
  /** Reads an array of `size` bytes with GRUB's own driver. */
  function grubHash(name: string, size: number): string | undefined {
    const target = join(folder, "grub");
    const source = `(${name.replaceAll(",", "\\,")})0+${size / 512}`;
    try {
      execFileSync("grub-fstest", ["-c", `${made.disks.length}`, ...made.disks, "cp", source, target], {
        stdio: "pipe",
      });
      return createHash("sha256").update(readFileSync(target)).digest("hex");
    } catch {
      return undefined;
    } finally {
      rmSync(target, { force: true });
    }
  }

  test("lists the same arrays by the same names, in the same order", async () => {
    const { disks, hidden } = await ours();
    const images = made.disks.map((file, disk) => ({ name: `hd${disk}`, file }));
    const listed = [...grubEmuScript(images, "ls").matchAll(/\((md\/(?:[^)\\]|\\.)*)\)/g)].map(([, name]) =>
      name!.replaceAll("\\,", ","),
    );
    // What it lists and cannot read, or misreads, is hidden by our reckoning. What we do not read we do not list.
    const useless = [...hidden.map(({ disk }) => disk.name), ...MD_REFUSED.map(({ name }) => `md/${name}`)];
    expect(disks.map(({ name }) => name)).toEqual(listed.filter((name) => !useless.includes(name)));
    const unlisted = hidden.filter(({ disk }) => !listed.includes(disk.name)).map(({ reason }) => reason);
    expect(new Set(unlisted)).toEqual(new Set(["GRUB does not read arrays of level linear"]));
  });

  /** Superblocks of version 0.90 hold no name, and tell the number of the device instead. */
  const grubName = ({ metadata, arrayName }: (typeof CASES)[number], index: number): string =>
    `md/${metadata === "0.90" ? `md${index}` : arrayName}`;

  test("reads the same bytes, unless we say that it misreads them", async () => {
    const { disks, hidden } = await ours();
    const known = new Map(hidden.map(({ disk, reason }) => [disk.name, reason]));
    // GRUB neither compares event counts nor asks whether a member is complete: of two that claim one place it takes the one
    // that it meets first. And it takes the members of a raid0 for equal.
    const old = new Set(
      CASES.flatMap((entry, index) =>
        /stale|rebuild|original|alternate/.test(entry.name) ? [grubName(entry, index)] : [],
      ),
    );
    const found: string[] = [];
    const expected: string[] = [];
    for (const { device, name } of [...disks, ...hidden.map(({ disk }) => disk)]) {
      if (old.has(name)) continue;
      const isSame = grubHash(name, device.size) === (await hashOf(device));
      found.push(`${name} ${isSame}`);
      expected.push(`${name} ${!known.has(name)}`);
    }
    expect(found).toEqual(expected);
    expect(found.length).toBeGreaterThan(50);
  });
});
