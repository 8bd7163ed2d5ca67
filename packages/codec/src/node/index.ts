import { availableParallelism } from "node:os";
import { Worker, type WorkerOptions } from "node:worker_threads";
import { abortable, ImageError, throwIfAborted } from "@guestprobe/block";
import { inlineDecompressor } from "../registry.js";
import type { Decompressor } from "../types.js";
import { Batch, BatchMemory, capacityOf, sizeOf, type Waiting } from "./batch.js";
import type { Reply, Request } from "./messages.js";

export interface WorkerDecompressorOptions {
  /** Most threads. Default: one for each processor, at most 8. */
  readonly threads?: number;
  /** What has fewer bytes, packed and unpacked, is decoded on the calling thread: the way to another costs more. Default 4 KiB. */
  readonly minBytes?: number;
}

/** A pool of threads that decode. `close` ends them; threads without work do not keep the process alive. */
export interface WorkerDecompressor extends Decompressor {
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  /** What it was sent and has not answered, by number. */
  readonly pending: Map<number, Batch>;
}

/**
 * A thread has the options of its process, unless it is told others; and what it may be told is few of them. Of a program
 * that stands on the command line, the kind of that text is not for a thread's file, so such a thread is told none.
 */
const ofTextProgram = process.execArgv.some((word) => word.startsWith("--input-type"));
const THREAD_OPTIONS: WorkerOptions = ofTextProgram ? { execArgv: [] } : {};

/** Most bytes of one batch, input and output: what comes first should not wait for much else. */
const BATCH_MAX = 1 << 20;

/**
 * Decodes across worker threads, which are started as work comes in. What is asked for in one turn of the event loop is
 * shared out among them, each part by one message.
 */
export function workerDecompressor(options: WorkerDecompressorOptions = {}): WorkerDecompressor {
  const { threads: limit = Math.min(8, availableParallelism()), minBytes = 4096 } = options;
  const threads: Thread[] = [];
  const spares = new BatchMemory(2 * limit);
  let queue: Waiting[] = [];
  let nextId = 0;

  const start = (): Thread => {
    const worker = new Worker(new URL("./worker.js", import.meta.url), THREAD_OPTIONS);
    const thread: Thread = { worker, pending: new Map() };
    worker.unref();
    worker.on("message", ({ id, outcomes }: Reply) => {
      const batch = thread.pending.get(id)!;
      thread.pending.delete(id);
      if (thread.pending.size === 0) worker.unref();
      batch.settle(outcomes);
      spares.give(batch.memory);
    });
    const fail = (cause: unknown): void => {
      threads.splice(threads.indexOf(thread), 1);
      // Their memory is not used again: nobody knows what was about to be written to it.
      for (const batch of thread.pending.values()) {
        batch.fail(new ImageError("io", "a decoder thread ended", { cause }));
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

  /** The thread with the least to do; a new one rather than more for a busy one. */
  const choose = (): Thread => {
    const idlest = threads.reduce<Thread | undefined>(
      (best, thread) => (best === undefined || thread.pending.size < best.pending.size ? thread : best),
      undefined,
    );
    return idlest === undefined || (idlest.pending.size > 0 && threads.length < limit) ? start() : idlest;
  };

  const send = (waiting: readonly Waiting[], size: number): void => {
    try {
      const batch = new Batch(spares.take(size), waiting);
      const id = nextId++;
      const { worker, pending } = choose();
      pending.set(id, batch);
      worker.ref();
      worker.postMessage({ id, memory: batch.memory, jobs: batch.jobs } satisfies Request);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  };

  /** Sends out the queue in parts of like size, as many as there may be threads, or more where those would be large. */
  const flush = (): void => {
    const waiting = queue;
    queue = [];
    const total = waiting.reduce((sum, block) => sum + sizeOf(block), 0);
    const share = Math.min(BATCH_MAX, total / limit);
    let part: Waiting[] = [];
    let size = 0;
    for (const [n, block] of waiting.entries()) {
      part.push(block);
      size += sizeOf(block);
      const next = waiting[n + 1];
      if (next !== undefined && size + sizeOf(next) / 2 <= share) continue;
      send(part, size);
      part = [];
      size = 0;
    }
  };

  const close = async (): Promise<void> => {
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
    spares.clear();
  };

  return {
    async decode(codec, src, bound, decodeOptions = {}) {
      if (Math.max(src.length, capacityOf(bound)) < minBytes)
        return inlineDecompressor.decode(codec, src, bound, decodeOptions);
      const { signal } = decodeOptions;
      throwIfAborted(signal);
      const decoded = new Promise<Uint8Array>((resolve, reject) => {
        // Not a microtask: what one reader asks for at once comes in over several of them.
        if (queue.length === 0) setImmediate(flush);
        queue.push({ codec, src, bound, options: decodeOptions, resolve, reject });
      });
      return abortable(decoded, signal);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
