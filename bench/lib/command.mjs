/** The built command as its users start it, by its own file, and by the Node that runs this. */
import { delimiter, dirname } from "node:path";
import { fileURLToPath } from "node:url";

process.env.PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);

export const main = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
