import { encodeText, ImageError } from "@guestprobe/block";
import type { FileSystem, Inode, Stat } from "@guestprobe/vfs";

/** A tree in memory: text is a file, `{ link }` a symbolic link, `{ fail }` an inode that cannot be read. */
export type Tree = { readonly [name: string]: string | { readonly link: string } | { readonly fail: true } | Tree };

/** A file system of an invented kind, for tests of order and bookkeeping alone: no driver's rules apply to it. */
export function fakeVolume(tree: Tree, options: { kind?: string; label?: string; uuid?: string } = {}): FileSystem {
  let inodes = 0;
  const inodeOf = (node: Tree[string]): Inode => {
    inodes += 1;
    const isLink = typeof node === "object" && typeof (node as { link?: unknown }).link === "string";
    const type = typeof node === "string" ? "file" : isLink ? "symlink" : "dir";
    const stat: Stat = {
      type,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 0,
      nlink: 1,
      ino: inodes,
      rdev: undefined,
      atimeNs: 0n,
      mtimeNs: 0n,
      ctimeNs: 0n,
      crtimeNs: undefined,
    };
    const children = new Map<string, Inode>();
    return {
      stat,
      offset: undefined,
      flags: [],
      async *entries() {},
      async lookup(name) {
        const text = new TextDecoder().decode(name);
        const child = (node as Tree)[text];
        if (child === undefined) return undefined;
        if (typeof child === "object" && (child as { fail?: unknown }).fail === true) {
          throw new ImageError("corrupt", "a damaged inode", { offset: 4711 });
        }
        const known = children.get(text) ?? inodeOf(child);
        children.set(text, known);
        return known;
      },
      child: () => Promise.reject(new ImageError("not-found", "none")),
      readLink: async () => encodeText((node as { link: string }).link),
      read: async () => new Uint8Array(0),
      async *extents() {},
      xattrs: async () => [],
    };
  };
  const root = inodeOf(tree);
  return {
    kind: options.kind ?? "fake",
    label: encodeText(options.label ?? ""),
    uuid: options.uuid,
    blockSize: 512,
    size: 512,
    features: [],
    root: async () => root,
    inode: () => Promise.reject(new ImageError("not-found", "none")),
  };
}
