import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type FindingKind, finding } from "@guestprobe/block";
import { isHostFile, isOnHost } from "./arguments.js";
import { EXIT, type ExitCode, UsageError } from "./exit.js";
import { type Limits, parseLimits } from "./limits.js";
import { jsonText } from "./output/json-text.js";
import { findingJson } from "./output/output.js";
import { standardError, standardOutput } from "./output/standard.js";
import type { Invocation } from "./program.js";
import { disksOf, readXlGuest } from "./xl.js";

export const SANDBOX_ENDED: FindingKind = {
  code: "sandbox-ended",
  severity: "error",
  title: "The process that read the images was ended",
  explanation:
    "Under --sandbox a process of its own reads the images. It went past a limit without noticing, or died; that is a " +
    "mistake of this program which the images made visible, and nothing that they hold got out of it. What it had " +
    "answered until then was printed.",
  next: [
    "try again with a larger --limit-memory or --limit-time",
    "report the image, or what made it, as SECURITY.md says",
  ],
};

/** How often the child's memory is looked at, milliseconds. */
const LOOK_EVERY = 50;
/** A child that ends itself at the time limit needs this long to say what it found, milliseconds. */
const GRACE = 2000;
/** Verbs that write, and where: below their last word. */
const WRITES_TO_LAST = new Set(["cp", "extract-boot"]);
const isDocumented = (code: number | null): code is ExitCode => (Object.values(EXIT) as unknown[]).includes(code);

/**
 * Runs a command line in a child that may open the files which it names and this program's own, write nothing (but
 * below DEST, where the verb does), and start nothing; and ends the child at the limits, however busy it is.
 */
export async function runSandboxed(argv: readonly string[], invocation: Invocation): Promise<ExitCode> {
  const { options } = invocation;
  if (options.links === true) throw new UsageError("--sandbox and --links do not go together");
  const limits = parseLimits(options);
  const child = spawn(process.execPath, [...sandboxArguments(invocation, limits), ...withoutSandbox(argv)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...environment(), NODE_DISABLE_COMPILE_CACHE: "1" },
  });
  const stopped = watch(child, limits);
  const whole = options.json === true && invocation.verb.jsonLines !== true;
  const answers = new Lines(
    standardOutput.stream,
    whole ? "held" : invocation.verb.jsonLines === true ? "lines" : "bytes",
  );
  const remarks = new Lines(standardError.stream, "held");
  child.stdout?.on("data", (data: Buffer) => answers.take(data));
  child.stderr?.on("data", (data: Buffer) => remarks.take(data));
  const code = await new Promise<number | null>((done, fail) => {
    child.on("error", fail);
    child.on("close", done);
  });
  const why = stopped();
  if (why === undefined && isDocumented(code)) {
    answers.end();
    remarks.end();
    return code;
  }
  const message = `the sandbox was ended: ${why ?? "its process died"}`;
  const found = finding(SANDBOX_ENDED, message);
  if (whole) {
    const error = { code: "limit", message };
    const document = { schema: "guestprobe/error/1", error, findings: [findingJson(found)] };
    standardOutput.stream.write(`${jsonText(document, 2)}\n`);
  }
  // A process that dies writes what no user should have to read.
  remarks.end((line) => /^(guestprobe:| {2}try:)/.test(line));
  standardError.stream.write(`guestprobe: error: ${message} [${SANDBOX_ENDED.code}]\n`);
  return EXIT.damaged;
}

/** Nothing of the environment but what shapes the answer: it may hold secrets. */
function environment(): NodeJS.ProcessEnv {
  const kept = ["PATH", "SystemRoot", "LANG", "LC_ALL", "TZ", "TERM", "NO_COLOR", "FORCE_COLOR"];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

const withoutSandbox = (argv: readonly string[]): string[] => {
  const end = argv.indexOf("--");
  return argv.filter((word, at) => word !== "--sandbox" || (end >= 0 && at > end));
};

/** What Node is started with, this program last. */
export function sandboxArguments({ verb, words, options }: Invocation, limits: Pick<Limits, "memory">): string[] {
  const flags = process.allowedNodeEnvironmentFlags;
  const permission = ["--permission", "--experimental-permission"].find((flag) => flags.has(flag));
  // The heap is what a mistake fills first; the rest of the process is watched from outside.
  const heap = Math.max(48, Math.floor((limits.memory / 2 ** 20) * 0.75));
  const main = realpathSync(fileURLToPath(new URL("./main.js", import.meta.url)));
  if (permission === undefined) return [`--max-old-space-size=${heap}`, main];
  // The built command is one file with a few beside it, and the version in its package.
  const readable = [join(dirname(dirname(main)), "*"), ...filesOf(words, options)];
  const destination = WRITES_TO_LAST.has(verb.name) ? words.at(-1) : undefined;
  const writable = destination === undefined ? [] : folder(resolve(destination));
  return [
    `--max-old-space-size=${heap}`,
    "--no-warnings",
    permission,
    ...inOrder([...readable, ...writable]).map((path) => `--allow-fs-read=${path}`),
    ...inOrder(writable).map((path) => `--allow-fs-write=${path}`),
    main,
  ];
}

/** A folder that may not be there yet. Node adds the star by itself when it is. */
const folder = (path: string): string[] => (existsSync(path) ? [path] : [path, join(path, "*")]);

/** Node 20 ends with a failed assertion when a path is given twice, or after a longer one that begins with it. */
const inOrder = (paths: readonly string[]): string[] => [...new Set(paths)].sort();

/** What the command line names and is there: images, and the files and folders of options. */
function filesOf(words: readonly string[], options: Invocation["options"]): string[] {
  const list = (key: string): readonly string[] => {
    const value = options[key];
    return Array.isArray(value) ? (value as string[]) : typeof value === "string" ? [value] : [];
  };
  const xl = list("xl").flatMap((path) => [path, ...disksOf(readXlGuest(path), path).map(({ target }) => target)]);
  const files = [...words, ...["image", "backing", "rt", "host"].flatMap(list), ...xl].filter(isHostFile);
  const folders = list("allowBacking").filter(isOnHost);
  return [
    ...files.flatMap((path) => [resolve(path), realpathSync(path)]),
    ...folders.flatMap((path) => [resolve(path), realpathSync(path)]),
  ];
}

/** Ends the child at the limits. The answer says why it was ended, if it was. */
function watch(child: ChildProcess, { memory, time }: Limits): () => string | undefined {
  let why: string | undefined;
  const stop = (reason: string): void => {
    why ??= reason;
    child.kill("SIGKILL");
  };
  const look = setInterval(() => {
    const resident = residentBytes(child.pid);
    if (resident > memory) stop(`the memory limit of ${memory} bytes is reached`);
  }, LOOK_EVERY);
  const over =
    time === undefined ? undefined : setTimeout(() => stop(`the time limit of ${time / 1000} s is over`), time + GRACE);
  child.on("close", () => {
    clearInterval(look);
    clearTimeout(over);
  });
  return () => why;
}

/** Bytes of resident memory, where the system says so; else 0, and the heap's own cap must do. */
function residentBytes(pid: number | undefined): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Most bytes that are held back for one document. */
const MOST_HELD = 1 << 30;

/**
 * What the child wrote, so that it stays whole when the child dies: a document is held until its end, lines are handed
 * on when they are complete, bytes at once.
 */
class Lines {
  readonly #to: NodeJS.WriteStream;
  readonly #how: "bytes" | "lines" | "held";
  #held: Buffer[] = [];
  #bytes = 0;

  constructor(to: NodeJS.WriteStream, how: "bytes" | "lines" | "held") {
    this.#to = to;
    this.#how = how;
  }

  take(data: Buffer): void {
    if (this.#how === "bytes") {
      this.#to.write(data);
      return;
    }
    const newline = this.#how === "lines" ? data.lastIndexOf(0x0a) : -1;
    if (newline >= 0) {
      this.#to.write(Buffer.concat([...this.#held, data.subarray(0, newline + 1)]));
      this.#held = [];
      this.#bytes = 0;
    }
    const rest = data.subarray(newline + 1);
    this.#bytes += rest.length;
    if (this.#bytes > MOST_HELD) throw new Error("the answer is too long to be held back");
    if (rest.length > 0) this.#held.push(rest);
  }

  /** Hands on what is held back, or those of its lines that are wanted. */
  end(isWanted?: (line: string) => boolean): void {
    if (this.#held.length === 0) return;
    const data = Buffer.concat(this.#held);
    if (isWanted === undefined) this.#to.write(data);
    else for (const line of data.toString().split("\n").filter(isWanted)) this.#to.write(`${line}\n`);
  }
}
