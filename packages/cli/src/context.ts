import { meterDecoders } from "@guestprobe/codec";
import { EXIT, type ExitCode } from "./exit.js";
import { type Guest, openGuest } from "./guest.js";
import { type Limits, parseLimits, Watch } from "./limits.js";
import { imageErrorOnly, Output } from "./output/output.js";
import { formatBytes } from "./output/table.js";
import type { Options } from "./verbs.js";

/** What every verb works with. */
export interface Context {
  readonly out: Output;
  readonly limits: Limits;
  readonly watch: Watch;
  /** A folder of the user's own for what later runs may start from. */
  readonly cache: string | undefined;
  /** Opens the images of the command line. They are closed when the verb ends. */
  open(images: readonly string[], options: Options): Promise<Guest>;
  /** Whether the guest of these images has a file of this path; to tell a path from an image. Says nothing. */
  guestHas(images: readonly string[], path: string, options: Options): Promise<boolean>;
  /** Ends the answer: findings and statistics are shown, and damage that was met turns the exit code into 4. */
  finish(code: ExitCode): Promise<ExitCode>;
  close(): Promise<void>;
}

export function makeContext(options: Options, cache: string | undefined): Context {
  const limits = parseLimits(options);
  const out = new Output({
    json: options.json === true,
    quiet: options.quiet === true,
    verbose: options.verbose === true,
    color: options.color as "auto" | "always" | "never",
  });
  const watch = new Watch(limits);
  meterDecoders((bytes) => watch.countDecoded(bytes));
  const guests: Guest[] = [];
  return {
    out,
    limits,
    watch,
    cache,
    async open(images, verbOptions) {
      const guest = await openGuest(images, verbOptions, { out, limits, watch });
      guests.push(guest);
      return guest;
    },
    async guestHas(images, path, verbOptions) {
      const silent = new Output({ json: false, quiet: true, verbose: false, color: "never" });
      // The names given are for all images, and here are some.
      const guest = await openGuest(images, { ...verbOptions, as: undefined }, { out: silent, limits, watch });
      try {
        await guest.place(path, { followLast: false });
        return true;
      } catch (cause) {
        if (watch.ended(imageErrorOnly(cause))) throw cause;
        return false;
      } finally {
        await guest.close();
      }
    },
    async finish(code) {
      await out.flush();
      if (!out.options.json) out.showFindings();
      if (out.options.verbose) {
        for (const disk of guests.flatMap((guest) => guest.disks)) {
          const { reads, bytes } = disk.stats;
          process.stderr.write(`guestprobe: (${disk.name}): ${reads} reads, ${formatBytes(bytes)}\n`);
        }
      }
      const damaged = out.log.findings.some((entry) => entry.severity === "error");
      return damaged && code < EXIT.damaged ? EXIT.damaged : code;
    },
    async close() {
      for (const guest of guests) await guest.close();
    },
  };
}
