/**
 * Runs configuration files under the real GRUB (grub-emu) on small disks, and writes down what it does. Used by the
 * recorder (grub-script.mjs) and by the reference tests, which run the same cases again.
 *
 * Case files hold many cases:
 *
 *     === name of the case [option...]
 *     the script
 *     --- (hd0)/path/of/another/file
 *     its content
 *
 * Options: `devices=hd0,hd1` or `devices=hd0,msdos1+msdos2` (partitions of the first disk), `errors=off` (error lines
 * are not compared: drivers and terminals differ between platforms).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const MARK = "@@";
/** Loader commands are not part of grub-emu: functions of their names show what they would be given. */
const LOADERS = [
  "linux",
  "linux16",
  "linuxefi",
  "initrd",
  "initrd16",
  "initrdefi",
  "multiboot",
  "multiboot2",
  "module",
  "module2",
  "chainloader",
];
export const PRELUDE = LOADERS.map((name) => `function ${name} { echo ${MARK}${name} "root=$root" "$@"; }\n`).join("");
/** Variables of the running machine, which say nothing about the script. */
export const VOLATILE =
  /^(DAY|HOUR|MINUTE|MONTH|SECOND|WEEKDAY|YEAR|net_.*|pxe_.*|\?|cmdpath|lang|.*locale_dir|check_signatures|color_.*|pager|feature_.*|config_.*|grub_.*)$/;
const UUIDS = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
  "33333333-3333-4333-8333-333333333333",
];

export function parseCases(text) {
  const cases = [];
  let current;
  let file;
  for (const line of text.split("\n")) {
    const head = /^=== (.*?)(?: \[(.*)\])?$/.exec(line);
    if (head) {
      const options = Object.fromEntries(
        (head[2] ?? "")
          .split(" ")
          .filter(Boolean)
          .map((option) => option.split(/=(.*)/s).slice(0, 2)),
      );
      current = { name: head[1], options, files: { "/case.cfg": "" } };
      file = "/case.cfg";
      cases.push(current);
      continue;
    }
    const section = /^--- (.*)$/.exec(line);
    if (section) {
      file = section[1];
      current.files[file] = "";
    } else if (current) current.files[file] += `${line}\n`;
  }
  for (const one of cases)
    for (const [path, content] of Object.entries(one.files)) one.files[path] = content.replace(/\n\n$/, "\n");
  return cases;
}

/** Devices in GRUB's order with what they are; partitions are visited last first. */
function layout(one) {
  const [disk, second] = (one.options.devices ?? "hd0").split(/,(.*)/s);
  const volumes = [];
  if (second === undefined || second.startsWith("hd")) volumes.push("hd0");
  else for (const part of second.split("+")) volumes.push(`hd0,${part}`);
  if (second?.startsWith("hd")) volumes.push(...second.split(","));
  if (disk !== "hd0") throw new Error("the first disk is hd0");
  return volumes;
}

function makeVolume(directory, image, offset, mebibytes, index) {
  execFileSync(
    "mke2fs",
    [
      "-q",
      "-t",
      "ext2",
      "-b",
      "1024",
      "-U",
      UUIDS[index],
      "-L",
      `label${index}`,
      "-O",
      "^dir_index,^resize_inode",
      "-d",
      directory,
      "-E",
      `offset=${offset}`,
      image,
      `${mebibytes * 1024}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
}

/** Builds the disks of a case in `work`; answers the device map and what the volumes hold. */
function makeDisks(one, work) {
  const volumes = layout(one);
  const roots = volumes.map((_, index) => join(work, `root${index}`));
  for (const root of roots) mkdirSync(root, { recursive: true });
  const put = (key, content) => {
    const [, device = volumes[0], path = key] = /^\(([^)]*)\)(.*)$/s.exec(key) ?? [];
    const root = roots[volumes.indexOf(device)];
    if (root === undefined) throw new Error(`${one.name}: no device ${device}`);
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  for (const [key, content] of Object.entries(one.files)) put(key, content);
  const disks = new Map();
  const parts = volumes.filter((volume) => volume.includes(","));
  if (parts.length > 0) {
    const image = join(work, "hd0.img");
    disks.set("hd0", image);
    const bytes = Buffer.alloc((1 + parts.length * 4) * 1048576);
    for (const [index, part] of parts.entries()) {
      const slot = Number(part.slice("hd0,msdos".length)) - 1;
      const at = 446 + slot * 16;
      bytes[at + 4] = 0x83;
      bytes.writeUInt32LE((1 + index * 4) * 2048, at + 8);
      bytes.writeUInt32LE(4 * 2048, at + 12);
    }
    bytes[510] = 0x55;
    bytes[511] = 0xaa;
    writeFileSync(image, bytes);
    for (const index of parts.keys()) makeVolume(roots[index], image, (1 + index * 4) * 1048576, 4, index);
  } else {
    for (const [index, volume] of volumes.entries()) {
      const image = join(work, `${volume}.img`);
      writeFileSync(image, Buffer.alloc(4 * 1048576));
      makeVolume(roots[index], image, 0, 4, index);
      disks.set(volume, image);
    }
  }
  writeFileSync(join(work, "map"), [...disks].map(([disk, image]) => `(${disk}) ${image}\n`).join(""));
  return { volumes, disks };
}

/** Names in each directory that holds more than one, in the order GRUB reads them. */
function listings(one, volumes, disks) {
  const found = {};
  for (const volume of volumes) {
    const image = disks.get(volume.split(",")[0]);
    const device = volume.includes(",") ? `(loop0,${volume.split(",")[1]})` : "(loop0)";
    const directories = new Set(["/"]);
    for (const key of Object.keys(one.files)) {
      const [, own = volumes[0], path = key] = /^\(([^)]*)\)(.*)$/s.exec(key) ?? [];
      if (own !== volume) continue;
      for (let at = dirname(path); at !== "/"; at = dirname(at)) directories.add(at);
    }
    for (const directory of directories) {
      const { stdout } = spawnSync("grub-fstest", [image, "ls", `${device}${directory}`], {
        encoding: "utf8",
        timeout: 20_000,
      });
      found[`(${volume})${directory}`] = stdout
        .trim()
        .split(/\s+/)
        .filter((name) => name !== "");
    }
  }
  return found;
}

/**
 * What GRUB printed, as plain text. The keys answer its waits, open a command line and leave; where a terminal command
 * of the script has thrown them away, GRUB is stopped after `seconds`, when it has long printed what it had to.
 */
function runGrub(work, wrapper, keys, seconds) {
  mkdirSync(join(work, "wrapper"), { recursive: true });
  writeFileSync(join(work, "wrapper/grub.cfg"), wrapper);
  const result = spawnSync(
    "script",
    [
      "-qec",
      // In the foreground, else the terminal stops it: a shell that does not exec its last command leaves `timeout` in a
      // process group of its own.
      `stty cols 3000 rows 30; exec timeout --foreground -k 1 ${seconds} grub-emu -m ${work}/map -d ${work}/wrapper -r host`,
      "/dev/null",
    ],
    {
      // `script` runs its command by $SHELL, which a build machine need not set.
      env: { ...process.env, SHELL: "/bin/sh" },
      input: keys,
      encoding: "utf8",
      timeout: 30_000,
      maxBuffer: 1 << 26,
    },
  );
  const text = result.stdout;
  const start = text.indexOf("Welcome to GRUB!");
  if (start < 0) throw new Error(`grub-emu did not start: ${text}${result.stderr}`);
  return text
    .slice(start + "Welcome to GRUB!".length)
    .replace(/\x1b\[\d+;\d+H +\[ [^\]\n]*\]\x1b\[\d+;\d+H/g, "")
    .replace(/\x1b\[[0-9;?]*[A-Za-z]/g, (code) => (code.endsWith("J") ? "\f" : ""))
    .replace(/\r/g, "")
    .replace(/^\s*\n/, "");
}

const lines = (text) => {
  const split = text.replaceAll("\f", "").split("\n");
  while (split.at(-1)?.trim() === "") split.pop();
  while (split[0]?.trim() === "") split.shift();
  return split;
};

/** What an attempt to boot printed, up to where GRUB gives up. */
function attempt(text) {
  const from = text.indexOf("  Booting `");
  if (from < 0) return undefined;
  const rest = text.slice(from);
  const end = rest.search(/\n {2}Failed to boot both|\f[^\f]*GNU GRUB {2}version/);
  return lines(end < 0 ? rest : rest.slice(0, end)).filter((line) => !line.startsWith("Press any key to continue"));
}

/** Runs one case under GRUB; with `boots`, once more for each of its menu entries, which takes some seconds each. */
export function recordCase(one, { boots = true } = {}) {
  const base = mkdtempSync(join(tmpdir(), "grub-emu-"));
  try {
    const { volumes, disks } = makeDisks(one, base);
    // save_env really writes: each run gets the disks as they were made.
    for (const image of disks.values()) copyFileSync(image, `${image}.made`);
    const root = volumes[0];
    const seconds = /fallback/.test(Object.values(one.files).join("")) ? 10 : 4;
    const run = (wrapper, keys = "") => {
      for (const image of disks.values()) copyFileSync(`${image}.made`, image);
      const cfg = `${PRELUDE}set root=${root}\nset prefix=(${root})/boot/grub\nsource (${root})/case.cfg\n${wrapper}`;
      return runGrub(base, cfg, keys, seconds);
    };
    const script = run(`echo\necho ${MARK}VARIABLES\nset\nexit\n`);
    const mark = script.search(new RegExp(`^${MARK}VARIABLES$`, "m"));
    const [before, after] = mark < 0 ? [script, ""] : [script.slice(0, mark), script.slice(mark)];
    const variables = {};
    for (const line of after.split("\n")) {
      const match = /^([^=\s]+)=(.*)$/s.exec(line);
      if (match && !VOLATILE.test(match[1])) variables[match[1]] = match[2];
    }
    const directories = listings(one, volumes, disks);
    const devices = ["proc", ...volumes.filter((volume) => !volume.includes(",")), "host"];
    if (volumes[0].includes(","))
      devices.splice(1, 0, "hd0", ...volumes.filter((volume) => volume.includes(",")).reverse());
    const recorded = {
      name: one.name,
      options: one.options,
      files: one.files,
      devices,
      directories,
      transcript: lines(before),
      variables,
      ended: mark >= 0,
    };
    if (!boots || !recorded.ended || !/menuentry|submenu|title|label/i.test(Object.values(one.files).join("")))
      return recorded;
    // A key for each wait after an error; the menu takes no notice of the rest.
    const keys = "xxxxxxxxcexit\nexit\n";
    const boot = (choice) => {
      const set = choice === undefined ? "" : `set default='${choice}'\nset fallback=\n`;
      return attempt(run(`${set}set timeout=0\n`, keys));
    };
    recorded.default = boot(undefined);
    if (recorded.default === undefined) return recorded;
    recorded.entries = [];
    const first = JSON.stringify(boot("0"));
    for (let index = 0; index < 40; index++) {
      const booted = boot(String(index));
      // A number past the end is taken for 0.
      if (index > 0 && JSON.stringify(booted) === first) break;
      const entry = { choice: String(index), transcript: booted };
      recorded.entries.push(entry);
      if (booted.filter((line) => line.startsWith("  Booting `")).length < 2) continue;
      // A submenu: its default was started too. Now the others.
      const inner = JSON.stringify(boot(`${index}>0`));
      for (let child = 0; child < 20; child++) {
        const choice = `${index}>${child}`;
        const started = boot(choice);
        if (child > 0 && JSON.stringify(started) === inner) break;
        recorded.entries.push({ choice, transcript: started });
      }
    }
    return recorded;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
