import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SearchQuery } from "@guestprobe/grub";

/** An image file under a name that GRUB gives its device: "hd0". */
export interface EmuDisk {
  readonly name: string;
  readonly file: string;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** grub-emu also searches the machine that it runs on, as the last device. */
const isImage = (device: string): boolean => device !== "" && device !== "host";

/** One query as a line of GRUB's script language. */
function commandOf(query: SearchQuery): string {
  const flag = { file: "-f", label: "-l", uuid: "-u" }[query.by];
  const words = ["search"];
  if (query.stopAtFirst) words.push("--set=found");
  if (query.noFloppy) words.push("--no-floppy");
  for (const hint of query.hints ?? []) words.push(`--hint=${quote(hint)}`);
  words.push(flag, quote(String(query.name)));
  return words.join(" ");
}

/** What the real GRUB prints when it runs these lines over the disks. */
function runGrub(disks: readonly EmuDisk[], script: readonly string[], columns = 20_000): string {
  const folder = mkdtempSync(join(tmpdir(), "grub-emu-"));
  const keyboard = join(folder, "keyboard");
  execFileSync("mkfifo", [keyboard]);
  // Held open at both ends: the end of the input would reach GRUB as a key, which stops the countdown of a menu.
  const keys = openSync(keyboard, "r+");
  try {
    writeFileSync(join(folder, "map"), disks.map(({ name, file }) => `(${name}) ${file}\n`).join(""));
    writeFileSync(join(folder, "grub.cfg"), `${script.join("\n")}\necho @end@\nexit\n`);
    // A terminal of its own, and a wide one: GRUB breaks lines at its edge. It also paints every column of a menu.
    const run = `stty cols ${columns}; grub-emu -m ${join(folder, "map")} -d ${folder} -r host`;
    const output = execFileSync("script", ["-qec", run, "/dev/null"], {
      timeout: 60_000,
      encoding: "utf8",
      stdio: [keys, "pipe", "pipe"],
    })
      // Colours and carriage returns for the terminal.
      .replace(/\u001b\[[0-9;]*m|\r/g, "");
    if (!output.includes("@end@")) throw new Error(`grub-emu did not come to its end:\n${output}`);
    return output;
  } finally {
    closeSync(keys);
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs the real GRUB over the disks and answers what each query printed, in order: the devices, or with `stopAtFirst` the one
 * that the variable was set to. All queries run in one GRUB, so that its cache lives from one to the next.
 */
export function grubEmuSearch(disks: readonly EmuDisk[], queries: readonly SearchQuery[]): string[][] {
  const script = queries.flatMap((query, index) => [
    "set found=",
    `echo "@${index}@"`,
    commandOf(query),
    "echo",
    `echo "=$found="`,
  ]);
  // What GRUB says of volumes that it cannot read comes before the hits, or straight behind the last one.
  const output = runGrub(disks, script).replace(/error: [^\n]*\n/g, "");
  return queries.map((query, index) => {
    const after = output.split(`@${index}@\n`)[1] ?? "";
    const [printed = ""] = after.split("\n");
    if (query.stopAtFirst) {
      const found = /^=(.*)=$/m.exec(after)?.[1] ?? "";
      return [found].filter(isImage);
    }
    return printed.startsWith(" ") ? printed.trim().split(" ").filter(isImage) : [];
  });
}

/** Every device that the real GRUB lists on the disks, in its order. */
export function grubEmuDevices(disks: readonly EmuDisk[]): string[] {
  const listed = runGrub(disks, ["echo @ls@", "ls"]).split("@ls@\n")[1]?.split("\n")[0] ?? "";
  return [...listed.matchAll(/\(([^)]*)\)/g)].map((match) => match[1]!).filter((name) => /^[hf]d[0-9]/.test(name));
}

/** What the real GRUB prints when it runs a script of a host over the disks. */
export function grubEmuScript(disks: readonly EmuDisk[], script: string): string {
  return runGrub(disks, script.split("\n"));
}

/** What an entry hands to its loader's commands: the words, and the device that paths without one are on. */
export interface EmuBoot {
  readonly linux: string;
  readonly initrd: string;
  readonly root: string;
}

/** What the real GRUB loads when it shows the menu of a configuration and nobody touches a key. It has no loaders itself. */
export function grubEmuBoot(disks: readonly EmuDisk[], config: string): EmuBoot {
  const output = runGrub(
    disks,
    [
      'function linux { echo "@linux $@@@"; }',
      'function initrd { echo "@initrd $@@@"; echo "@root $root@@"; echo @end@; exit; }',
      `configfile ${config}`,
    ],
    1000,
  );
  const said = (what: string): string => new RegExp(`@${what} ([^\n]*?)@@`).exec(output)?.[1] ?? "";
  return { linux: said("linux"), initrd: said("initrd"), root: said("root") };
}
