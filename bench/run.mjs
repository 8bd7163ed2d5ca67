/**
 * Measures guestprobe beside its peers, in turn, with warm caches: `npm run bench`. Needs root for loop mounts, and as
 * many of the peers as are to be compared; those that are missing show as "cannot".
 *
 *   --only NAME     tasks whose name begins so: probe, list, list-xfs, read, manifest, memory, growth, codecs; may be given again
 *   --runs N        rounds that count; default 5
 *   --json FILE     the results as JSON
 *   --images DIR    where images are kept between runs; default .cache/bench
 *   --svg FILE      the plot of how cost grows
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { growth, growthPlot } from "./lib/growth.mjs";
import { Images } from "./lib/images.mjs";
import { inTurn } from "./lib/measure.mjs";
import { memory } from "./lib/memory.mjs";
import { judge, taskText } from "./lib/report.mjs";
import { forEachTask } from "./lib/tasks.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    runs: { type: "string", default: "5" },
    json: { type: "string" },
    images: { type: "string", default: fileURLToPath(new URL("../.cache/bench", import.meta.url)) },
    svg: { type: "string" },
  },
});
const runs = Number(options.runs);
if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: "${options.runs}" is not a number of rounds`);
const wanted = (name) => options.only.length === 0 || options.only.some((prefix) => name.startsWith(prefix));

const images = new Images(options.images);
const tasks = [];
console.log(`Node ${process.version}, ${cpus().length} processors (${cpus()[0].model}), ${runs} rounds.\n`);
await forEachTask(images, wanted, async ({ contenders, counts, ...task }) => {
  const done = { ...task, results: await inTurn(contenders, runs), counts: await counts?.() };
  tasks.push({ ...done, targets: judge(done) });
  console.log(taskText(done));
});
if (wanted("codecs")) await (await import("./codecs.mjs")).benchCodecs();
let peaks;
if (wanted("memory")) {
  peaks = await memory(images);
  console.table(peaks);
}
let grown;
if (wanted("growth")) {
  grown = await growth(images, runs);
  console.table(grown);
  if (options.svg !== undefined) writeFileSync(options.svg, growthPlot(grown));
}
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ tasks, peaks, grown }, undefined, 2)}\n`);
