import { encodeText } from "./text.js";
import type { DeviceFacts, World, WorldEntry } from "./world.js";

interface Node {
  readonly content: Uint8Array | undefined;
  readonly children: Map<string, Node>;
}

/** Steps of a path, `.` and `..` resolved; `..` stays at the root. */
function steps(path: string): string[] {
  const walked: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") walked.pop();
    else if (name !== "" && name !== ".") walked.push(name);
  }
  return walked;
}

/**
 * A world made of files held in memory, for tests and for engines that have their files already. Keys are
 * "(device)/path"; a key without a device is on `defaultDevice`, one that ends in "/" is a directory. Devices are visited in the order of `facts`, then in
 * that of their first file; a disk comes to be with its partitions.
 */
export function memoryWorld(
  files: Iterable<readonly [string, string | Uint8Array]>,
  facts: Readonly<Record<string, DeviceFacts>> = {},
  defaultDevice = "hd0",
): World {
  const volumes = new Map<string, Node>();
  const empty = (): Node => ({ content: undefined, children: new Map() });
  for (const device of Object.keys(facts)) volumes.set(device, empty());
  for (const [key, content] of files) {
    const [, device = defaultDevice, path = key] = /^\(([^)]*)\)(.*)$/s.exec(key) ?? [];
    let node = volumes.get(device) ?? empty();
    volumes.set(device, node);
    const names = steps(path);
    for (const [index, name] of names.entries()) {
      const last = index === names.length - 1 && !path.endsWith("/");
      const child: Node = node.children.get(name) ?? {
        content: last ? (typeof content === "string" ? encodeText(content) : content) : undefined,
        children: new Map(),
      };
      node.children.set(name, child);
      node = child;
    }
  }
  const find = (device: string, path: string): Node | undefined => {
    let node = volumes.get(device);
    for (const name of steps(path)) node = node?.children.get(name);
    return node;
  };
  return {
    async devices() {
      return [...volumes.keys()];
    },
    async probe(device) {
      const known = volumes.has(device) || [...volumes.keys()].some((name) => name.startsWith(`${device},`));
      if (!known) return undefined;
      return { ...(volumes.get(device)?.children.size ? { fs: "ext2" } : {}), ...facts[device] };
    },
    async exists(device, path) {
      const content = find(device, path)?.content;
      return content === undefined ? undefined : { size: content.length };
    },
    async read(device, path) {
      return find(device, path)?.content;
    },
    async readDir(device, path) {
      const node = find(device, path);
      if (node === undefined || node.content !== undefined) return undefined;
      return [...node.children].map(
        ([name, child]): WorldEntry => ({ name, type: child.content === undefined ? "directory" : "file" }),
      );
    },
  };
}
