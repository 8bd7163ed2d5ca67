import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, rename, stat, symlink, unlink, utimes } from "node:fs/promises";
import { decodeText, findingFromError, ImageError } from "@guestprobe/block";
import { type Inode, walk } from "@guestprobe/vfs";
import { imagesPathsDestination } from "../arguments.js";
import { checkSize, contentOf } from "../content.js";
import type { Context } from "../context.js";
import { EXIT, type ExitCode, exitCodeOf, UsageError } from "../exit.js";
import type { Place, Volume } from "../guest.js";
import { findingJson, imageErrorOnly } from "../output/output.js";
import { Progress } from "../output/progress.js";
import { PortableNames } from "../portable-names.js";
import type { Run } from "../verbs.js";

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
/** Bytes of the smallest run of zeros that is left out: a block of most hosts. */
const HOLE = 4096;
const ZEROS = Buffer.alloc(HOLE);

interface CopyOptions {
  readonly links: boolean;
  readonly force: boolean;
}

interface Copied {
  files: number;
  bytes: number;
  /** Links, device nodes, pipes and sockets that were left out. */
  left: number;
}

interface Copying {
  readonly context: Context;
  readonly copied: Copied;
  readonly progress: Progress;
}

/** One PATH of the command line, and where it goes. */
interface Source {
  readonly place: Place;
  readonly target: Buffer;
}

export const cp: Run = async (context, words, options) => {
  const { images, paths, destination } = await imagesPathsDestination(words, (before, word) =>
    context.guestHas(before, word, options),
  );
  const { out } = context;
  const guest = await context.open(images, options);
  const sources: Source[] = [];
  for (const path of paths) {
    const place = await guest.place(path);
    const target = targetOf(path, place, destination);
    if (sources.some((other) => other.target.equals(target))) {
      throw new UsageError(`${show(target)} would be written twice`, ["give each its own DEST, in two commands"]);
    }
    sources.push({ place, target });
  }
  await makeDirectory(destination);
  const copied: Copied = { files: 0, bytes: 0, left: 0 };
  const copying = { context, copied, progress: new Progress(out) };
  const how = { links: options.links === true, force: options.force === true };
  let code: ExitCode = EXIT.yes;
  try {
    for (const source of sources) {
      const ended = await copyBelow(copying, source, how);
      if (ended > code) code = ended;
    }
  } finally {
    copying.progress.end();
  }
  if (out.options.json) {
    out.json({ schema: "guestprobe/cp/1", ...copied, findings: out.log.findings.map(findingJson) });
  } else {
    out.remark(`${copied.files} ${copied.files === 1 ? "file" : "files"}, ${copied.bytes} bytes copied`);
    if (copied.left > 0) {
      const hint = options.links === true ? "" : "; --links creates the symbolic links";
      out.remark(`${copied.left} links, device nodes, pipes or sockets left out${hint}`);
    }
  }
  return code;
};

/** As `cp` does: a link is followed, and its own name is kept. The root directory's content goes into DEST itself. */
function targetOf(path: string, { path: real }: Place, destination: string): Buffer {
  const last = (text: Uint8Array): Uint8Array => text.subarray(text.lastIndexOf(SLASH) + 1);
  const typed = Buffer.from(path.replace(/\/+$/, ""));
  const name = last(typed);
  const isName = typed.includes(SLASH) && !["", ".", ".."].includes(Buffer.from(name).toString("latin1"));
  const kept = isName && !name.includes(BACKSLASH) ? name : last(real);
  return kept.length === 0 ? Buffer.from(destination) : hostPath(Buffer.from(destination), kept);
}

/** Answers the worst that happened; a file that cannot be copied becomes a finding, and the others are copied. */
async function copyBelow(
  { context, copied, progress }: Copying,
  { place: { volume, inode: start, path }, target }: Source,
  options: CopyOptions,
): Promise<ExitCode> {
  const { device } = volume;
  let code: ExitCode = EXIT.yes;
  const tell = (error: ImageError, at: Uint8Array): void => {
    context.out.log.report(findingFromError(error, { device, path: at }));
    const worth = exitCodeOf(error);
    if (worth > code) code = worth;
  };
  const names = new PortableNames(context.out.log.report, device);
  // Below a directory that could not be made nothing is written: what stands in its place may be a link to anywhere.
  let refused: Uint8Array | undefined;
  const walker = walk(start, path, {
    ...context.watch.walk,
    enter: (entry) => entry.path !== refused,
  });
  for await (const { path: at, inode, error } of walker) {
    context.watch.countEntry();
    progress.step();
    if (inode === undefined || error !== undefined) {
      if (error !== undefined) tell(error, at);
      continue;
    }
    const below = Buffer.concat([target, at.subarray(path.length === 1 ? 0 : path.length)]);
    if (!isSafe(at)) {
      throw new ImageError("corrupt", `the name ${decodeText(at)} would leave the directory it is copied to`);
    }
    if (inode !== start) names.take(at);
    try {
      if (inode === start && inode.stat.type === "dir" && !options.force) await refuseFilled(below);
      await copyOne(context, volume, inode, below, copied, options);
    } catch (cause) {
      const failure = imageErrorOnly(cause);
      if (context.watch.ended(failure) || isHostFull(failure)) throw failure;
      tell(failure, at);
      if (inode === start) return code;
      refused = at;
    }
  }
  return code;
}

/** What no further file could be written after. */
const isHostFull = ({ cause }: ImageError): boolean =>
  ["ENOSPC", "EDQUOT", "EROFS"].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? "");

async function copyOne(
  context: Context,
  volume: Volume,
  inode: Inode,
  to: Buffer,
  copied: Copied,
  options: CopyOptions,
): Promise<void> {
  switch (inode.stat.type) {
    case "dir":
      return makeDirectory(to);
    case "file":
      await copyFile(context, volume, inode, to, options.force);
      copied.files += 1;
      copied.bytes += inode.stat.size;
      return;
    case "symlink":
      if (options.links) {
        await onHost(to, async () => symlink(Buffer.from(await inode.readLink()), to));
        return;
      }
      break;
    default:
      break;
  }
  copied.left += 1;
}

/** The names of a tree are the guest's choice, so they come into a directory of their own: `.bashrc` never lands in a home. */
async function refuseFilled(directory: Buffer): Promise<void> {
  await onHost(directory, async () => {
    const found = await lstat(directory).catch(() => undefined);
    if (found?.isDirectory() !== true || (await readdir(directory)).length === 0) return;
    throw new ImageError("io", `${show(directory)} exists and is not empty; --force copies into it`);
  });
}

/** No component of a guest's path may be "..": the readers give none, and this does not rely on it. */
const isSafe = (path: Uint8Array): boolean =>
  !Buffer.from(path)
    .toString("latin1")
    .split("/")
    .some((part) => part === ".." || part.includes("\0"));

const hostPath = (directory: Buffer, name: Uint8Array): Buffer => Buffer.concat([directory, Buffer.from("/"), name]);

/** A directory that exists is used as it is; anything else of that name, a link among them, is refused. */
async function makeDirectory(path: Buffer | string): Promise<void> {
  await onHost(path, async () => {
    try {
      await mkdir(path, { mode: 0o755 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      // DEST itself may be a link that its owner made; below it none is followed.
      const found = typeof path === "string" ? await stat(path) : await lstat(path);
      if (!found.isDirectory()) throw new ImageError("io", `${show(path)} exists and is no directory`);
    }
  });
}

/**
 * Copies through a temporary name, so that a copy that fails leaves nothing under the final one. Permission bits are
 * kept but for setuid, setgid and sticky; owners are not.
 */
async function copyFile(context: Context, volume: Volume, inode: Inode, to: Buffer, force: boolean): Promise<void> {
  checkSize(context, volume, inode);
  const exists = await lstat(to).then(
    () => true,
    () => false,
  );
  if (exists && !force) throw new ImageError("io", `${show(to)} exists; --force replaces it`);
  // A name of its own: with anything behind it, one of 255 bytes would be too long.
  const folder = to.subarray(0, to.lastIndexOf(SLASH));
  const temporary = hostPath(folder, Buffer.from(`.guestprobe-${randomUUID()}.part`));
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const mode = (inode.stat.mode & 0o777) | 0o600;
  let isMade = false;
  const create = async (): Promise<FileHandle> => {
    const made = await onHost(to, () => open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode));
    isMade = true;
    return made;
  };
  let file: FileHandle | undefined;
  try {
    let start = 0;
    for await (const piece of contentOf(context, volume, inode)) {
      // Not before something was read: of a lost table there are thousands of files that cannot be.
      file ??= await create();
      await onHost(to, () => writeSparsely(file as FileHandle, piece, start));
      start += piece.length;
    }
    file ??= await create();
    // What ends in a hole still has its length.
    await onHost(to, () => (file as FileHandle).truncate(start));
    await onHost(to, () => (file as FileHandle).close());
    file = undefined;
    const seconds = (ns: bigint): number => Number(ns / 1000n) / 1e6;
    await onHost(to, async () => {
      await utimes(temporary, seconds(inode.stat.atimeNs), seconds(inode.stat.mtimeNs));
      await rename(temporary, to);
    });
  } catch (error) {
    await file?.close();
    if (isMade) await unlink(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Writes all but the blocks of zeros, which become holes: a file that is sparse in the guest, or pretends to be large,
 * takes no more room on the host than its data.
 */
async function writeSparsely(file: FileHandle, piece: Uint8Array, start: number): Promise<void> {
  const isHole = (at: number): boolean => {
    const end = Math.min(at + HOLE, piece.length);
    return ZEROS.compare(piece, at, end, 0, end - at) === 0;
  };
  for (let from = 0; from < piece.length; ) {
    if (isHole(from)) {
      from += HOLE;
      continue;
    }
    let to = from + HOLE;
    while (to < piece.length && !isHole(to)) to += HOLE;
    to = Math.min(to, piece.length);
    while (from < to) from += (await file.write(piece, from, to - from, start + from)).bytesWritten;
  }
}

/** Runs a step on the host's files; its failure is the host's, exit code 5. */
async function onHost<T>(path: Buffer | string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException;
    if (error.code === undefined || error.syscall === undefined) throw cause;
    throw new ImageError("io", `${show(path)}: ${error.message}`, { cause });
  }
}

/** For messages, which are escaped when they are shown. */
const show = (path: Buffer | string): string => (typeof path === "string" ? path : decodeText(path));
