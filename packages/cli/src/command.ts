import { EXIT } from "./exit.js";
import { run } from "./run.js";

export { run };

/**
 * Runs the process's own command line; the process ends with its exit code.
 *
 * @param cache A folder of the user's own for what later runs may start from.
 */
export async function main(cache: string | undefined): Promise<void> {
  // A reader that goes away (`| head`) or a full disk shows as an event, which Node answers with a stack trace unless
  // somebody listens. The write that failed tells the verb; what is written after it (help, remarks) is told here.
  let lost: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (error) => {
    lost ??= error;
  });
  process.stderr.on("error", () => {});
  process.on("exit", () => {
    if (lost === undefined || process.exitCode === EXIT.host) return;
    process.exitCode = EXIT.host;
    if (lost.code !== "EPIPE") process.stderr.write(`guestprobe: standard output: ${lost.message}\n`);
  });
  // Not process.exit: what is still on its way to a pipe would be lost.
  process.exitCode = await run(process.argv.slice(2), cache);
}
