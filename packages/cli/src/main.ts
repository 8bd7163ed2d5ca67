import { join } from "node:path";
import { loadCompiled } from "./code-cache.js";
import { cacheFolder } from "./own-cache.js";

/** Told apart in the cache: a verb keeps the code that it alone runs, and reads no other's. */
const verb = process.argv.slice(2).find((word) => /^[a-z][a-z-]{0,20}$/.test(word)) ?? "inspect";
const folder = cacheFolder();
const { main } = loadCompiled(join(__dirname, "command.js"), verb, folder) as typeof import("./command.js");
void main(folder);
