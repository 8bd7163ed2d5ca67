import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, rename, stat, symlink, unlink, utimes } from "node:fs/promises";
import { findingFromError, ImageError } from "@guestprobe/block";
import { filePieces, type Inode, walk } from "@guestprobe/vfs";
import { imagesPathsDestination } from "../arguments.js";
import type { Context } from "../context.js";
import { EXIT, type ExitCode } from "../exit.js";
import { escapeGuestText } from "../output/escape.js";
import { findingJson, imageErrorOnly } from "../output/output.js";
import { Progress } from "../output/progress.js";
import type { Run } from "../verbs.js";

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

export const cp: Run = async (context, words, options) => {
  const { images, paths, destination } = imagesPathsDestination(words);
  const { out } = context;
  const guest = await context.open(images, options);
  const places = [];
  for (const path of paths) places.push(await guest.place(path));
  await makeDirectory(destination);
  const copied: Copied = { files: 0, bytes: 0, left: 0 };
  const progress = new Progress(out);
  let code: ExitCode = EXIT.yes;
  try {
    for (const place of places) {
      const name = place.path.subarray(place.path.lastIndexOf(0x2f) + 1);
      // Copying the root directory copies what is in it.
      const target = name.length === 0 ? Buffer.from(destination) : hostPath(Buffer.from(destination), name);
      const ended = await copyBelow(context, place.volume.device, place.inode, place.path, target, progress, copied, {
        links: options.links === true,
        force: options.force === true,
      });
      if (ended !== EXIT.yes) code = ended;
    }
  } finally {
    progress.end();
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

async function copyBelow(
  context: Context,
  device: string,
  start: Inode,
  path: Uint8Array,
  target: Buffer,
  progress: Progress,
  copied: Copied,
  options: CopyOptions,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.yes;
  for await (const { path: at, inode, error } of walk(start, path, { maxEntries: context.limits.entries })) {
    context.watch.check();
    progress.step();
    if (inode === undefined || error !== undefined) {
      if (error !== undefined) context.out.log.report(findingFromError(error, { device, path: at }));
      continue;
    }
    const below = Buffer.concat([target, at.subarray(path.length === 1 ? 0 : path.length)]);
    if (!isSafe(at)) {
      throw new ImageError("corrupt", `the name ${escapeGuestText(at)} would leave the directory it is copied to`);
    }
    try {
      await copyOne(context, inode, below, copied, options);
    } catch (cause) {
      const failure = imageErrorOnly(cause);
      if (failure.code === "limit" || failure.code === "io") throw failure;
      context.out.log.report(findingFromError(failure, { device, path: at }));
      code = EXIT.damaged;
    }
  }
  return code;
}

async function copyOne(
  context: Context,
  inode: Inode,
  to: Buffer,
  copied: Copied,
  options: CopyOptions,
): Promise<void> {
  switch (inode.stat.type) {
    case "dir":
      return makeDirectory(to);
    case "file":
      await copyFile(context, inode, to, options.force);
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
async function copyFile(context: Context, inode: Inode, to: Buffer, force: boolean): Promise<void> {
  const exists = await lstat(to).then(
    () => true,
    () => false,
  );
  if (exists && !force) throw new ImageError("io", `${show(to)} exists; --force replaces it`);
  const temporary = Buffer.concat([to, Buffer.from(`.${process.pid}.part`)]);
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  let file: FileHandle | undefined;
  try {
    file = await onHost(to, () =>
      open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, (inode.stat.mode & 0o777) | 0o600),
    );
    for await (const piece of filePieces(inode)) {
      context.watch.check();
      for (let at = 0; at < piece.length; ) {
        const { bytesWritten } = await onHost(to, () => (file as FileHandle).write(piece, at));
        at += bytesWritten;
      }
    }
    await onHost(to, () => (file as FileHandle).close());
    file = undefined;
    const seconds = (ns: bigint): number => Number(ns / 1000n) / 1e6;
    await onHost(to, async () => {
      await utimes(temporary, seconds(inode.stat.atimeNs), seconds(inode.stat.mtimeNs));
      await rename(temporary, to);
    });
  } catch (error) {
    await file?.close();
    await unlink(temporary).catch(() => {});
    throw error;
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

const show = (path: Buffer | string): string => escapeGuestText(typeof path === "string" ? path : new Uint8Array(path));
