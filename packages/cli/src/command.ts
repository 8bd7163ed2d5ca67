import { EXIT } from "./exit.js";
import { standardError, standardOutput } from "./output/standard.js";
import { run } from "./run.js";

export { run };

/**
 * Runs the process's own command line; the process ends with its exit code.
 *
 * @param cache A folder of the user's own for what later runs may start from.
 */
export async function main(cache: string | undefined): Promise<void> {
  standardOutput.own();
  standardError.own();
  // A reader that goes away (`| head`) or a full disk: a write that failed tells the verb, and what is written after it
  // (help, remarks) is told here.
  process.on("exit", () => {
    const { lost } = standardOutput;
    if (lost === undefined || process.exitCode === EXIT.host) return;
    process.exitCode = EXIT.host;
    if (lost.code !== "EPIPE") standardError.write(`guestprobe: standard output: ${lost.message}\n`);
  });
  process.exitCode = await run(process.argv.slice(2), cache);
  // What is on its way through Node's streams would be lost. Without them the end need not be waited for.
  if (standardOutput.isWritten && standardError.isWritten) process.exit();
}
