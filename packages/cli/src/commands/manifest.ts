import * as crypto from "node:crypto";
import { findingFromError, ImageError } from "@guestprobe/block";
import { type EntryParts, type Inode, toEntry, walkBatches } from "@guestprobe/vfs";
import { imagesThenOptionalPath } from "../arguments.js";
import { contentOf } from "../content.js";
import type { Context } from "../context.js";
import { EXIT, type ExitCode, exitCodeOf } from "../exit.js";
import type { Volume } from "../guest.js";
import { imageErrorOnly } from "../output/output.js";
import { Progress } from "../output/progress.js";
import type { Run } from "../verbs.js";
import { readTarget } from "./listing.js";

const { createHash } = crypto;
/** Node has it from 20.12 on. */
const hashOnce: typeof crypto.hash | undefined = crypto.hash;

export const manifest: Run = async (context, words, options) => {
  const { images, path } = await imagesThenOptionalPath(words, (before, word) =>
    context.guestHas(before, word, options),
  );
  const guest = await context.open(images, options);
  const hash = options.hash !== false;
  if (path !== undefined) {
    const place = await guest.place(path, { followLast: false });
    return listBelow(context, place.volume, place.inode, place.path, hash);
  }
  let volumes = 0;
  let code: ExitCode = EXIT.yes;
  for (const volume of guest.volumes) {
    const fs = await guest.fileSystem(volume);
    if (fs === undefined || (await guest.isFurtherMember(volume))) continue;
    volumes += 1;
    try {
      const ended = await listBelow(context, volume, await fs.root(), Uint8Array.of(0x2f), hash);
      if (ended !== EXIT.yes) code = ended;
    } catch (cause) {
      const error = imageErrorOnly(cause);
      if (context.watch.ended(error)) throw error;
      context.out.log.report(findingFromError(error, { device: volume.device }));
    }
  }
  return volumes > 0 ? code : EXIT.cannotTell;
};

/** Answers "cannot tell" when a file is encrypted or of a kind that is not supported; damage is a finding. */
async function listBelow(
  context: Context,
  volume: Volume,
  start: Inode,
  path: Uint8Array,
  hash: boolean,
): Promise<ExitCode> {
  const { out } = context;
  const { device } = volume;
  const progress = new Progress(out);
  let code: ExitCode = EXIT.yes;
  try {
    for await (const batch of walkBatches(start, path, context.watch.walk)) {
      for (const { path: at, inode, error } of batch) {
        context.watch.countEntry();
        if (error !== undefined) {
          out.log.report(findingFromError(error, { device, path: at }));
          // A directory that breaks off was listed before its entries; its damage is a finding, not a second line.
          if (inode?.stat.type === "dir") continue;
        }
        const parts =
          error === undefined && inode !== undefined && isRead(inode, hash)
            ? await readParts(context, volume, at, inode)
            : { path: at, inode, error };
        if (parts.error !== undefined && error === undefined) {
          out.log.report(findingFromError(parts.error, { device, path: at }));
        }
        if (exitCodeOf(parts.error) === EXIT.cannotTell) code = EXIT.cannotTell;
        out.line(JSON.stringify({ schema: "guestprobe/manifest/1", device, ...toEntry(parts) }));
        progress.step();
        if (out.isFull) await out.pace();
      }
    }
  } finally {
    progress.end();
  }
  return code;
}

/** Whether more is shown of a file than its inode has. */
function isRead({ stat }: Inode, hash: boolean): boolean {
  return stat.type === "symlink" || (stat.type === "file" && hash);
}

async function readParts(context: Context, volume: Volume, path: Uint8Array, inode: Inode): Promise<EntryParts> {
  if (inode.stat.type === "symlink") return { path, inode, ...(await readTarget(inode)) };
  try {
    return { path, inode, sha256: await hashOf(context, volume, inode) };
  } catch (cause) {
    const error = imageErrorOnly(cause);
    if (context.watch.ended(error)) throw error;
    return { path, inode, error };
  }
}

async function hashOf(context: Context, volume: Volume, inode: Inode): Promise<string> {
  const { size } = inode.stat;
  let hash: crypto.Hash | undefined;
  let bytes = 0;
  for await (const piece of contentOf(context, volume, inode)) {
    // Most files are one piece, and a hash object for each costs more than hashing it does.
    if (piece.length === size && hashOnce !== undefined) return hashOnce("sha256", piece, "hex");
    hash ??= createHash("sha256");
    hash.update(piece);
    bytes += piece.length;
  }
  if (bytes !== inode.stat.size) {
    throw new ImageError("corrupt", `the file breaks off after ${bytes} of ${inode.stat.size} bytes`, {
      offset: inode.offset,
    });
  }
  return (hash ?? createHash("sha256")).digest("hex");
}
