/** What the real GRUB sees of an image, through grub-fstest: the drivers of GRUB 2.06 as a program. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";

const fstest = (image, ...args) =>
  execFileSync("grub-fstest", [image, ...args], { maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "ignore"] });

/** The names in a directory, those of directories with a slash behind. No name may hold a space. */
export function grubList(image, path) {
  return fstest(image, "ls", path).toString("utf8").split(/\s+/).filter(Boolean);
}

/** The content of a file; undefined where GRUB cannot open it. */
export function grubRead(image, path) {
  try {
    return fstest(image, "cat", path);
  } catch {
    return undefined;
  }
}

/**
 * Directories and files below the root, itself first, with what GRUB knows of them: path, type, size, content.
 *
 * @returns {{ path: string, type: "dir" | "file", size?: number | null, sha256?: string | null }[]}
 */
export function grubView(image) {
  const entries = [{ path: "/", type: "dir" }];
  const visit = (folder) => {
    for (const name of grubList(image, folder)) {
      const path = `${folder}${name}`;
      if (name.endsWith("/")) {
        entries.push({ path: path.slice(0, -1), type: "dir" });
        visit(path);
        continue;
      }
      const content = grubRead(image, path);
      const sha256 = content === undefined ? null : createHash("sha256").update(content).digest("hex");
      entries.push({ path, type: "file", size: content?.length ?? null, sha256 });
    }
  };
  visit("/");
  return entries;
}
