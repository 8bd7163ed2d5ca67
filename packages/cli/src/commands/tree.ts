import { findingFromError, ImageError } from "@guestprobe/block";
import { childPath, type Inode, textPair } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import { EXIT, UsageError } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import type { Run } from "../verbs.js";
import { Entered, type ListedFile, listDirectory, readTargetOrTell } from "./listing.js";

const DEFAULT_DEPTH = 256;
/** The document of --json nests as deep as the tree, and those who read it may be recursive, as this is. */
const MOST_DEPTH = 1000;

export const tree: Run = async (context, words, options) => {
  const { images, path } = imagesThenPath(words);
  const maxDepth = options.maxDepth === undefined ? DEFAULT_DEPTH : Number(options.maxDepth);
  if (!Number.isInteger(maxDepth) || maxDepth < 1 || maxDepth > MOST_DEPTH)
    throw new UsageError(`--max-depth: "${options.maxDepth}" is not a depth from 1 to ${MOST_DEPTH}`);
  const guest = await context.open(images, options);
  const place = await guest.place(path);
  const { out } = context;
  const { device } = place.volume;
  let directories = 0;
  let others = 0;
  const entered = new Entered(place.path);

  const document = out.options.json ? out.beginDocument("guestprobe/tree/1") : undefined;
  /** The object of a file, whose `children` follow. */
  const beginNode = (name: Uint8Array, type: string | null, target: Uint8Array | undefined, key?: string): void => {
    document?.beginObject(key);
    document?.members({
      ...textPair("name", name),
      type,
      ...(target === undefined ? { target: null } : textPair("target", target)),
    });
  };
  /** Whether the files of a directory are listed; told where not, and why. */
  const isEntered = (directory: Inode, at: Uint8Array, depth: number): boolean => {
    if (depth <= maxDepth) return entered.enter(context, device, at, directory);
    if (options.maxDepth === undefined) {
      const error = new ImageError("limit", `directories below depth ${maxDepth} are not entered (-L)`);
      out.log.report(findingFromError(error, { device, path: at }));
    }
    return false;
  };
  const visit = async (directory: Inode | undefined, at: Uint8Array, prefix: string, depth: number): Promise<void> => {
    if (directory === undefined || !isEntered(directory, at, depth)) {
      document?.value(null, "children");
      return;
    }
    document?.beginList("children");
    const open = document?.depth ?? 0;
    const files = await listDirectory(context, device, at, directory, options.all === true);
    let left = files.length;
    for (const file of files) {
      left -= 1;
      const last = left === 0;
      const isDirectory = file.inode?.stat.type === "dir";
      if (isDirectory) directories += 1;
      else others += 1;
      const below = childPath(at, file.name);
      const { target } = await readTargetOrTell(context, device, below, file.inode);
      if (document === undefined) out.line(`${prefix}${last ? "└── " : "├── "}${label(file, target)}`);
      else beginNode(file.name, file.stat?.type ?? null, target);
      if (out.isFull) await out.pace();
      await visit(isDirectory ? file.inode : undefined, below, `${prefix}${last ? "    " : "│   "}`, depth + 1);
      document?.endTo(open);
    }
    document?.endTo(open - 1);
  };

  const { type } = place.inode.stat;
  if (document === undefined) out.line(escapeGuestText(place.path));
  else {
    document.value(device, "device");
    beginNode(place.path, type, undefined, "tree");
  }
  await visit(type === "dir" ? place.inode : undefined, place.path, "", 1);
  if (document === undefined) {
    out.line();
    out.line(
      `${directories} ${directories === 1 ? "directory" : "directories"}, ${others} ${others === 1 ? "file" : "files"}`,
    );
  }
  out.endDocument();
  return EXIT.yes;
};

function label(file: ListedFile, target: Uint8Array | undefined): string {
  const name = escapeGuestText(file.name);
  if (file.error !== undefined) return `${name}  [${file.error.code}]`;
  return target === undefined ? name : `${name} -> ${escapeGuestText(target)}`;
}
