import { type BlockDevice, bufferDevice, encodeText, equalBytes, ImageError, throwIfAborted } from "@guestprobe/block";
import {
  clampRead,
  type Dirent,
  type FileSystem,
  type FileType,
  type Inode,
  readThroughExtents,
} from "@guestprobe/vfs";

/** A file of the tree, by what it holds: bytes of a file, target of a link, names of a directory; else its type. */
export type Node =
  | { readonly file: string | Uint8Array }
  | { readonly link: string | Uint8Array }
  | { dir: [name: string | Uint8Array, node: Node][] }
  | { readonly special: "char" | "block" | "fifo" | "socket" };

export const file = (content: string | Uint8Array = ""): Node => ({ file: content });
export const link = (target: string | Uint8Array): Node => ({ link: target });
export const dir = (names: { readonly [name: string]: Node } = {}): { dir: [string | Uint8Array, Node][] } => ({
  dir: Object.entries(names),
});

export interface MemoryFs extends FileSystem {
  /** Where the contents of the files lie one after another, each at a multiple of 512. */
  readonly device: BlockDevice;
  /** How many calls of `lookup`, `child` and `read` there were. */
  readonly calls: { lookup: number; child: number; read: number };
}

export interface MemoryFsOptions {
  /** Names in one batch of `entries`. Default 2. */
  readonly batch?: number;
  /** What some inodes do otherwise: a reader that is wrong, or a disk that is. */
  readonly change?: (inode: Inode, node: Node) => Partial<Inode> | undefined;
}

const bytes = (text: string | Uint8Array): Uint8Array => (typeof text === "string" ? encodeText(text) : text);

function typeOf(node: Node): FileType {
  if ("file" in node) return "file";
  if ("link" in node) return "symlink";
  return "dir" in node ? "dir" : node.special;
}

function contentOf(node: Node): Uint8Array {
  return "file" in node ? bytes(node.file) : "link" in node ? bytes(node.link) : new Uint8Array(0);
}

/** A file system over a tree of literals. The same node under two names is one inode with two names. */
export function memoryFs(root: Node, options: MemoryFsOptions = {}): MemoryFs {
  const nodes: Node[] = [];
  const places = new Map<Node, number>();
  let end = 512;
  const number = (node: Node): void => {
    if (places.has(node)) return;
    nodes.push(node);
    places.set(node, end);
    end += Math.ceil(contentOf(node).length / 512) * 512;
    if ("dir" in node) for (const [, below] of node.dir) number(below);
  };
  number(root);
  const data = new Uint8Array(end);
  for (const [node, place] of places) data.set(contentOf(node), place);
  const device = bufferDevice(data);
  const calls = { lookup: 0, child: 0, read: 0 };
  const refuse = (code: "not-a-directory" | "not-a-symlink" | "is-a-directory" | "invalid-argument"): never => {
    throw new ImageError(code, "wrong type");
  };
  const names = (node: Node) => ("dir" in node ? node.dir : refuse("not-a-directory"));

  const inodeOf = (node: Node): Inode => {
    const type = typeOf(node);
    const size = contentOf(node).length;
    const extent = { kind: "data", logical: 0, length: size, physical: places.get(node) } as const;
    const inode: Inode = {
      stat: {
        ...{ type, mode: 0o644, uid: 0, gid: 0, size, nlink: 1, ino: nodes.indexOf(node) + 1, rdev: undefined },
        ...{ atimeNs: 1n, mtimeNs: 2n, ctimeNs: 3n, crtimeNs: undefined },
      },
      offset: undefined,
      flags: [],
      async *entries(signal) {
        const all = names(node).map(([name, below]) => dirent(bytes(name), below));
        for (let at = 0; at < all.length; at += options.batch ?? 2) {
          throwIfAborted(signal);
          yield all.slice(at, at + (options.batch ?? 2));
        }
        throwIfAborted(signal);
      },
      async lookup(name, signal) {
        throwIfAborted(signal);
        calls.lookup += 1;
        const found = names(node).find(([candidate]) => equalBytes(bytes(candidate), name));
        return found && inodeOf(found[1]);
      },
      async child(entry, signal) {
        throwIfAborted(signal);
        calls.child += 1;
        return inodeOf(entry.ref as Node);
      },
      async readLink(signal) {
        throwIfAborted(signal);
        return "link" in node ? bytes(node.link) : refuse("not-a-symlink");
      },
      async read(offset, length, signal) {
        calls.read += 1;
        if (type === "dir") refuse("is-a-directory");
        if (type !== "file") refuse("invalid-argument");
        return readThroughExtents(device, [extent], offset, clampRead(size, offset, length), signal);
      },
      async *extents(signal) {
        throwIfAborted(signal);
        if (size > 0) yield [extent];
      },
      xattrs: async () => [],
    };
    return { ...inode, ...options.change?.(inode, node) };
  };

  const dirent = (name: Uint8Array, node: Node): Dirent => ({
    name,
    ino: nodes.indexOf(node) + 1,
    type: typeOf(node),
    ref: node,
  });

  return {
    ...{ kind: "memory", label: encodeText("guest"), uuid: undefined, blockSize: 512, size: end, features: [] },
    device,
    calls,
    async root(signal) {
      throwIfAborted(signal);
      return inodeOf(root);
    },
    async inode(ino) {
      const node = nodes[ino - 1];
      if (node === undefined) throw new ImageError("not-found", `no inode ${ino}`);
      return inodeOf(node);
    },
  };
}

/** Text of a path or a name. */
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);
