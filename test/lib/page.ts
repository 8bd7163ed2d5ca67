import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a page has, and nothing else: no process, Buffer, require or setImmediate. */
const WEB = {
  TextDecoder,
  TextEncoder,
  ReadableStream,
  Blob,
  DOMException,
  AbortController,
  AbortSignal,
  queueMicrotask,
  atob,
};

/** Bundles a script for browsers and runs it in a context that has what a page has. Answers the context's globals. */
export async function runInPage(contents: string): Promise<Record<string, unknown>> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    write: false,
    metafile: true,
    platform: "browser",
    target: "es2022",
    format: "iife",
    logLevel: "silent",
  });
  const ofNode = Object.keys(metafile.inputs).filter((path) => path.includes("/node/"));
  if (ofNode.length > 0) throw new Error(`a page would load ${ofNode.join(", ")}`);
  const page = createContext({ ...WEB });
  runInContext(outputFiles[0]!.text, page);
  return page as Record<string, unknown>;
}
