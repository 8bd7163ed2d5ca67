import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What to wait for on the screen, and the keys that are then pressed. */
export type Step = readonly [expected: RegExp, keys: string];

export const KEY = {
  enter: "\r",
  escape: "\u001b",
  tab: "\t",
  backspace: "\u007f",
  up: "\u001b[A",
  down: "\u001b[B",
} as const;

/** What a run on a terminal came to. */
export interface TerminalRun {
  /** All that was written, as it was. */
  readonly raw: string;
  /** The same without the sequences that move the cursor and colour. */
  readonly text: string;
  readonly code: number | null;
}

/** Runs the command on a terminal of its own, and presses keys as a person would: each when the screen asks for it. */
export function onTerminal(args: readonly string[], steps: readonly Step[]): Promise<TerminalRun> {
  const command = ["stty", "cols", "120", "rows", "40", ";", quote(process.execPath), quote(main), ...args.map(quote)];
  const child = spawn("script", ["-qec", command.join(" "), "/dev/null"], { env: { ...process.env, TERM: "xterm" } });
  return new Promise((resolve, reject) => {
    let raw = "";
    let seen = 0;
    let step = 0;
    const timer = setTimeout(() => {
      child.kill();
      reject(new Error(`step ${step} (${steps[step]?.[0]}) did not come:\n${textOf(raw)}`));
    }, 60_000);
    const look = (): void => {
      for (; step < steps.length; step += 1) {
        const [expected, keys] = steps[step]!;
        if (!expected.test(textOf(raw.slice(seen)))) return;
        seen = raw.length;
        child.stdin.write(keys);
      }
    };
    child.stdout.on("data", (data: Buffer) => {
      raw += data.toString();
      look();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ raw, text: textOf(raw), code });
    });
  });
}

const textOf = (raw: string): string => raw.replace(/\u001b\[[0-9;?]*[A-Za-z]|\r/g, "");
