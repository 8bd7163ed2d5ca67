import { createHash, hash as hashOnce } from "node:crypto";
import { findingFromError, ImageError } from "@guestprobe/block";
import { type EntryParts, type Inode, type Stat, toEntry, type WalkEntry, walkBatches } from "@guestprobe/vfs";
import { imagesThenOptionalPath } from "../arguments.js";
import { checkSize, contentOf } from "../content.js";
import type { Context } from "../context.js";
import { EXIT, type ExitCode, exitCodeOf } from "../exit.js";
import type { Volume } from "../guest.js";
import { jsonText } from "../output/json-text.js";
import { imageErrorOnly } from "../output/output.js";
import { Progress } from "../output/progress.js";
import type { Run } from "../verbs.js";
import { readTarget } from "./listing.js";

const SCHEMA = "guestprobe/manifest/1";

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
  const before = Buffer.from(`"schema":"${SCHEMA}","device":${jsonText(device)},`);
  let code: ExitCode = EXIT.yes;
  let sha256: string | null | undefined;
  /** Prints entries as far as nothing is to be waited for; answers the one that it came to, of which `sha256` may be known. */
  const printNow = (batch: readonly WalkEntry[], from: number): number => {
    let at = from;
    for (; at < batch.length && !out.isFull; at += 1) {
      context.watch.countEntry();
      progress.step();
      const entry = batch[at]!;
      sha256 = hashNow(context, volume, entry, hash);
      if (sha256 === undefined || !out.entryLine(before, entry, entry.inode!.stat, sha256)) break;
    }
    return at;
  };
  const print = async ({ path: at, inode, error, isGivenAgain }: WalkEntry): Promise<void> => {
    if (error !== undefined) {
      out.log.report(findingFromError(error, { device, path: at }));
      // The damage of a directory that breaks off is a finding, not a second line.
      if (isGivenAgain) return;
    }
    const parts =
      error === undefined && inode !== undefined && sha256 === undefined
        ? await readParts(context, volume, at, inode)
        : { path: at, inode, sha256: sha256 ?? undefined, error };
    if (parts.error !== undefined && error === undefined) {
      out.log.report(findingFromError(parts.error, { device, path: at }));
    }
    if (exitCodeOf(parts.error) === EXIT.cannotTell) code = EXIT.cannotTell;
    out.line(jsonText({ schema: SCHEMA, device, ...toEntry(parts) }));
  };
  try {
    for await (const batch of walkBatches(start, path, context.watch.walk)) {
      for (let at = 0; at < batch.length; ) {
        at = printNow(batch, at);
        if (at < batch.length && !out.isFull) {
          await print(batch[at]!);
          at += 1;
        }
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

/** Most bytes of a file that is read by one call: most files are, and pieces cost more than their content. */
const ONE_READ = 256 << 10;
let spare: Uint8Array | undefined;

/** Memory for a file that is read and hashed by one call, good until the next; undefined where it goes piece by piece. */
function memoryFor({ type, size }: Stat): Uint8Array | undefined {
  if (type !== "file" || size === 0 || size > ONE_READ) return undefined;
  spare ??= new Uint8Array(ONE_READ);
  return new Uint8Array(spare.buffer, 0, size);
}

/**
 * The hash of a small file whose content nothing has to be waited for, null for a file that has none; undefined for others, and
 * where anything is wrong.
 */
function hashNow(
  context: Context,
  volume: Volume,
  { inode, error }: WalkEntry,
  hash: boolean,
): string | null | undefined {
  if (inode === undefined || error !== undefined) return undefined;
  if (!isRead(inode, hash)) return null;
  const into = memoryFor(inode.stat);
  if (into === undefined) return undefined;
  try {
    checkSize(context, volume, inode);
    const content = inode.readNow?.(0, into.length, into);
    return content && hashOnce("sha256", content, "hex");
  } catch (cause) {
    imageErrorOnly(cause);
    return undefined;
  }
}

async function hashOf(context: Context, volume: Volume, inode: Inode): Promise<string> {
  const into = memoryFor(inode.stat);
  if (into !== undefined) {
    checkSize(context, volume, inode);
    const content = await inode.read(0, into.length, context.watch.signal, into);
    checkLength(inode, content.length);
    return hashOnce("sha256", content, "hex");
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of contentOf(context, volume, inode)) {
    hash.update(piece);
    bytes += piece.length;
  }
  checkLength(inode, bytes);
  return hash.digest("hex");
}

function checkLength({ stat, offset }: Inode, bytes: number): void {
  if (bytes === stat.size) return;
  throw new ImageError("corrupt", `the file breaks off after ${bytes} of ${stat.size} bytes`, { offset });
}
