import { memoryWorld, runText, type ScriptRun, type TranscriptEntry, type World } from "@guestprobe/grub/script";
import { PRELUDE, VOLATILE } from "../../../test/make/grub-emu.mjs";

/** What test/make/grub-script.mjs writes for each case. */
export interface Recording {
  readonly name: string;
  readonly options: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  readonly devices: readonly string[];
  readonly directories: Readonly<Record<string, readonly string[]>>;
  readonly transcript: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly ended: boolean;
  readonly default?: readonly string[];
  readonly entries?: readonly { readonly choice: string; readonly transcript: readonly string[] }[];
}

const UUIDS = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
  "33333333-3333-4333-8333-333333333333",
];

/** The disks of a case, with directories in the order GRUB read them. */
function world(recording: Recording): World {
  const files = new Map<string, string>();
  const first = rootDevice(recording);
  for (const [directory, names] of Object.entries(recording.directories)) {
    for (const name of names) {
      const key = `${directory}${directory.endsWith("/") ? "" : "/"}${name}`;
      const content = recording.files[key] ?? recording.files[key.replace(`(${first})`, "")];
      files.set(key, content ?? "");
    }
  }
  const volumes = [...new Set(Object.keys(recording.directories).map((key) => key.slice(1, key.indexOf(")"))))];
  const facts = Object.fromEntries(
    recording.devices.map((device) => {
      const index = volumes.indexOf(device);
      if (device === "proc") return [device, { fs: "procfs", driver: "proc" }];
      if (device === "host") return [device, { fs: "hostfs", driver: "host" }];
      const partmap = device.includes(",") ? "msdos" : undefined;
      if (index < 0) return [device, { driver: "hostdisk" }];
      return [device, { fs: "ext2", fsUuid: UUIDS[index], label: `label${index}`, driver: "hostdisk", partmap }];
    }),
  );
  return memoryWorld(files, facts, first);
}

function rootDevice(recording: Recording): string {
  const [first] = Object.keys(recording.directories);
  return first!.slice(1, first!.indexOf(")"));
}

function asLines(transcript: readonly TranscriptEntry[], errors: boolean): string[] {
  const text = transcript
    .filter(({ kind }) => errors || kind === "output")
    .map((entry) => (entry.kind === "error" ? `error: ${entry.text}.\n` : entry.text))
    .join("");
  return trim(text.split("\n").map(expandTabs), errors);
}

/** A terminal shows a tab as the blanks to the next multiple of eight. */
function expandTabs(line: string): string {
  let shown = "";
  for (const character of line) shown += character === "\t" ? " ".repeat(8 - (shown.length % 8)) : character;
  return shown;
}

function trim(lines: readonly string[], errors: boolean): string[] {
  const kept = errors ? [...lines] : lines.filter((line) => !line.startsWith("error: "));
  while (kept.length > 0 && kept.at(-1)!.trim() === "") kept.pop();
  while (kept.length > 0 && kept[0]!.trim() === "") kept.shift();
  return kept;
}

/** Where GRUB waits for a key it prints blank lines, which are not compared one by one. */
function attempt(lines: readonly string[], errors: boolean): string[] {
  return trim(lines, errors).filter((line, index, all) => line !== "" || all[index - 1] !== "");
}

export interface Outcome {
  readonly transcript: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  readonly default: readonly string[] | undefined;
  readonly entries: readonly { readonly choice: string; readonly transcript: readonly string[] }[] | undefined;
}

/** What GRUB did, without what the case leaves out of the comparison. */
export function expected(recording: Recording): Outcome {
  const errors = recording.options.errors !== "off";
  return {
    transcript: trim(recording.transcript, errors),
    variables: recording.ended ? recording.variables : {},
    default: recording.default === undefined ? undefined : attempt(recording.default, errors),
    entries: recording.entries?.map(({ choice, transcript }) => ({ choice, transcript: attempt(transcript, errors) })),
  };
}

/** What the interpreter does with the same case. */
export async function actual(recording: Recording): Promise<Outcome> {
  const root = rootDevice(recording);
  const errors = recording.options.errors !== "off";
  const run = (after: string): Promise<ScriptRun> =>
    runText(
      "wrapper",
      `${PRELUDE}set root=${root}\nset prefix=(${root})/boot/grub\nsource (${root})/case.cfg\n${after}`,
      {
        world: world(recording),
        platform: "emu",
        root: "host",
      },
    );
  const script = await run("");
  const variables = recording.ended
    ? Object.fromEntries(
        [...script.variables]
          .filter(([name]) => !VOLATILE.test(name) && /^[^=\s]+$/.test(name))
          // The listing cannot be told from the lines of a value; it is read by lines.
          .map(([name, value]) => [name, value.split("\n")[0]!]),
      )
    : {};
  const boot = async (choice: string | undefined) => {
    const before = choice === undefined ? "" : `set default='${choice}'\nset fallback=\n`;
    const result = await (await run(`${before}set timeout=0\n`)).boot();
    const lines = asLines(result.transcript, errors);
    const end = lines.findIndex((line) => line.startsWith("  Failed to boot both"));
    return attempt(end < 0 ? lines : lines.slice(0, end), errors);
  };
  return {
    transcript: asLines(script.transcript, errors),
    variables,
    default: recording.default === undefined ? undefined : await boot(undefined),
    entries:
      recording.entries === undefined
        ? undefined
        : await Promise.all(recording.entries.map(async ({ choice }) => ({ choice, transcript: await boot(choice) }))),
  };
}
