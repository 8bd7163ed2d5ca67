import { parentPort } from "node:worker_threads";
import { ImageError, isImageError } from "@guestprobe/block";
import { loadDecoder } from "../registry.js";
import type { Reply, Request } from "./messages.js";

parentPort?.on("message", async ({ id, codec, src, bound, options }: Request) => {
  try {
    const decode = await loadDecoder(codec);
    const out = decode(src, bound, options);
    // Only memory of its own can be handed over: a small result may lie in a pool that others share.
    const own = out.byteLength === out.buffer.byteLength ? out : out.slice();
    parentPort?.postMessage({ id, out: own } satisfies Reply, [own.buffer as ArrayBuffer]);
  } catch (cause) {
    const error = isImageError(cause) ? cause : new ImageError("limit", `decoder failed: ${String(cause)}`);
    const { code, reason, format, offset } = error;
    parentPort?.postMessage({ id, error: { code, reason, format, offset } } satisfies Reply);
  }
});
