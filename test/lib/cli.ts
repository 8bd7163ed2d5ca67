import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./measured-cli.mjs", import.meta.url));

export interface CliResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** Standard output as text. */
  readonly out: string;
  readonly err: string;
  /** Most bytes of resident memory. */
  readonly maxRss: number;
  /** Milliseconds from the first line of the command to its end, starting up left out. */
  readonly ms: number;
}

export interface CliOptions {
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs the built command in a process of its own, not on a terminal. Fails if it is killed or writes a stack trace. */
export function guestprobe(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...(options.nodeArgs ?? []), program, ...args], {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: "", ...options.env },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    const chunks: [Buffer[], Buffer[], Buffer[]] = [[], [], []];
    for (const [index, stream] of [child.stdout, child.stderr, child.stdio[3]].entries()) {
      stream?.on("data", (chunk: Buffer) => chunks[index as 0 | 1 | 2].push(chunk));
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const [stdout, stderr, cost] = chunks.map((parts) => Buffer.concat(parts)) as [Buffer, Buffer, Buffer];
      const err = stderr.toString();
      if (code === null) return reject(new Error(`guestprobe ${args.join(" ")} was killed by ${signal}\n${err}`));
      if (/\n {4}at /.test(err)) return reject(new Error(`a stack trace on standard error:\n${err}`));
      const { maxRss, ms } = JSON.parse(cost.toString()) as { maxRss: number; ms: number };
      return resolve({ code, stdout, out: stdout.toString(), err, maxRss, ms });
    });
  });
}

const batch = fileURLToPath(new URL("./cli-batch.mjs", import.meta.url));

export interface BatchResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly ms: number;
  /** Most bytes of resident memory of this run and those before it. */
  readonly rss: number;
}

/** Runs many command lines in one process of their own. Fails if that process dies, or does not end in `timeout`. */
export function guestprobeBatch(jobs: readonly (readonly string[])[], timeout: number): Promise<BatchResult[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [batch], { stdio: ["pipe", "ignore", "pipe", "pipe"], timeout });
    const chunks: [Buffer[], Buffer[]] = [[], []];
    for (const [index, stream] of [child.stderr, child.stdio[3]].entries()) {
      stream?.on("data", (chunk: Buffer) => chunks[index as 0 | 1].push(chunk));
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const [err, results] = chunks.map((parts) => Buffer.concat(parts).toString()) as [string, string];
      const lines = results.split("\n").filter((line) => line !== "");
      if (lines.length === jobs.length) return resolve(lines.map((line) => JSON.parse(line) as BatchResult));
      const last = jobs[lines.length]?.join(" ");
      return reject(new Error(`ended by ${signal ?? code} at: guestprobe ${last}\n${err}`));
    });
    child.stdin?.end(JSON.stringify(jobs));
  });
}
