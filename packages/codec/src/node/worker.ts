import { parentPort } from "node:worker_threads";
import { ImageError, isImageError } from "@guestprobe/block";
import { copyTo } from "../bound.js";
import { type CodecName, loadDecoder } from "../registry.js";
import type { Decode } from "../types.js";
import type { Job, Outcome, Reply, Request } from "./messages.js";

/** Those that were loaded, so that a block waits for nothing. */
const decoders = new Map<CodecName, Decode>();

async function run(
  memory: SharedArrayBuffer,
  { codec, from, length, to, room, bound, options }: Job,
): Promise<Outcome> {
  try {
    let decode = decoders.get(codec);
    if (decode === undefined) {
      decode = await loadDecoder(codec);
      decoders.set(codec, decode);
    }
    const into = new Uint8Array(memory, to, room);
    const out = decode(new Uint8Array(memory, from, length), bound, { ...options, into });
    // Only memory of its own can be handed over: a small result may lie in a pool that others share.
    if (out.length > room) return out.slice();
    if (out.buffer !== memory) copyTo(into, out);
    return out.length;
  } catch (cause) {
    const error = isImageError(cause) ? cause : new ImageError("limit", `decoder failed: ${String(cause)}`);
    const { code, reason, format, offset } = error;
    return { code, reason, format, offset };
  }
}

parentPort?.on("message", async ({ id, memory, jobs }: Request) => {
  const outcomes: Outcome[] = [];
  for (const job of jobs) outcomes.push(await run(memory, job));
  const own = outcomes.flatMap((outcome) => (outcome instanceof Uint8Array ? [outcome.buffer] : []));
  parentPort?.postMessage({ id, outcomes } satisfies Reply, own);
});
