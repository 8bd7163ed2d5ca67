/**
 * Arrays of md as the real mdadm and the real kernel make them: every level, layout and version of the superblock, on the
 * partitions of three disks, written to and read back by the kernel of an emulated guest.
 */
import { randomBytes } from "node:crypto";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./kernel-view.mjs";
import { MD_MODULES, runInGuest } from "./tcg-guest.mjs";

const MIB = 1 << 20;
/** Partitions of one disk: the kernel gives it 255 numbers at most. */
const PER_DISK = 120;

/**
 * @typedef {object} MdCase
 * @property {string} name
 * @property {string} arrayName as its superblocks have it, behind the homehost; not in version 0.90
 * @property {string} metadata version of the superblock
 * @property {string} level as mdadm spells it
 * @property {string | undefined} layout
 * @property {readonly number[]} sizes MiB of each member
 * @property {number} spares members at the end that are not part of the array when it is made
 * @property {number} offset MiB before the data, in versions 1.1 and 1.2
 * @property {string} options further options of mdadm
 * @property {boolean} isRead whether the kernel reads it in the end
 * @property {string} after what is done to the running array; $md is its device, $1, $2, ... its members
 */

const DEFAULTS = { layout: undefined, spares: 0, offset: 1, options: "", isRead: true, after: "" };

/** A case; its members are of 3 MiB unless `more` says otherwise. */
const make = (metadata, level, count, more = {}) => {
  const name = [level, metadata, more.label ?? more.layout, count].filter((part) => part !== undefined).join("-");
  return { ...DEFAULTS, name, arrayName: name, metadata, level, sizes: new Array(count).fill(3), ...more };
};
const VERSIONS = ["0.90", "1.0", "1.1", "1.2"];
const LAYOUTS_5 = ["left-asymmetric", "right-asymmetric", "right-symmetric", "parity-first", "parity-last"];
const LAYOUTS_6 = [
  ...[...LAYOUTS_5, "ddf-zero-restart", "ddf-N-restart", "ddf-N-continue"],
  ...["left-asymmetric-6", "right-asymmetric-6", "left-symmetric-6", "right-symmetric-6", "parity-first-6"],
];

/** @type {readonly MdCase[]} */
export const MD_PLAIN = [
  ...VERSIONS.flatMap((version) => [
    make(version, "linear", 2, { sizes: [3, 4] }),
    // mdadm refuses to make a raid0 with a superblock that cannot tell its layout.
    ...(version === "0.90" ? [] : [make(version, "0", 3)]),
    make(version, "1", 2),
    make(version, "4", 3),
    make(version, "5", 3),
    make(version, "6", 4),
    make(version, "10", 4),
  ]),
  make("1.2", "1", 3),
  make("1.2", "0", 3, { layout: "original", sizes: [3, 6, 4] }),
  make("1.2", "0", 3, { layout: "alternate", sizes: [3, 6, 4] }),
  ...LAYOUTS_5.map((layout) => make("1.2", "5", 4, { layout })),
  ...LAYOUTS_6.map((layout) => make("1.2", "6", 5, { layout })),
  ...["n3", "f2", "f3", "o2", "o3"].map((layout) => make("1.2", "10", 4, { layout })),
  ...["n2", "f2", "o2"].map((layout) => make("1.2", "10", 5, { layout })),
  make("1.2", "1", 2, { label: "bitmap", options: "--bitmap=internal" }),
  make("1.0", "5", 3, { label: "bitmap", options: "--bitmap=internal" }),
  make("1.2", "1", 2, { label: "twin", arrayName: "twin" }),
  make("1.2", "0", 2, { label: "twin", arrayName: "twin" }),
  make("1.0", "1", 2, { label: "third-twin", arrayName: "twin" }),
  make("1.2", "1", 2, { label: "comma", arrayName: "a,b" }),
];

/** Writes to the array anew after a member has left, so that the member's content is old. */
const REWRITE = "dd if=/dev/pattern of=$md bs=64k skip=1 conv=fsync 2>/dev/null || true";
const failed = (...members) =>
  [...members.map((member) => `mdadm $md --fail $${member} --remove $${member}`), REWRITE].join("\n");
/** Has the kernel go about rebuilding and reshaping as slowly as it can. */
const SLOWLY = ["min", "max"].map((end) => `echo 1 >/sys/block/\${md#/dev/}/md/sync_speed_${end}`).join("\n");
/** Gives the array a spare in the place of another, and stops it before much of that is rebuilt. */
const REBUILD = `mdadm $md --fail $1\n${SLOWLY}\nmdadm $md --add $3`;
/** Begins to give the array one more member, and stops it before that is done. */
const RESHAPE = `mdadm $md --add $4\n${SLOWLY}\nmdadm --grow $md --raid-devices=4`;

/** Sectors of the member that it is told not to have: 16 of them, 8 after its data begin. */
const BAD_BLOCKS = (member) => `echo 2056 16 >/sys/block/\${md#/dev/}/md/dev-\${${member}#/dev/}/bad_blocks`;

/** Arrays that members have left, or that were not at rest. @type {readonly MdCase[]} */
export const MD_SPECIAL = [
  make("1.2", "1", 2, { label: "stale", after: failed(1) }),
  make("0.90", "1", 2, { label: "stale", after: failed(1) }),
  make("1.2", "5", 3, { label: "stale", after: failed(2) }),
  make("1.2", "6", 5, { label: "stale", after: failed(1, 4) }),
  make("1.2", "10", 4, { label: "stale", after: failed(2) }),
  make("1.2", "1", 3, { label: "rebuild", spares: 1, after: REBUILD }),
  make("1.2", "1", 2, { label: "bad-blocks", after: BAD_BLOCKS(1) }),
  make("1.2", "10", 4, { label: "bad-blocks", after: BAD_BLOCKS(2) }),
];

/** @type {readonly MdCase[]} */
export const MD_REFUSED = [
  make("1.2", "5", 4, { label: "journal", spares: 1, options: "--write-journal $4" }),
  make("1.2", "5", 3, { label: "ppl", offset: 4, sizes: [7, 7, 7], options: "--consistency-policy=ppl" }),
  make("1.2", "5", 4, { label: "reshape", isRead: false, offset: 2, sizes: [9, 9, 9, 9], spares: 1, after: RESHAPE }),
];

/** Where a member lies: number of the disk, and the partition's number on it. */
const placesOf = (cases) => {
  let next = 0;
  return cases.map(({ sizes }) =>
    sizes.map(() => {
      const place = { disk: Math.floor(next / PER_DISK), partition: (next % PER_DISK) + 1 };
      next += 1;
      return place;
    }),
  );
};

/**
 * Makes the arrays on new disks in `folder`.
 *
 * @param {string} folder
 * @param {readonly MdCase[]} cases
 * @returns {Promise<{ disks: string[], arrays: { name: string, places: { disk: number, partition: number }[], size: number,
 *   sha256: string }[] }>} what the kernel read of each: its bytes and their SHA-256; and the disks with the places of the members
 */
export async function makeMdArrays(folder, cases) {
  const places = placesOf(cases);
  const partitions = cases.flatMap(({ sizes }, index) => sizes.map((size, n) => ({ size, ...places[index][n] })));
  const disks = [];
  for (const { disk, size } of partitions) {
    disks[disk] ??= { path: join(folder, `disk${disk}.img`), sizes: [] };
    disks[disk].sizes.push(size);
  }
  for (const { path, sizes } of disks) {
    writeFileSync(path, "");
    truncateSync(path, (sizes.reduce((sum, size) => sum + size, 0) + 2) * MIB);
    run("sfdisk", ["-q", path], { input: `label: gpt\n${sizes.map((size) => `,${size}M\n`).join("")}`, stdio: "pipe" });
  }
  const pattern = join(folder, "pattern.img");
  writeFileSync(pattern, randomBytes(16 * MIB));
  const nodeOf = ({ disk, partition }) => `/dev/vd${"abcdefgh"[disk]}${partition}`;
  const steps = cases.map((entry, index) => scriptOf(entry, index, places[index].map(nodeOf)));
  const { stdout } = await runInGuest({
    disks: [...disks.map(({ path }) => path), pattern],
    tools: ["mdadm"],
    modules: MD_MODULES,
    // A minute where nothing else runs.
    timeout: 900,
    script: `ln -s /dev/vd${"abcdefgh"[disks.length]} /dev/pattern\n${steps.join("\n")}`,
  });
  const read = new Map();
  for (const [, name, size, sha256] of stdout.matchAll(/^(\S+) ([0-9]+) ([0-9a-f]{64})$/gm)) {
    read.set(name, { size: Number(size), sha256 });
  }
  return {
    disks: disks.map(({ path }) => path),
    arrays: cases.map(({ name }, index) => ({ name, places: places[index], ...read.get(name) })),
  };
}

function scriptOf(
  { name, arrayName, metadata, level, layout, sizes, spares, offset, options, isRead, after },
  index,
  nodes,
) {
  const count = sizes.length - spares;
  const words = ["mdadm --create $md --run --quiet --assume-clean", `--level=${level} --metadata=${metadata}`];
  if (!["linear", "1"].includes(level)) words.push("--chunk=16");
  if (layout !== undefined) words.push(`--layout=${layout}`);
  // Little, that the members may be small. The other versions have their data in front.
  if (["1.1", "1.2"].includes(metadata)) words.push(`--data-offset=${offset}M`);
  if (metadata !== "0.90") words.push(`--name=${arrayName}`);
  words.push(options, `--raid-devices=${count}`, ...nodes.slice(0, count));
  return `
echo "${name}" >&2
md=/dev/md${index}
set -- ${nodes.join(" ")}
${words.join(" ")}
dd if=/dev/pattern of=$md bs=64k conv=fsync 2>/dev/null || true
${after}
${isRead ? `echo "${name} $(blockdev --getsize64 $md) $(sha256sum <$md | cut -d ' ' -f 1)"` : ""}
mdadm --stop --quiet $md
`;
}
