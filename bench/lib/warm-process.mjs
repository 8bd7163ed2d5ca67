/** A process of its own for one contender: what others compile, allocate and collect is not its business. See measure.mjs. */
import { listByExt2fs, readByExt2fs } from "./ext2fs.mjs";
import { list, probe, read, readHost } from "./ours.mjs";

const WORK = { probe, list, read, readHost, listByExt2fs, readByExt2fs };

process.on("message", async ({ name, words }) => {
  const start = performance.now();
  try {
    await WORK[name](...words);
    process.send({ ms: performance.now() - start });
  } catch (error) {
    process.send({ error: String(error.message ?? error) });
  }
});
