import { createHash } from "node:crypto";
import { findingFromError, ImageError } from "@guestprobe/block";
import { type EntryParts, filePieces, type Inode, toEntry, walk } from "@guestprobe/vfs";
import { imagesThenOptionalPath } from "../arguments.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import { imageErrorOnly } from "../output/output.js";
import { Progress } from "../output/progress.js";
import type { Run } from "../verbs.js";
import { readTarget } from "./listing.js";

export const manifest: Run = async (context, words, options) => {
  const { images, path } = imagesThenOptionalPath(words);
  const guest = await context.open(images, options);
  const hash = options.hash !== false;
  if (path !== undefined) {
    const place = await guest.place(path, { followLast: false });
    await listBelow(context, place.volume.device, place.inode, place.path, hash);
    return EXIT.yes;
  }
  let volumes = 0;
  for (const volume of guest.volumes) {
    const fs = await guest.fileSystem(volume);
    if (fs === undefined || (await guest.isFurtherMember(volume))) continue;
    volumes += 1;
    try {
      await listBelow(context, volume.device, await fs.root(), Uint8Array.of(0x2f), hash);
    } catch (cause) {
      const error = imageErrorOnly(cause);
      if (error.code === "limit") throw error;
      context.out.log.report(findingFromError(error, { device: volume.device }));
    }
  }
  return volumes > 0 ? EXIT.yes : EXIT.cannotTell;
};

async function listBelow(
  context: Context,
  device: string,
  start: Inode,
  path: Uint8Array,
  hash: boolean,
): Promise<void> {
  const { out, limits } = context;
  const progress = new Progress(out);
  try {
    for await (const { path: at, inode, error } of walk(start, path, { maxEntries: limits.entries })) {
      context.watch.check();
      if (error !== undefined) {
        out.log.report(findingFromError(error, { device, path: at }));
        // A directory that breaks off was listed before its entries; its damage is a finding, not a second line.
        if (inode?.stat.type === "dir") continue;
      }
      const parts =
        error === undefined && inode !== undefined
          ? await readParts(context, at, inode, hash)
          : { path: at, inode, error };
      if (parts.error !== undefined && error === undefined) {
        out.log.report(findingFromError(parts.error, { device, path: at }));
      }
      out.line(JSON.stringify({ schema: "guestprobe/manifest/1", device, ...toEntry(parts) }));
      progress.step();
      await out.pace();
    }
  } finally {
    progress.end();
  }
}

async function readParts(context: Context, path: Uint8Array, inode: Inode, hash: boolean): Promise<EntryParts> {
  const link = await readTarget(inode);
  if (inode.stat.type !== "file" || !hash) return { path, inode, ...link };
  try {
    return { path, inode, sha256: await hashOf(context, inode) };
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (error.code === "limit") throw error;
    return { path, inode, error };
  }
}

async function hashOf(context: Context, inode: Inode): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of filePieces(inode)) {
    context.watch.check();
    hash.update(piece);
    bytes += piece.length;
  }
  if (bytes !== inode.stat.size) {
    throw new ImageError("corrupt", `the file breaks off after ${bytes} of ${inode.stat.size} bytes`, {
      offset: inode.offset,
    });
  }
  return hash.digest("hex");
}
