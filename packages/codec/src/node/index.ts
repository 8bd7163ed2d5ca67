import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { abortable, ImageError, throwIfAborted } from "@guestprobe/block";
import { inlineDecompressor } from "../registry.js";
import type { Decompressor } from "../types.js";
import type { Reply, Request } from "./messages.js";

export interface WorkerDecompressorOptions {
  /** Most threads. Default: one for each processor, at most 8. */
  readonly threads?: number;
  /** Input below this many bytes is decoded on the calling thread: the way to another costs more. Default 4 KiB. */
  readonly minBytes?: number;
}

/** A pool of threads that decode. `close` ends them; threads without work do not keep the process alive. */
export interface WorkerDecompressor extends Decompressor {
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  readonly pending: Map<number, { resolve(out: Uint8Array): void; reject(error: unknown): void }>;
}

/** Decodes across worker threads, which are started as work comes in. */
export function workerDecompressor(options: WorkerDecompressorOptions = {}): WorkerDecompressor {
  const { threads: limit = Math.min(8, availableParallelism()), minBytes = 4096 } = options;
  const threads: Thread[] = [];
  let nextId = 0;

  const start = (): Thread => {
    const worker = new Worker(new URL("./worker.js", import.meta.url));
    const thread: Thread = { worker, pending: new Map() };
    worker.unref();
    worker.on("message", (reply: Reply) => {
      const waiting = thread.pending.get(reply.id);
      thread.pending.delete(reply.id);
      if (thread.pending.size === 0) worker.unref();
      if ("out" in reply) waiting?.resolve(reply.out);
      else waiting?.reject(new ImageError(reply.error.code, reply.error.reason, reply.error));
    });
    const fail = (cause: unknown): void => {
      threads.splice(threads.indexOf(thread), 1);
      for (const { reject } of thread.pending.values()) {
        reject(new ImageError("io", "a decoder thread ended", { cause }));
      }
      thread.pending.clear();
    };
    worker.once("error", fail);
    worker.once("exit", () => {
      if (threads.includes(thread)) fail(undefined);
    });
    threads.push(thread);
    return thread;
  };

  /** The thread with the least to do; a new one rather than a second block for a busy one. */
  const choose = (): Thread => {
    const idlest = threads.reduce<Thread | undefined>(
      (best, thread) => (best === undefined || thread.pending.size < best.pending.size ? thread : best),
      undefined,
    );
    return idlest === undefined || (idlest.pending.size > 0 && threads.length < limit) ? start() : idlest;
  };

  const close = async (): Promise<void> => {
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
  };

  return {
    async decode(codec, src, bound, decodeOptions) {
      if (src.length < minBytes) return inlineDecompressor.decode(codec, src, bound, decodeOptions);
      // A signal does not travel to another thread.
      const { signal, ...options } = decodeOptions ?? {};
      throwIfAborted(signal);
      // A copy: the input usually lies in a cache, which must keep it.
      const own = src.slice();
      const id = nextId++;
      const { worker, pending } = choose();
      const decoded = new Promise<Uint8Array>((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.ref();
        worker.postMessage({ id, codec, src: own, bound, options } satisfies Request, [own.buffer]);
      });
      return abortable(decoded, signal);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
