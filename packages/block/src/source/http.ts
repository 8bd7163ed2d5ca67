import { throwIfAborted } from "../abort.js";
import { allocate, type BlockDevice, checkRange } from "../device.js";
import { ImageError, isImageError } from "../errors.js";

export interface HttpDeviceOptions {
  /** Sent with each request: authorisation, for one. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch;
  readonly signal?: AbortSignal;
}

/** A strong entity tag; a weak one ("W/...") promises no equal bytes and is not sent in If-Match. */
const strongEtag = (etag: string | null): string | undefined =>
  etag === null || etag.startsWith("W/") ? undefined : etag;

/** RFC 9110 section 14.4: "bytes FIRST-LAST/COMPLETE"; names of units are case-insensitive (section 14.1). */
const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/i;

/** What a server says of the version of the file. */
const versionOf = (headers: Headers): string => `${headers.get("etag") ?? ""}\n${headers.get("last-modified") ?? ""}`;

/**
 * Opens a device over HTTP range requests (RFC 9110 section 14). The first request asks for one byte, which tells the
 * size, whether the server honours ranges, and the entity tag. Each later answer must have status 206, exactly the
 * range asked for, the same size, tag and date: a file that is replaced while it is read is an error, never a mix of
 * two versions (unless the server sends neither tag nor date and the size stays). Put a page cache above it.
 *
 * @throws ImageError `io` when the server cannot be reached, refuses, or does not honour ranges.
 */
export async function openHttp(url: string | URL, options: HttpDeviceOptions = {}): Promise<BlockDevice> {
  const address = String(url);
  const request = options.fetch ?? fetch;

  const get = async (first: number, length: number, etag: string | undefined, signal: AbortSignal | undefined) => {
    throwIfAborted(signal);
    // With a Range, fetch itself asks for no content encoding, which would count bytes of something else than the image.
    const headers: Record<string, string> = { ...options.headers, Range: `bytes=${first}-${first + length - 1}` };
    if (etag !== undefined) headers["If-Match"] = etag;
    try {
      const response = await request(address, { headers, ...(signal === undefined ? {} : { signal }) });
      return { response, ...(await checkAnswer(response, address, first, length)) };
    } catch (cause) {
      if (isImageError(cause)) throw cause;
      throwIfAborted(signal);
      throw new ImageError("io", `${address}: ${describeFailure(cause)}`, { offset: first, cause });
    }
  };

  const probe = await get(0, 1, undefined, options.signal);
  const size = probe.complete;
  const etag = strongEtag(probe.response.headers.get("etag"));
  const version = versionOf(probe.response.headers);
  return {
    size,
    async read(offset, length, signal) {
      checkRange(size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const answer = await get(offset, length, etag, signal);
      const changed = versionOf(answer.response.headers) !== version || answer.complete !== size;
      if (changed) throw new ImageError("io", `${address}: the file changed while it was read`, { offset });
      return answer.body;
    },
  };
}

/** The message of a failure of `fetch`, which hides the real one ("ECONNREFUSED") in its cause. */
function describeFailure(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message;
}

async function checkAnswer(response: Response, address: string, first: number, length: number) {
  const refuse = async (why: string): Promise<never> => {
    // The body may be the whole image: it is not to be read. How its end goes does not matter any more.
    await response.body?.cancel().catch(() => {});
    throw new ImageError("io", `${address}: ${why}`, { offset: first });
  };
  if (response.status === 200) {
    return refuse("the server answers with the whole file: it does not honour range requests");
  }
  if (response.status === 412) return refuse("the file changed while it was read");
  if (response.status === 416) return refuse("the server has no such range: the file is empty or was cut");
  if (response.status !== 206) return refuse(`the server answers ${response.status} ${response.statusText}`.trim());
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") return refuse(`the server sends the range encoded as ${encoding}`);
  const range = CONTENT_RANGE.exec(response.headers.get("content-range") ?? "");
  if (range === null) return refuse("the answer has no Content-Range that names the size");
  const [, from, last, total] = range.map(Number) as [number, number, number, number];
  if (from !== first || last !== first + length - 1 || !Number.isSafeInteger(total) || total <= last) {
    return refuse(`the answer holds "${range[0]}", not the ${length} bytes from byte ${first}`);
  }
  const body = await readExactly(response, length);
  if (body === undefined) return refuse(`the body is not the ${length} bytes that its Content-Range promises`);
  return { body, complete: total };
}

/** The body if it is exactly `length` bytes; a longer one is cut off as soon as it shows, not collected. */
async function readExactly(response: Response, length: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return undefined;
  const body = allocate(length);
  const reader = response.body.getReader();
  let filled = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return filled === length ? body : undefined;
    if (filled + value.length > length) {
      await reader.cancel();
      return undefined;
    }
    body.set(value, filled);
    filled += value.length;
  }
}
