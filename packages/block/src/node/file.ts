import { close, constants, fstatSync, openSync, read as readCallback, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { type BlockDevice, checkRange } from "../device.js";
import { ImageError, throwIfAborted } from "../errors.js";

export interface FileDeviceOptions {
  /**
   * Read by blocking system calls: about 1 us a warm page instead of 26 us through the thread pool. Right for a
   * command that does nothing else; a server would stall its other requests.
   */
  readonly blocking?: boolean;
}

/** An open file as a device. Close it with `close()` or `await using`. */
export interface FileDevice extends BlockDevice, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Opens a regular file or a block special file, read-only. The size is taken once: bytes that are added later are not
 * seen, and a file that shrinks answers `io`.
 *
 * @throws ImageError `io` when the path cannot be opened or is neither of the two (a directory, a socket, a pipe).
 */
export async function openFile(path: string, options: FileDeviceOptions = {}): Promise<FileDevice> {
  const fail = (message: string, cause?: unknown): never => {
    throw new ImageError("io", `${path}: ${message}`, { cause });
  };
  let fd: number;
  try {
    // O_NONBLOCK: opening a pipe that nobody writes to must not hang before its type is known.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    return fail(describe(cause), cause);
  }
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) fail("is a directory, not a disk image");
    if (!stat.isFile() && !stat.isBlockDevice()) fail("is neither a regular file nor a block device");
    const size = stat.isFile() ? stat.size : await blockDeviceSize(path);
    return fileDevice(fd, path, size, options.blocking === true);
  } catch (error) {
    await closeFd(fd);
    throw error;
  }
}

function fileDevice(fd: number, path: string, size: number, blocking: boolean): FileDevice {
  const short = (offset: number, got: number, length: number): ImageError =>
    new ImageError("io", `${path}: ${got} bytes came back where ${length} were asked for: the file was cut`, {
      offset,
    });
  const failed = (offset: number, cause: unknown): ImageError =>
    new ImageError("io", `${path}: ${describe(cause)}`, { offset, cause });

  const readBlocking = (offset: number, length: number): Uint8Array => {
    const target = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      let got: number;
      try {
        got = readSync(fd, target, filled, length - filled, offset + filled);
      } catch (cause) {
        throw failed(offset + filled, cause);
      }
      if (got === 0) throw short(offset, filled, length);
      filled += got;
    }
    return target;
  };

  const readPooled = async (offset: number, length: number): Promise<Uint8Array> => {
    const target = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const got = await new Promise<number>((resolve, reject) => {
        readCallback(fd, target, filled, length - filled, offset + filled, (cause, count) =>
          cause === null ? resolve(count) : reject(failed(offset + filled, cause)),
        );
      });
      if (got === 0) throw short(offset, filled, length);
      filled += got;
    }
    return target;
  };

  let closed: Promise<void> | undefined;
  const closeOnce = (): Promise<void> => {
    closed ??= closeFd(fd);
    return closed;
  };
  return {
    path,
    size,
    async read(offset, length, signal) {
      checkRange(size, offset, length);
      throwIfAborted(signal);
      // A closed descriptor's number may belong to another file by now.
      if (closed !== undefined) throw new ImageError("io", `${path}: was closed`, { offset });
      return blocking ? readBlocking(offset, length) : readPooled(offset, length);
    },
    close: closeOnce,
    [Symbol.asyncDispose]: closeOnce,
  };
}

/** A block special file has a stat size of 0; seeking is not to be had in Node, so the end is found by reading. */
async function blockDeviceSize(path: string): Promise<number> {
  const handle = await open(path, "r");
  try {
    const probe = new Uint8Array(1);
    const exists = async (offset: number) => (await handle.read(probe, 0, 1, offset)).bytesRead === 1;
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
  } finally {
    await handle.close();
  }
}

function closeFd(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    close(fd, (cause) => (cause ? reject(new ImageError("io", describe(cause), { cause })) : resolve()));
  });
}

/** A system error in words: "no such file", "permission denied". */
function describe(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "ENXIO") return "is a socket or a device without a driver";
  return cause instanceof Error ? cause.message : String(cause);
}
