/** A probe by the npm package ext2fs, from process start: the image, the byte at which its ext4 begins, the paths. */
import { probeByExt2fs } from "./ext2fs.mjs";

const [image, start, ...paths] = process.argv.slice(2);
const hits = await probeByExt2fs(image, Number(start), paths);
process.stdout.write(`${hits}\n`);
process.exitCode = hits > 0 ? 0 : 1;
