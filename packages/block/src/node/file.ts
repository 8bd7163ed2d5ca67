import {
  close,
  closeSync,
  constants,
  fstatSync,
  openSync,
  read as readCallback,
  readSync,
  readv,
  readvSync,
  type Stats,
  statSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { throwIfAborted } from "../abort.js";
import { allocate, type BlockDevice, checkRange } from "../device.js";
import { ImageError, isImageError } from "../errors.js";
import { alignDown } from "../u64.js";
import { FasterWay } from "./faster-way.js";

export interface FileDeviceOptions {
  /**
   * Read by blocking system calls: about 1 us a warm page instead of 26 us through the thread pool. Right for a
   * command that does nothing else; a server would stall its other requests. Of a large read the pool does a part all
   * the same, while this thread does the rest.
   */
  readonly blocking?: boolean;
}

/** An open file as a device. Close it with `close()` or `await using`. */
export interface FileDevice extends BlockDevice, AsyncDisposable {
  readonly path: string;
  /** Waits for the reads under way; those that come later reject with `io`. */
  close(): Promise<void>;
}

/** Most bytes of one system call: Linux stops short of 2 GiB, and Node refuses more. */
const MAX_CALL = 1 << 30;
/** Most parts of one: IOV_MAX of Linux. */
const MAX_PARTS = 1024;

/**
 * Reads of this many bytes or more may be two system calls at once, the first part in the thread pool: copying from the
 * system's cache then takes two processors. The pool gets the smaller part, for the way to it and back takes time too.
 */
const SPLIT_MIN = 512 << 10;
const POOLED_SHARE = 7 / 16;
const PAGE = 4096;
let spare: boolean | undefined;
/** Whether two are faster is the machine's to say: by what waking a thread costs, one takes 0.4 to 1.6 times as long. */
const blockingWay = new FasterWay();
const pooledWay = new FasterWay();

/** Asked for when a large read comes: Node loads a module for the answer, half a millisecond of a short run. */
function hasSpareProcessor(): boolean {
  spare ??= availableParallelism() > 1;
  return spare;
}

/**
 * Opens a regular file or a block special file, read-only. The size is taken once: bytes that are added later are not
 * seen, and a file that shrinks answers `io`.
 *
 * @throws ImageError `io` when the path cannot be opened or is neither of the two (a directory, a socket, a pipe).
 */
export async function openFile(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
  const fd = openChecked(path);
  try {
    const stat = fstatSync(fd);
    checkType(path, stat);
    const size = stat.isFile() ? stat.size : await blockDeviceSize(fd);
    return fileDevice(fd, path, size, options.blocking === true);
  } catch (cause) {
    await closeFd(fd);
    throw isImageError(cause) ? cause : new ImageError("io", `${path}: ${systemReason(cause)}`, { cause });
  }
}

function openChecked(path: string): number {
  try {
    // Asked before it is opened: opening alone starts a watchdog, rewinds a tape and wakes the writer of a pipe.
    checkType(path, statSync(path));
    // O_NONBLOCK: a pipe that took the file's place since must not hang the call.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw isImageError(cause) ? cause : new ImageError("io", `${path}: ${systemReason(cause)}`, { cause });
  }
}

function checkType(path: string, stat: Stats): void {
  if (stat.isDirectory()) throw new ImageError("io", `${path}: is a directory, not a disk image`);
  if (stat.isFile() || stat.isBlockDevice()) return;
  throw new ImageError("io", `${path}: is neither a regular file nor a block device`);
}

function fileDevice(fd: number, path: string, size: number, blocking: boolean): FileDevice {
  /** Fills bytes `from` to `to` of `target`, which begins at byte `offset` of the file, by calls of one kind. */
  const fill = async (target: Uint8Array, from: number, to: number, offset: number, pooled: boolean): Promise<void> => {
    for (let at = from; at < to; ) {
      const count = Math.min(to - at, MAX_CALL);
      let got: number;
      try {
        got = pooled
          ? await readPooled(fd, target, at, count, offset + at)
          : readSync(fd, target, at, count, offset + at);
      } catch (cause) {
        throw new ImageError("io", `${path}: ${systemReason(cause)}`, { offset: offset + at, cause });
      }
      if (got === 0) {
        const reason = `${path}: ${at} bytes came back where ${target.length} were asked for: the file was cut`;
        throw new ImageError("io", reason, { offset });
      }
      at += got;
    }
  };

  const readWhole = async (offset: number, length: number, into: Uint8Array | undefined): Promise<Uint8Array> => {
    const target = into?.length === length ? into : uncleared(length);
    if (length < SPLIT_MIN || !hasSpareProcessor()) {
      await fill(target, 0, length, offset, !blocking);
      return target;
    }
    await (blocking ? blockingWay : pooledWay).run(length, (isSplit) =>
      isSplit ? fillInTwo(target, offset, length) : fill(target, 0, length, offset, !blocking),
    );
    return target;
  };

  const fillInTwo = async (target: Uint8Array, offset: number, length: number): Promise<void> => {
    const share = alignDown(length * POOLED_SHARE, PAGE);
    // Both are waited for: after the answer nothing is written to the caller's memory. Of two failures the first in the
    // file is told.
    const parts = await Promise.allSettled([
      fill(target, 0, share, offset, true),
      fill(target, share, length, offset, !blocking),
    ]);
    for (const part of parts) if (part.status === "rejected") throw part.reason;
  };

  /** By calls of many parts; where one ends early, or fails, each part by itself, which knows what to tell. */
  const fillParts = async (parts: readonly Uint8Array[], offset: number, length: number): Promise<void> => {
    let at = offset;
    for (let first = 0; first < parts.length; first += MAX_PARTS) {
      const some = parts.slice(first, first + MAX_PARTS);
      let got = 0;
      try {
        got = blocking ? readvSync(fd, some, at) : await readvPooled(fd, some, at);
      } catch {}
      const isWhole = got === Math.min(parts[0]!.length * MAX_PARTS, offset + length - at);
      for (const part of some) {
        if (!isWhole) await fill(part, 0, part.length, at, !blocking);
        at += part.length;
      }
    }
  };

  const readNow = (offset: number, length: number, into: Uint8Array): Uint8Array | undefined => {
    checkRange(size, offset, length);
    if (closed !== undefined || length > MAX_CALL || into.length !== length) return undefined;
    const call = (): Uint8Array | undefined => {
      let got: number;
      try {
        got = readSync(fd, into, 0, length, offset);
      } catch {
        return undefined;
      }
      // A call that answers less, or fails, is `read`'s to repeat and to tell of.
      return got === length ? into : undefined;
    };
    return length < SPLIT_MIN || !hasSpareProcessor() ? call() : blockingWay.runNow(length, call);
  };

  const underWay = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  const closeOnce = (): Promise<void> => {
    // The number of a closed descriptor may belong to another file at once: no read may still be using it.
    // Blocking, as the reads: starting the thread pool for nothing but this would take longer than a small disk.
    closed ??= Promise.allSettled(underWay).then(() => closeFd(fd, blocking));
    return closed;
  };
  const checkRead = (offset: number, length: number, signal: AbortSignal | undefined): void => {
    checkRange(size, offset, length);
    throwIfAborted(signal);
    if (closed !== undefined) throw new ImageError("io", `${path}: was closed`, { offset });
  };
  /** Waits for a read, as a later `close` does; one that blocks has ended already. */
  const track = async <T>(reading: Promise<T>, isOver: boolean): Promise<T> => {
    if (isOver) return reading;
    underWay.add(reading);
    try {
      return await reading;
    } finally {
      underWay.delete(reading);
    }
  };
  return {
    path,
    size,
    async read(offset, length, signal, into) {
      checkRead(offset, length, signal);
      return track(readWhole(offset, length, into), blocking && length < SPLIT_MIN);
    },
    async readParts(offset, length, partSize, signal) {
      checkRead(offset, length, signal);
      checkRange(Number.MAX_SAFE_INTEGER, 1, partSize - 1);
      const parts: Uint8Array[] = [];
      for (let at = 0; at < length; at += partSize) parts.push(uncleared(Math.min(partSize, length - at)));
      await track(fillParts(parts, offset, length), blocking);
      return parts;
    },
    ...(blocking ? { readNow } : {}),
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

/**
 * Memory that is not cleared first, which takes as long as filling it. None of it is handed on before all of it was
 * read over; and a plain array, for `slice` of a Buffer makes no copy.
 */
function uncleared(length: number): Uint8Array {
  if (length > MAX_CALL) return allocate(length);
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

function readPooled(fd: number, target: Uint8Array, at: number, count: number, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readCallback(fd, target, at, count, offset, (cause, got) => (cause === null ? resolve(got) : reject(cause)));
  });
}

function readvPooled(fd: number, parts: readonly Uint8Array[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    readv(fd, parts, offset, (cause, got) => (cause === null ? resolve(got) : reject(cause)));
  });
}

/** A block special file has a stat size of 0; seeking is not to be had in Node, so the end is found by reading. */
async function blockDeviceSize(fd: number): Promise<number> {
  const probe = new Uint8Array(1);
  const exists = async (offset: number): Promise<boolean> => {
    try {
      return (await readPooled(fd, probe, 0, 1, offset)) === 1;
    } catch (cause) {
      // A bad sector is part of the disk; past the end a read answers no bytes and no error.
      if (errorCode(cause) === "EIO") return true;
      throw cause;
    }
  };
  if (!(await exists(0))) return 0;
  let inside = 0;
  let outside = 1;
  while (outside <= Number.MAX_SAFE_INTEGER / 2 && (await exists(outside))) {
    inside = outside;
    outside *= 2;
  }
  while (outside - inside > 1) {
    const middle = Math.floor((inside + outside) / 2);
    if (await exists(middle)) inside = middle;
    else outside = middle;
  }
  return inside + 1;
}

function closeFd(fd: number, blocking = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (cause?: unknown): void =>
      cause ? reject(new ImageError("io", systemReason(cause), { cause })) : resolve();
    if (!blocking) return close(fd, done);
    try {
      closeSync(fd);
      done();
    } catch (cause) {
      done(cause);
    }
  });
}

const errorCode = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException | undefined)?.code;

/** What a call of the system failed with, in words: "no such file", "permission denied". */
export function systemReason(cause: unknown): string {
  const code = errorCode(cause);
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "is a directory";
  if (code === "ENXIO") return "is a device without a driver";
  return cause instanceof Error ? cause.message : String(cause);
}
