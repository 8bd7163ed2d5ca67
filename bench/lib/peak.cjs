/** Loaded into a program by NODE_OPTIONS: writes to file descriptor 3, at its end, the most bytes of memory it was resident in. */
const { writeSync } = require("node:fs");
const { isMainThread } = require("node:worker_threads");

if (isMainThread) process.on("exit", () => writeSync(3, String(process.resourceUsage().maxRSS * 1024)));
