import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bufferDevice, cachedDevice } from "@guestprobe/block";
import { ext } from "@guestprobe/ext";
import { GrubSearch, listDisk, type SearchQuery, type SearchResult } from "@guestprobe/grub";
import { openFileSystem } from "@guestprobe/vfs";
import { afterAll, describe, expect, test } from "vitest";
import { putGpt, putMbr } from "../../packages/partition/test/build.js";
import { type EmuDisk, grubEmuDevices, grubEmuSearch } from "../lib/grub-emu.js";
import { DiskMaker, type Node } from "../lib/guest-disk.js";

const folder = mkdtempSync(join(tmpdir(), "search-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const make = new DiskMaker(folder);

const MIB = 1 << 20;
const CFG = "/boot/grub/grub.cfg";
const UUID = (digit: string): string => `${digit.repeat(8)}-1111-4222-8333-${"abcdef123456"}`;
const file = (name = CFG, rest: Partial<SearchQuery> = {}): SearchQuery => ({ by: "file", name, ...rest });
const label = (name: string, rest: Partial<SearchQuery> = {}): SearchQuery => ({ by: "label", name, ...rest });
const uuid = (name: string, rest: Partial<SearchQuery> = {}): SearchQuery => ({ by: "uuid", name, ...rest });
const first = (query: SearchQuery): SearchQuery => ({ ...query, stopAtFirst: true });

const cfgVolume = (options: readonly string[] = [], tree: { [path: string]: Node } = { [CFG]: "x" }): Uint8Array =>
  make.ext({ tree, options });
const plain = cfgVolume(["-L", "root", "-U", UUID("1")]);
const other = cfgVolume(["-L", "root", "-U", UUID("2")]);
const bare = make.ext({ tree: { "/etc/fstab": "" }, options: ["-L", "data", "-U", UUID("3")] });

/** Names the disks hd0, hd1, ... */
const named = (...files: string[]): EmuDisk[] => files.map((name, index) => ({ name: `hd${index}`, file: name }));

async function ours(disks: readonly EmuDisk[], queries: readonly SearchQuery[]): Promise<SearchResult[]> {
  const search = new GrubSearch(
    disks.map(({ name, file: path }) => ({ name, device: cachedDevice(bufferDevice(readFileSync(path))) })),
    { openVolume: (device) => openFileSystem(device, [ext]) },
  );
  const results: SearchResult[] = [];
  for (const query of queries) results.push(await search.search(query));
  return results;
}

/** Asks both and compares every answer; hands back ours for what only we can tell. */
async function compare(disks: readonly EmuDisk[], queries: readonly SearchQuery[]): Promise<SearchResult[]> {
  const theirs = grubEmuSearch(disks, queries);
  const results = await ours(disks, queries);
  const show = (lists: readonly (readonly string[])[]) =>
    lists.map((list, index) => `${JSON.stringify(queries[index])} -> ${list.join(" ")}`);
  expect(show(results.map((result) => result.hits.map((hit) => hit.device)))).toEqual(show(theirs));
  return results;
}

/** Compares every device that the two list, with or without a volume on it. */
async function compareDevices(disks: readonly EmuDisk[]): Promise<void> {
  const maps = await Promise.all(
    disks.map(({ name, file: path }) => listDisk({ name, device: bufferDevice(readFileSync(path)) })),
  );
  expect(maps.flatMap((map) => map.devices.map((device) => device.name))).toEqual(grubEmuDevices(disks));
}

const at = (entries: readonly (readonly [sector: number, volume: Uint8Array])[]): ReadonlyMap<number, Uint8Array> =>
  new Map(entries.map(([sector, volume]) => [sector * 512, volume]));
const line = (start: number, size = 4096, more = "type=83"): string => `start=${start}, size=${size}, ${more}`;

const primaries = make.disk(
  20 * MIB,
  ["label: dos", line(2048), line(8192), line(16384), line(24576)],
  at([
    [2048, plain],
    [8192, other],
    [16384, bare],
    [24576, plain],
  ]),
);
const logicals = make.disk(
  32 * MIB,
  ["label: dos", line(2048), line(8192), line(16384, 40000, "type=f"), line(18432), line(26624), line(34816)],
  at([
    [2048, plain],
    [8192, bare],
    [18432, plain],
    [26624, bare],
    [34816, other],
  ]),
);
const gpt = make.disk(
  32 * MIB,
  [
    "label: gpt",
    `1 : ${line(2048, 4096, "type=L")}`,
    `2 : ${line(8192, 4096, "type=L")}`,
    `7 : ${line(16384, 4096, "type=U")}`,
    `20 : ${line(24576, 4096, "type=L")}`,
  ],
  at([
    [2048, plain],
    [8192, other],
    [16384, plain],
    [24576, bare],
  ]),
);
const wholeDisk = make.write(plain, "whole");

const ALL: readonly SearchQuery[] = [
  file(),
  first(file()),
  file("/etc/fstab"),
  first(file("/etc/fstab")),
  file("/nowhere"),
  first(file("/nowhere")),
  label("root"),
  first(label("root")),
  label("data"),
  label("Root"),
  uuid(UUID("1")),
  first(uuid(UUID("1").toUpperCase())),
  uuid(UUID("3").toUpperCase()),
  uuid("1234"),
];

describe("the order of hits equals grub-emu's", () => {
  test.each([
    ["MBR with four primary partitions", () => named(primaries)],
    ["MBR with logical partitions", () => named(logicals)],
    ["GPT with gaps between its slots", () => named(gpt)],
    ["a whole-disk volume", () => named(wholeDisk)],
    ["four disks", () => named(gpt, wholeDisk, logicals, primaries)],
    ["four disks the other way round", () => named(primaries, logicals, wholeDisk, gpt)],
    [
      "MBR with slots 2 and 4 alone",
      () =>
        named(
          make.disk(
            20 * MIB,
            ["label: dos", `2 : ${line(8192)}`, `4 : ${line(2048)}`],
            at([
              [2048, plain],
              [8192, other],
            ]),
          ),
        ),
    ],
    [
      "a whole-disk volume with an MBR in its first sector",
      () => {
        const disk = new Uint8Array(8 * MIB);
        disk.set(make.ext({ tree: { [CFG]: "x" }, size: 8 * MIB, options: ["-L", "root", "-U", UUID("1")] }));
        disk.set(other, 5 * MIB);
        putMbr(disk, [{ start: 10240, sectors: 4096 }]);
        return named(make.write(disk));
      },
    ],
    [
      "GPT in sectors of 4096 bytes",
      () => {
        const disk = new Uint8Array(16 * MIB);
        putGpt(disk, {
          sectorSize: 4096,
          entries: [
            { slot: 1, first: 256, last: 767 },
            { slot: 3, first: 1024, last: 1535 },
          ],
        });
        disk.set(plain, 256 * 4096);
        disk.set(other, 1024 * 4096);
        return named(make.write(disk));
      },
    ],
    [
      "an empty disk, one sector, noise",
      () =>
        named(
          make.write(new Uint8Array(512)),
          make.write(new Uint8Array(MIB)),
          make.write(Uint8Array.from({ length: MIB }, (_, n) => (n * 7919 + (n >> 5) * 31) & 0xff)),
          primaries,
        ),
    ],
    [
      "a disk cut within a partition",
      () => named(make.write(readFileSync(primaries).subarray(0, 8192 * 512 + 100_000 - (100_000 % 512)))),
    ],
  ])("%s", async (_, disks) => {
    await compare(disks(), ALL);
  });
});

describe("hints and cache", () => {
  const disks = named(primaries, gpt, logicals);
  test.each<[string, readonly SearchQuery[]]>([
    ["a hint comes first and is visited again", [file(CFG, { hints: ["hd0,msdos1"] })]],
    ["a comma adds the partitions, forwards", [file(CFG, { hints: ["hd1,"] })]],
    ["a comma after a partition", [file(CFG, { hints: ["hd0,1,"] })]],
    ["several hints", [file(CFG, { hints: ["hd2,5", "hd9", "hd0,gpt1", "hd1,gpt7"] })]],
    ["a hint that is none", [file(CFG, { hints: ["", ",", "(hd0,1)", "hd0,MSDOS1", "hd0,09", "hd0,0x2", "hd0,+1"] })]],
    ["numbers with a blank, octal and hexadecimal", [file(CFG, { hints: ["hd0,01", "hd0,0x4", "hd0,msdos04"] })]],
    [
      "the cache beats hints, under the name that was found first",
      [
        first(file(CFG, { hints: ["hd1,1"] })),
        first(file(CFG, { hints: ["hd0,msdos1"] })),
        file(),
        first(file(`/${CFG}`, { hints: ["hd0,msdos1"] })),
      ],
    ],
    [
      "kinds of search do not share their cache",
      [first(label("root", { hints: ["hd0,1"] })), first(uuid(UUID("1"))), first(label("root")), first(file())],
    ],
    [
      "the cache finds a UUID in either case",
      [
        first(uuid(UUID("2"), { hints: ["hd2,7"] })),
        first(uuid(UUID("2").toUpperCase(), { hints: ["hd0,2"] })),
        first(label("root", { hints: ["hd2,7"] })),
        first(label("Root", { hints: ["hd0,2"] })),
      ],
    ],
    ["a miss is not cached", [file("/none"), first(file("/none", { hints: ["hd0,"] })), file("/none")]],
    ["labels and UUIDs with hints", [label("root", { hints: ["hd2,"] }), uuid(UUID("2"), { hints: ["hd2,7"] })]],
  ])("%s", async (_, queries) => {
    await compare(disks, queries);
  });

  test("--no-floppy ends the search at the first floppy", async () => {
    const floppy = { name: "fd0", file: wholeDisk };
    const queries = [
      file(`/.${CFG}`, { noFloppy: true }),
      first(file(`/..${CFG}`, { noFloppy: true })),
      file(),
      file(CFG, { noFloppy: true }),
      file(`//${CFG}`, { noFloppy: true, hints: ["fd0", "hd0,1"] }),
      file(`///${CFG}`, { noFloppy: true, hints: ["hd0,1", "fd0,", "hd0,2"] }),
    ];
    await compare([floppy, ...named(primaries)], queries);
    await compare([...named(primaries), floppy, { name: "hd5", file: wholeDisk }], queries);
  });
});

describe("what is a hit", () => {
  const chain = (length: number, target: string): { [path: string]: Node } =>
    Object.fromEntries(
      Array.from({ length }, (_, n) => [`/chain${length}/${n + 1}`, { link: n + 1 === length ? target : `${n + 2}` }]),
    );
  const volume = make.ext({
    tree: {
      [CFG]: "menu",
      "/empty": "",
      "/folder/file": "",
      "/folder/empty": { dir: true },
      "/fifo": { fifo: true },
      "/dangling": { link: "nowhere" },
      "/absolute": { link: "/boot/grub/grub.cfg" },
      "/to-folder": { link: "folder" },
      "/up": { link: "../../../boot/grub/grub.cfg" },
      "/loop": { link: "loop" },
      "/slash": { link: "boot/grub/grub.cfg/" },
      "/deep/one": { link: "../to-folder/../deep/two" },
      "/deep/two": { link: "/to-folder/file" },
      "/long": { link: `/${"./".repeat(40)}boot/grub/grub.cfg` },
      ...chain(7, "../boot/grub/grub.cfg"),
      ...chain(8, "../boot/grub/grub.cfg"),
    },
    options: ["-L", "0123456789abcdef"],
  });
  const disks = named(make.write(volume), primaries);

  test("paths", async () => {
    const paths = [
      CFG,
      `${CFG}/`,
      `${CFG}//`,
      `${CFG}/.`,
      `${CFG}/..`,
      "//boot//./grub/../grub/grub.cfg",
      "/../../boot/grub/grub.cfg",
      "/boot/grub",
      "/boot/grub/",
      "/",
      "/BOOT/grub/grub.cfg",
      "/empty",
      "/empty/x",
      "/folder/file",
      "/folder/empty",
      "/fifo",
      "/dangling",
      "/absolute",
      "/to-folder",
      "/to-folder/file",
      "/to-folder/../empty",
      "/nowhere/../empty",
      "/up",
      "/loop",
      "/slash",
      "/deep/one",
      "/long",
      "/chain7/1",
      "/chain7/1/",
      "/chain8/1",
      "/chain8/2",
      "boot/grub/grub.cfg",
      "",
    ];
    const results = await compare(
      disks,
      paths.map((path) => file(path)),
    );
    const hidden = results.flatMap((result, index) => result.hidden.map((entry) => [paths[index], entry.code]));
    expect(hidden).toEqual([["/chain8/1", "grub-too-many-links"]]);
    const found = results[paths.indexOf("/deep/one")]?.hits[0];
    expect(new TextDecoder().decode(found?.path)).toBe("/folder/file");
  });

  test("a name without a slash is a list of sectors", async () => {
    const sectors = (20 * MIB) / 512;
    await compare(
      named(primaries),
      [
        "+1",
        "0+1",
        "08+010",
        "0x10+0x2",
        " 1+1",
        "+0",
        "5+",
        "+1,",
        "+1,,+1",
        "1+1,2+3",
        "+1 x",
        "+1x",
        `${sectors - 1}+1`,
        `${sectors}+1`,
        "-1+1",
        "99999999999999999999+1",
      ].map((name) => file(name)),
    );
  });

  test("labels of sixteen bytes and none", async () => {
    await compare(
      disks,
      ["0123456789abcdef", "0123456789abcde", "", "0123456789abcdefg"].map((name) => label(name)),
    );
  });

  test("a volume without UUID", async () => {
    const zero = "00000000-0000-0000-0000-000000000000";
    await compare(named(make.write(cfgVolume(["-U", zero]))), [uuid(zero), uuid("")]);
  });
});

describe("features of ext4", () => {
  const build = (options: readonly string[], size = 8 * MIB, debugfs: readonly string[] = []): Uint8Array =>
    make.ext({ tree: { [CFG]: "x", "/sub/file": "y" }, options: ["-L", "root", ...options], size, debugfs });
  test.each<[string, () => Uint8Array, string | undefined]>([
    ["ext2", () => make.ext({ type: "ext2", tree: { [CFG]: "x" }, options: ["-L", "root"] }), undefined],
    ["ext3", () => make.ext({ type: "ext3", tree: { [CFG]: "x" }, size: 8 * MIB, options: ["-L", "root"] }), undefined],
    [
      "revision 0",
      () => make.ext({ type: "ext2", tree: { [CFG]: "x" }, options: ["-r", "0", "-L", "root"] }),
      undefined,
    ],
    ["64bit", () => build(["-O", "64bit"]), undefined],
    ["no 64bit", () => build(["-O", "^64bit"]), undefined],
    ["meta_bg", () => build(["-O", "meta_bg,^resize_inode"]), undefined],
    ["mmp", () => build(["-O", "mmp"]), undefined],
    ["metadata_csum_seed", () => build(["-O", "metadata_csum_seed"]), undefined],
    ["large_dir", () => build(["-O", "large_dir"]), undefined],
    ["orphan_file", () => build(["-O", "orphan_file"]), undefined],
    ["verity", () => build(["-O", "verity"]), undefined],
    ["quota and project", () => build(["-O", "quota,project"]), undefined],
    ["sparse_super2", () => build(["-O", "sparse_super2,^resize_inode"]), undefined],
    ["fast_commit", () => build(["-O", "fast_commit"]), undefined],
    ["no filetype", () => build(["-O", "^filetype"]), undefined],
    ["blocks of 4 KiB", () => build(["-b", "4096"]), undefined],
    ["bigalloc with blocks of 4 KiB", () => build(["-O", "bigalloc", "-b", "4096"]), undefined],
    ["bigalloc with blocks of 1 KiB", () => build(["-O", "bigalloc", "-b", "1024"]), "grub-feature-refused"],
    ["needs_recovery", () => build([], 8 * MIB, ["feature needs_recovery"]), undefined],
    ["encrypt", () => build(["-O", "encrypt"]), undefined],
    ["inline_data", () => build(["-O", "inline_data"]), "grub-feature-refused"],
    ["casefold", () => build(["-O", "casefold"]), "grub-feature-refused"],
    ["ea_inode", () => build(["-O", "ea_inode"]), "grub-feature-refused"],
  ])("%s", async (_, volume, code) => {
    const [byFile, , byLabel] = await compare(named(make.write(volume()), primaries), [
      file(),
      file("/sub/file"),
      label("root"),
    ]);
    expect(byFile?.unknown).toEqual([]);
    const codes = [byFile, byLabel].flatMap((result) => result?.hidden.map((entry) => `${entry.device} ${entry.code}`));
    expect(codes).toEqual(code === undefined ? [] : [`hd0 ${code}`, `hd0 ${code}`]);
  });

  test.each([
    ["file", "/boot/grub/grub.cfg"],
    ["directory", "/boot/grub"],
    ["directory further up", "/boot"],
  ])("an encrypted %s", async (_, path) => {
    const volume = build(["-O", "encrypt"], 8 * MIB, [`set_inode_field ${path} flags 0x80800`]);
    const [result] = await compare(named(make.write(volume)), [file(), file("/sub/file")]);
    expect(result?.hidden.map((entry) => entry.code)).toEqual(["grub-file-encrypted"]);
  });

  test("only a backup of the superblock is left", async () => {
    const volume = make.ext({ tree: { [CFG]: "x" }, size: 20 * MIB, options: ["-b", "1024", "-L", "root"] });
    volume.fill(0, 1024, 2048);
    const [result] = await compare(named(make.write(volume), primaries), [file(), label("root")]);
    expect(result?.hidden.map((entry) => [entry.device, entry.code])).toEqual([["hd0", "grub-no-superblock"]]);
  });
});

describe("tables that GRUB sees in its own way", () => {
  const blank = (): Uint8Array => {
    const disk = new Uint8Array(32 * MIB);
    disk.set(plain, 2048 * 512);
    disk.set(other, 8192 * 512);
    disk.set(plain, 16384 * 512);
    disk.set(other, 24576 * 512);
    return disk;
  };
  const mbr = (...entries: Parameters<typeof putMbr>[1][number][]): Uint8Array => {
    const disk = blank();
    putMbr(disk, entries);
    return disk;
  };
  const one = { start: 2048, sectors: 4096 };
  const two = { start: 8192, sectors: 4096 };
  const gptEntries = [
    { slot: 1, first: 2048, last: 6143 },
    { slot: 4, first: 8192, last: 12287 },
  ];
  const codes = (result: SearchResult | undefined) => result?.hidden.map((entry) => `${entry.device} ${entry.code}`);

  test.each<[string, () => Uint8Array, readonly string[]]>([
    [
      "a status byte of 1",
      () => mbr(one, { ...two, status: 1 }),
      ["hd0,msdos1 grub-table-refused", "hd0,msdos2 grub-table-refused"],
    ],
    ["a status byte of 0x81", () => mbr({ ...one, status: 0x81 }), ["hd0,msdos1 grub-table-refused"]],
    [
      "0xEE beside partitions, without GPT",
      () => mbr(one, two, { type: 0xee, start: 1, sectors: 100 }),
      ["hd0,msdos1 grub-table-refused", "hd0,msdos2 grub-table-refused"],
    ],
    [
      "no signature",
      () => {
        const disk = mbr(one);
        disk[510] = 0;
        return disk;
      },
      [],
    ],
    ["an entry of type 0 with sectors", () => mbr({ ...one, type: 0 }, two), ["hd0,msdos1 grub-table-refused"]],
    ["an entry with a type and no sectors", () => mbr({ ...one, sectors: 0 }, two), []],
    ["a partition past the end", () => mbr(one, { start: 0x7fffffff, sectors: 5 }), []],
    ["partitions that overlap and repeat", () => mbr(one, one, { start: 0, sectors: 65536 }), []],
    [
      "a GPT without protective MBR",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries, protective: false });
        return disk;
      },
      ["hd0,gpt1 grub-table-refused", "hd0,gpt4 grub-table-refused"],
    ],
    [
      "a GPT with wrong checksums",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries });
        disk[512 + 60]! ^= 1;
        return disk;
      },
      [],
    ],
    [
      "a GPT of which only the backup is left",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries });
        disk.fill(0, 512, 1024);
        return disk;
      },
      ["hd0,gpt1 grub-table-refused", "hd0,gpt4 grub-table-refused"],
    ],
    [
      "a GPT whose two copies differ",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries });
        disk.fill(0, 1024 + 3 * 128, 1024 + 4 * 128);
        return disk;
      },
      ["hd0,gpt4 grub-table-refused"],
    ],
    [
      "a hybrid MBR",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries });
        putMbr(disk, [{ type: 0xee, start: 1, sectors: 2047 }, one, { start: 16384, sectors: 4096 }]);
        return disk;
      },
      ["hd0,msdos3 grub-table-refused"],
    ],
    [
      "0xEE in the last slot",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries });
        putMbr(disk, [{ type: 0 }, { type: 0 }, { type: 0 }, { type: 0xee, start: 1, sectors: 2047 }]);
        return disk;
      },
      [],
    ],
    [
      "GPT entries of 256 bytes",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries, entrySize: 256, count: 32 });
        return disk;
      },
      [],
    ],
    [
      "GPT entries of 1024 bytes, which GRUB steps over wrongly",
      () => {
        const disk = blank();
        putGpt(disk, { entries: gptEntries, entrySize: 1024, count: 8 });
        return disk;
      },
      [],
    ],
    [
      "a GPT entry that ends before it begins",
      () => {
        const disk = blank();
        putGpt(disk, { entries: [{ slot: 1, first: 2048, last: 2046 }, ...gptEntries.slice(1)] });
        return disk;
      },
      [],
    ],
    [
      "GPT entries of no bytes",
      () => {
        const disk = blank();
        putGpt(disk, {
          entries: gptEntries,
          count: 6,
          edit: (header) => header.setUint32(84, 0, true),
          backup: false,
        });
        return disk;
      },
      [],
    ],
    [
      "a GPT entry beyond 2^53",
      () => {
        const disk = blank();
        putGpt(disk, { entries: [...gptEntries, { slot: 2, first: 2n ** 62n, last: 2n ** 63n }] });
        return disk;
      },
      [],
    ],
  ])("%s", async (_, build, hidden) => {
    const disks = named(make.write(build()));
    await compareDevices(disks);
    const [result] = await compare(disks, [file(), first(file()), uuid(UUID("2"))]);
    expect(codes(result)).toEqual(hidden);
  });

  test("the copy that GRUB reads says otherwise than the sound one", async () => {
    const disk = blank();
    putGpt(disk, { entries: [{ slot: 1, first: 8192, last: 12_287 }] });
    const lying = blank();
    putGpt(lying, { entries: [{ slot: 1, first: 2048, last: 6143 }] });
    disk.set(lying.subarray(1024, 1024 + 128), 1024);
    const disks = named(make.write(disk));
    const [lies, sound] = await compare(disks, [uuid(UUID("1")), uuid(UUID("2")), file()]);
    expect([lies, sound].map((result) => result?.hits.map((hit) => hit.device))).toEqual([["hd0,gpt1"], []]);
    expect(codes(sound)).toEqual(["hd0,gpt1 grub-table-refused"]);
  });

  const chain = (put: (disk: Uint8Array) => void): Uint8Array => {
    const disk = blank();
    putMbr(disk, [one, { type: 5, start: 8000, sectors: 50_000 }]);
    put(disk);
    return disk;
  };
  const ebr = (disk: Uint8Array, lba: number, data: number, next?: number, status = 0): void =>
    putMbr(
      disk,
      [
        { start: data - lba, sectors: 4096, status },
        ...(next === undefined ? [] : [{ type: 5, start: next - 8000, sectors: 5000 }]),
      ],
      { lba },
    );
  test.each<[string, () => Uint8Array]>([
    [
      "a chain that leads back to its first record",
      () =>
        chain((disk) => {
          ebr(disk, 8000, 8192, 16000);
          ebr(disk, 16000, 16384, 8000);
        }),
    ],
    ["a record that leads to itself", () => chain((disk) => ebr(disk, 8000, 8192, 8000))],
    [
      "a chain of three that leads to the second",
      () =>
        chain((disk) => {
          ebr(disk, 8000, 8192, 16000);
          ebr(disk, 16000, 16384, 24000);
          ebr(disk, 24000, 24576, 16000);
        }),
    ],
    [
      "a record without signature",
      () =>
        chain((disk) => {
          ebr(disk, 8000, 8192, 16000);
        }),
    ],
    [
      "a bad status byte in the second record",
      () =>
        chain((disk) => {
          ebr(disk, 8000, 8192, 16000);
          ebr(disk, 16000, 16384, undefined, 0x40);
        }),
    ],
    [
      "0xEE in a record",
      () =>
        chain((disk) => {
          putMbr(
            disk,
            [
              { type: 0xee, start: 192, sectors: 4096 },
              { start: 8384, sectors: 4096 },
            ],
            { lba: 8000 },
          );
        }),
    ],
    [
      "four entries in one record",
      () =>
        chain((disk) => {
          putMbr(
            disk,
            [
              { start: 192, sectors: 4096 },
              { type: 0 },
              { start: 16384 - 8000, sectors: 4096 },
              { start: 24576 - 8000, sectors: 4096 },
            ],
            { lba: 8000 },
          );
        }),
    ],
    ["an extended partition at sector 0", () => mbr({ type: 5, start: 0, sectors: 65_000 }, one, two)],
    [
      "two extended partitions",
      () => {
        const disk = blank();
        putMbr(disk, [
          { type: 5, start: 8000, sectors: 8000 },
          { type: 5, start: 16000, sectors: 8000 },
        ]);
        ebr(disk, 8000, 8192);
        ebr(disk, 16000, 16384);
        return disk;
      },
    ],
  ])("%s", async (_, build) => {
    const disks = named(make.write(build()));
    await compareDevices(disks);
    await compare(disks, [file(), first(file())]);
  });

  test.each<[string, () => Uint8Array]>([
    [
      "MINIX",
      () => {
        const disk = mbr({ start: 1000, sectors: 50_000, type: 0x81 }, one);
        putMbr(
          disk,
          [
            { start: 2000, sectors: 100 },
            { start: 60_000, sectors: 1 },
          ],
          { lba: 1000 },
        );
        return disk;
      },
    ],
    [
      "Linux, where GRUB does not look for one",
      () => {
        const disk = mbr({ start: 1000, sectors: 50_000 });
        putMbr(disk, [{ start: 2000, sectors: 100 }], { lba: 1000 });
        return disk;
      },
    ],
    [
      "MINIX in MINIX",
      () => {
        const disk = mbr({ start: 1000, sectors: 50_000, type: 0x81 });
        putMbr(disk, [{ start: 2000, sectors: 20_000, type: 0x81 }], { lba: 1000 });
        putMbr(disk, [{ start: 3000, sectors: 10 }], { lba: 2000 });
        return disk;
      },
    ],
    [
      "a logical partition of type MINIX",
      () =>
        chain((disk) => {
          putMbr(disk, [{ start: 192, sectors: 4096, type: 0x81 }], { lba: 8000 });
          putMbr(
            disk,
            [
              { start: 9000, sectors: 10 },
              { start: 100, sectors: 10 },
            ],
            { lba: 8192 },
          );
        }),
    ],
  ])("an MBR inside a partition of type %s", async (_, build) => {
    await compareDevices(named(make.write(build())));
  });

  test("a GPT inside a GPT partition", async () => {
    const disk = new Uint8Array(4 * MIB);
    putGpt(disk, { entries: [{ slot: 1, first: 100, last: 4099 }] });
    const inner = new Uint8Array(4000 * 512);
    putGpt(inner, {
      entries: [
        { slot: 2, first: 50, last: 99 },
        { slot: 3, first: 3990, last: 4000 },
      ],
    });
    disk.set(inner, 100 * 512);
    await compareDevices(named(make.write(disk)));
  });

  test("a partition inside a partition is listed by GRUB and cannot be opened", async () => {
    const inner = new Uint8Array(5 * MIB);
    putMbr(inner, [{ start: 2048, sectors: 4096 }]);
    inner.set(other, 2048 * 512);
    const disk = new Uint8Array(32 * MIB);
    putGpt(disk, {
      entries: [
        { slot: 1, first: 2048, last: 2048 + 5 * 2048 - 1 },
        { slot: 2, first: 16384, last: 20479 },
      ],
    });
    disk.set(inner, 2048 * 512);
    disk.set(plain, 16384 * 512);
    const [result] = await compare(named(make.write(disk)), [
      file(),
      file(CFG, { hints: ["hd0,gpt1,msdos1", "hd0,gpt1,"] }),
    ]);
    expect(codes(result)).toEqual(["hd0,gpt1,msdos1 grub-nested-name"]);
  });
});

test("no image was changed", () => {
  const path = make.write(readFileSync(primaries));
  const before = readFileSync(path);
  return ours(named(path), ALL).then(() => {
    expect(readFileSync(path).equals(before)).toBe(true);
    writeFileSync(path, "");
  });
});
