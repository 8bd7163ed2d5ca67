/**
 * Runs one command line of guestprobe in this process and writes what it cost to file descriptor 3:
 * `{"code", "maxRss" (bytes), "ms"}`. The built command is what runs, as a user would run it.
 */
import { writeSync } from "node:fs";
import { run } from "../../packages/cli/dist/command.js";
import { stopwatch } from "./stopwatch.mjs";

const spent = stopwatch();
const code = await run(process.argv.slice(2));
process.exitCode = code;
const usage = process.resourceUsage();
writeSync(3, JSON.stringify({ code, maxRss: usage.maxRSS * 1024, ms: spent() }));
