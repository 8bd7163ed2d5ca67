/**
 * Runs many command lines of guestprobe in one process, since starting one for each would take most of the time. Reads
 * a JSON array of argument lists from standard input, writes one JSON line for each:
 * `{"code", "out", "err", "ms", "rss"}`, `rss` the most bytes of resident memory up to then.
 */
import { readFileSync, writeSync } from "node:fs";
import { run } from "../../packages/cli/dist/command.js";
import { stopwatch } from "./stopwatch.mjs";

const jobs = JSON.parse(readFileSync(0, "utf8"));
for (const args of jobs) {
  const text = { out: "", err: "" };
  const real = { out: process.stdout.write, err: process.stderr.write };
  const capture = (key) => (chunk, done) => {
    text[key] += chunk;
    if (typeof done === "function") done();
    return true;
  };
  process.stdout.write = capture("out");
  process.stderr.write = capture("err");
  const spent = stopwatch();
  let code;
  try {
    code = await run(args);
  } finally {
    process.stdout.write = real.out;
    process.stderr.write = real.err;
  }
  const line = `${JSON.stringify({ code, ...text, ms: spent(), rss: process.resourceUsage().maxRSS * 1024 })}\n`;
  for (let data = Buffer.from(line); data.length > 0; ) {
    try {
      data = data.subarray(writeSync(3, data));
    } catch (error) {
      // The pipe is full and was set not to block: the reader needs a moment.
      if (error.code !== "EAGAIN") throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}
