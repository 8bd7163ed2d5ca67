import { findingFromError, ImageError } from "@guestprobe/block";
import { childPath, type Inode, textPair } from "@guestprobe/vfs";
import { imagesThenPath } from "../arguments.js";
import { EXIT, UsageError } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import type { Run } from "../verbs.js";
import { Entered, type ListedFile, listDirectory, readTargetOrTell } from "./listing.js";

interface TreeNode {
  readonly name: string;
  readonly nameHex?: string;
  readonly type: string | null;
  readonly target: string | null;
  readonly targetHex?: string;
  readonly children: TreeNode[] | null;
}

const DEFAULT_DEPTH = 256;
/** The document of --json nests as deep as the tree, and its writer is recursive. */
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
  const entered = new Entered();

  const visit = async (directory: Inode, at: Uint8Array, prefix: string, depth: number): Promise<TreeNode[] | null> => {
    if (depth > maxDepth) {
      if (options.maxDepth === undefined) {
        const error = new ImageError("limit", `directories below depth ${maxDepth} are not entered (-L)`);
        out.log.report(findingFromError(error, { device, path: at }));
      }
      return null;
    }
    if (!entered.enter(context, device, at, directory)) return null;
    const all = await listDirectory(context, device, at, directory);
    const files = options.all === true ? all : all.filter((file) => file.name[0] !== 0x2e);
    const nodes: TreeNode[] = [];
    for (const [index, file] of files.entries()) {
      const last = index === files.length - 1;
      const isDirectory = file.inode?.stat.type === "dir";
      if (isDirectory) directories += 1;
      else others += 1;
      const { target } = await readTargetOrTell(context, device, childPath(at, file.name), file.inode);
      if (!out.options.json) {
        out.line(`${prefix}${last ? "└── " : "├── "}${label(file, target)}`);
        await out.pace();
      }
      const children =
        file.inode !== undefined && isDirectory
          ? await visit(file.inode, childPath(at, file.name), `${prefix}${last ? "    " : "│   "}`, depth + 1)
          : null;
      if (!out.options.json) continue;
      nodes.push({
        ...textPair("name", file.name),
        type: file.stat?.type ?? null,
        ...(target === undefined ? { target: null } : textPair("target", target)),
        children,
      });
    }
    return nodes;
  };

  if (!out.options.json) out.line(escapeGuestText(place.path));
  const children = place.inode.stat.type === "dir" ? await visit(place.inode, place.path, "", 1) : null;
  if (out.options.json) {
    const root = { ...textPair("name", place.path), type: place.inode.stat.type, target: null, children };
    out.json({ schema: "guestprobe/tree/1", device, tree: root, findings: out.log.findings.map(findingJson) });
  } else {
    out.line();
    out.line(
      `${directories} ${directories === 1 ? "directory" : "directories"}, ${others} ${others === 1 ? "file" : "files"}`,
    );
  }
  return EXIT.yes;
};

function label(file: ListedFile, target: Uint8Array | undefined): string {
  const name = escapeGuestText(file.name);
  if (file.error !== undefined) return `${name}  [${file.error.code}]`;
  return target === undefined ? name : `${name} -> ${escapeGuestText(target)}`;
}
