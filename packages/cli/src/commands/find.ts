import { findingFromError } from "@guestprobe/block";
import { type FileType, toEntry, type WalkEntry, walkBatches } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import { EXIT, UsageError } from "../exit.js";
import { globMatcher } from "../glob.js";
import { parseSize } from "../limits.js";
import type { JsonDocument } from "../output/json-document.js";
import { Progress } from "../output/progress.js";
import type { Options, Run } from "../verbs.js";
import { readTargetOrTell } from "./listing.js";

const TYPES: Record<string, FileType> = {
  f: "file",
  d: "dir",
  l: "symlink",
  c: "char",
  b: "block",
  p: "fifo",
  s: "socket",
};

export const find: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const wanted = matcher(options);
  const maxDepth = options.maxDepth === undefined ? Number.POSITIVE_INFINITY : Number(options.maxDepth);
  if (!(maxDepth >= 0) || options.maxDepth === "")
    throw new UsageError(`--max-depth: "${options.maxDepth}" is no depth`);
  const { out } = context;
  const guest = await context.open(images, options);
  const place = await guest.place(path, { followLast: false });
  const { device } = place.volume;
  const progress = new Progress(out);
  const document = out.options.json ? out.beginDocument("guestprobe/find/1") : undefined;
  document?.beginList("entries");
  let found = 0;
  const isFound = (entry: WalkEntry): boolean => {
    context.watch.countEntry();
    progress.step();
    if (entry.error !== undefined) {
      out.log.report(findingFromError(entry.error, { device, path: entry.path }));
      if (entry.isGivenAgain) return false;
    }
    if (!wanted(entry)) return false;
    found += 1;
    return true;
  };
  /** Prints what is found from an entry on, until the output is to be waited for; answers the entry after that. */
  const print = (batch: readonly WalkEntry[], from: number): number => {
    let at = from;
    for (; at < batch.length && !out.isFull; at += 1) {
      const entry = batch[at]!;
      if (!isFound(entry)) continue;
      if (options.print0 === true) out.endedPath(entry);
      else out.pathLine(entry);
    }
    return at;
  };
  const printJson = async (batch: readonly WalkEntry[], document: JsonDocument): Promise<void> => {
    for (const entry of batch) {
      if (!isFound(entry)) continue;
      const { path: at, inode } = entry;
      const link = await readTargetOrTell(context, device, at, inode);
      document.value({
        device,
        ...toEntry({ path: at, inode, target: link.target, error: entry.error ?? link.error }),
      });
      if (out.isFull) await out.pace();
    }
  };
  try {
    const enter = (entry: WalkEntry): boolean => entry.depth < maxDepth;
    for await (const batch of walkBatches(place.inode, place.path, { ...context.watch.walk, enter })) {
      if (document !== undefined) {
        await printJson(batch, document);
        continue;
      }
      for (let at = 0; at < batch.length; ) {
        at = print(batch, at);
        if (out.isFull) await out.pace();
      }
    }
  } finally {
    progress.end();
  }
  out.endDocument();
  return found > 0 ? EXIT.yes : EXIT.no;
};

function matcher(options: Options): (entry: WalkEntry) => boolean {
  const tests: ((entry: WalkEntry) => boolean)[] = [];
  for (const [key, ignoreCase] of [
    ["name", false],
    ["iname", true],
  ] as const) {
    if (options[key] === undefined) continue;
    const matches = globMatcher(String(options[key]), ignoreCase);
    tests.push(({ path }) => matches(path.subarray(path.lastIndexOf(0x2f) + 1)));
  }
  if (options.type !== undefined) {
    const type = TYPES[String(options.type)];
    tests.push(({ inode, dirent }) => (inode?.stat.type ?? dirent?.type) === type);
  }
  if (options.size !== undefined) tests.push(sizeTest(String(options.size)));
  return (entry) => tests.every((test) => test(entry));
}

function sizeTest(text: string): (entry: WalkEntry) => boolean {
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  const size = parseSize(text.slice(sign.length), "--size");
  return ({ inode }) => {
    if (inode === undefined) return false;
    if (sign === "+") return inode.stat.size > size;
    return sign === "-" ? inode.stat.size < size : inode.stat.size === size;
  };
}
