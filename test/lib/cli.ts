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
