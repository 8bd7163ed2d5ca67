import { fstatSync, statSync, writeSync } from "node:fs";

/**
 * Standard output or standard error. Node's own streams are made of two dozen modules, which take longer to load than a
 * small disk to search: where the process is this program's own, what is no terminal is written to by its descriptor.
 */
class Standard {
  readonly #fd: 1 | 2;
  #isOwn = false;
  #isDirect: boolean | undefined;
  #stream: NodeJS.WriteStream | undefined;
  #lost: NodeJS.ErrnoException | undefined;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
  }

  /** Says that nobody else writes here, so that Node's stream can be passed by. */
  own(): void {
    this.#isOwn = true;
  }

  /** Node's stream. */
  get stream(): NodeJS.WriteStream {
    if (this.#stream !== undefined) return this.#stream;
    this.#stream = this.#fd === 1 ? process.stdout : process.stderr;
    // Node answers an error that nobody listens for with a stack trace.
    if (this.#isOwn) this.#stream.on("error", (error) => this.#lose(error));
    return this.#stream;
  }

  get isTerminal(): boolean {
    return !this.#goesDirect() && this.stream.isTTY === true;
  }

  /** Columns of the terminal; undefined where this is none. */
  get width(): number | undefined {
    return this.isTerminal ? this.stream.columns : undefined;
  }

  /** What first kept text from being written while nobody waited for it. */
  get lost(): NodeJS.ErrnoException | undefined {
    return this.#lost;
  }

  /** Whether nothing can be on its way any more: all went out by the descriptor. */
  get isWritten(): boolean {
    return this.#stream === undefined;
  }

  /** Writes without waiting for the reader; `lost` has what goes wrong. */
  write(text: string): void {
    try {
      const rest = this.#writeDirectly(Buffer.from(text));
      if (rest.length > 0) this.stream.write(rest);
    } catch (error) {
      this.#lose(error as NodeJS.ErrnoException);
    }
  }

  /** Writes, and waits until it is written. Rejects with the system's error. */
  async deliver(data: Uint8Array): Promise<void> {
    const rest = this.#writeDirectly(data);
    if (rest.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.stream.write(rest, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Answers what is left for Node's stream. */
  #writeDirectly(data: Uint8Array): Uint8Array {
    let rest = data;
    try {
      while (rest.length > 0 && this.#goesDirect()) rest = rest.subarray(writeSync(this.#fd, rest));
    } catch (error) {
      // It is full, and was set not to block by whom it is shared with: only Node's stream can wait for it.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      this.#isDirect = false;
    }
    return rest;
  }

  #goesDirect(): boolean {
    this.#isDirect ??= this.#isOwn && process.platform !== "win32" && isNoTerminal(this.#fd);
    return this.#isDirect;
  }

  #lose(error: NodeJS.ErrnoException): void {
    this.#lost ??= error;
  }
}

/** A file, a pipe, a socket, or the device that takes all; any other device may be a terminal. */
function isNoTerminal(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return !stat.isCharacterDevice() || stat.rdev === statSync("/dev/null").rdev;
  } catch {
    return false;
  }
}

export const standardOutput = new Standard(1);
export const standardError = new Standard(2);
