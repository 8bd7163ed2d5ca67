import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { type BlockDevice, cachedDevice, countReads, openHttp } from "@guestprobe/block";
import { afterEach, describe, expect, test } from "vitest";
import { pattern } from "../lib/pattern.js";

const data = pattern(50_000);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server | undefined;

/** Serves with `handler` on a free port of this host; answers the address of its image. */
async function serve(handler: Handler): Promise<string> {
  server = createServer(handler).listen(0, "127.0.0.1");
  await new Promise((resolve) => server?.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/guest.img`;
}

afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
});

interface Answer {
  readonly content?: Uint8Array;
  readonly headers?: Record<string, string>;
  readonly status?: number;
  /** Bytes sent, where they are not those of the range. */
  readonly body?: Uint8Array;
}

/** A server that honours ranges, entity tags and If-Match as RFC 9110 has it, but for what `answer` changes. */
function ranged(answer: (call: number) => Answer = () => ({}), seen: IncomingMessage[] = []): Handler {
  return (request, response) => {
    seen.push(request);
    const { content = data, headers = { etag: '"v1"' }, status, body } = answer(seen.length);
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (match === null) return response.writeHead(400).end();
    const first = Number(match[1]);
    const last = Math.min(Number(match[2]), content.length - 1);
    const wanted = request.headers["if-match"];
    if (wanted !== undefined && wanted !== headers.etag) return response.writeHead(412, headers).end();
    if (first >= content.length) {
      return response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    }
    const range = { "content-range": `bytes ${first}-${last}/${content.length}` };
    return response.writeHead(status ?? 206, { ...range, ...headers }).end(body ?? content.subarray(first, last + 1));
  };
}

describe("a server that honours ranges", () => {
  test("one request for the size, one for each read, each exact", async () => {
    const seen: IncomingMessage[] = [];
    const device = await openHttp(await serve(ranged(undefined, seen)), { headers: { authorization: "Bearer x" } });
    expect(device.size).toBe(50_000);
    expect(await device.read(1000, 500)).toEqual(data.slice(1000, 1500));
    expect(await device.read(49_999, 1)).toEqual(data.slice(-1));
    expect(await device.read(0, 50_000)).toEqual(data);
    expect(await device.read(50_000, 0)).toHaveLength(0);
    expect(seen.map(({ headers }) => [headers.range, headers["if-match"]])).toEqual([
      ["bytes=0-0", undefined],
      ["bytes=1000-1499", '"v1"'],
      ["bytes=49999-49999", '"v1"'],
      ["bytes=0-49999", '"v1"'],
    ]);
    expect(seen.every(({ method, headers }) => method === "GET" && headers["accept-encoding"] === "identity")).toBe(
      true,
    );
    expect(seen.every(({ headers }) => headers.authorization === "Bearer x")).toBe(true);
  });

  test("a range past the end costs no request", async () => {
    const seen: IncomingMessage[] = [];
    const device = await openHttp(await serve(ranged(undefined, seen)));
    await expect(device.read(49_999, 2)).rejects.toMatchObject({ code: "past-end" });
    await expect(device.read(-1, 2)).rejects.toMatchObject({ code: "invalid-argument" });
    expect(seen).toHaveLength(1);
  });

  test("below a page cache, reads side by side are one request", async () => {
    const seen: IncomingMessage[] = [];
    const counted = countReads(await openHttp(await serve(ranged(undefined, seen))));
    const cached = cachedDevice(counted, { pageSize: 4096 });
    const reads = [0, 5000, 9000, 4096].map((offset) => cached.read(offset, 100));
    expect(await Promise.all(reads)).toEqual([0, 5000, 9000, 4096].map((offset) => data.slice(offset, offset + 100)));
    expect(counted.stats).toEqual({ reads: 1, bytes: 3 * 4096 });
    expect(seen).toHaveLength(2);
  });

  test("redirects are followed, with the range", async () => {
    const image = ranged();
    const address = await serve((request, response) => {
      if (request.url === "/image") return image(request, response);
      return response.writeHead(302, { location: "/image" }).end();
    });
    const device = await openHttp(address);
    expect(await device.read(7, 9)).toEqual(data.slice(7, 16));
  });

  test("a weak tag is not sent in If-Match, but a change of it is seen", async () => {
    const seen: IncomingMessage[] = [];
    const device = await openHttp(
      await serve(ranged((call) => ({ headers: { etag: call < 3 ? 'W/"1"' : 'W/"2"' } }), seen)),
    );
    expect(await device.read(0, 4)).toEqual(data.slice(0, 4));
    expect(seen[1]?.headers["if-match"]).toBeUndefined();
    await expect(device.read(0, 4)).rejects.toThrow("the file changed while it was read");
  });

  test("names of units are case-insensitive", async () => {
    const address = await serve(ranged(() => ({ headers: { "content-range": "Bytes 0-0/50000" } })));
    expect((await openHttp(address)).size).toBe(50_000);
  });
});

describe("a file that is replaced between two reads is an error", () => {
  const weak: Answer = { headers: { etag: 'W/"v1"' } };
  const bare: Answer = { headers: {} };
  const changed: [string, (call: number) => Answer][] = [
    ["its tag changes, and the server heeds If-Match", (call) => ({ headers: { etag: `"v${call}"` } })],
    ["its size changes", (call) => (call === 1 ? { headers: {} } : { headers: {}, content: data.subarray(1) })],
    ["its tag goes away", (call) => (call === 1 ? weak : bare)],
    ["only its date tells", (call) => ({ headers: { "last-modified": `Fri, 20 Nov 2026 20:00:0${call} GMT` } })],
  ];
  test.each(changed)("%s", async (_, answer) => {
    const device = await openHttp(await serve(ranged(answer)));
    await expect(device.read(0, 4)).rejects.toMatchObject({
      code: "io",
      reason: expect.stringMatching(/the file changed while it was read$/),
    });
  });

  test("its tag changes, and the server heeds no If-Match", async () => {
    const image = ranged((call) => ({ headers: { etag: `"v${call}"` } }));
    const address = await serve((request, response) => {
      delete request.headers["if-match"];
      return image(request, response);
    });
    await expect((await openHttp(address)).read(0, 4)).rejects.toThrow("the file changed while it was read");
  });

  test("it is cut, and the server has the range no more", async () => {
    const short = { content: data.subarray(0, 10), headers: {} };
    const device = await openHttp(await serve(ranged((call) => (call === 1 ? { headers: {} } : short))));
    await expect(device.read(100, 4)).rejects.toThrow("the server has no such range: the file is empty or was cut");
    await expect(device.read(8, 4)).rejects.toThrow('the answer holds "bytes 8-9/10", not the 4 bytes from byte 8');
  });
});

describe("answers that are not what was asked for", () => {
  const refused = async (handler: Handler, reason: string): Promise<void> => {
    const address = await serve(handler);
    await expect(openHttp(address)).rejects.toMatchObject({ code: "io", reason: `${address}: ${reason}`, offset: 0 });
  };
  const lie = (contentRange: string): Handler => ranged(() => ({ headers: { "content-range": contentRange } }));

  test("ranges are ignored: the image is not downloaded", async () => {
    let written = 0;
    const handler: Handler = (_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && written < 1 << 30) {
          written += 1 << 16;
          if (!response.write(data)) return void response.once("drain", more);
        }
      };
      more();
    };
    await refused(handler, "the server answers with the whole file: it does not honour range requests");
    expect(written).toBeLessThan(64 << 20);
  });
  test("an empty file", () =>
    refused(
      ranged(() => ({ content: new Uint8Array(0) })),
      "the server has no such range: the file is empty or was cut",
    ));
  test("not found", () =>
    refused((_, response) => response.writeHead(404).end("no"), "the server answers 404 Not Found"));
  test("no content", () =>
    refused((_, response) => response.writeHead(204).end(), "the server answers 204 No Content"));
  test("encoded", () =>
    refused(
      ranged(() => ({ headers: { "content-encoding": "gzip" }, body: gzipSync(data.subarray(0, 1)) })),
      "the server sends the range encoded as gzip",
    ));
  test("no Content-Range", () =>
    refused((_, response) => response.writeHead(206).end("x"), "the answer has no Content-Range that names the size"));
  test.each([["bytes 0-0/*"], ["bytes */50000"], ["chunks 0-0/50000"], ["bytes 0-0/-1"], ["bytes 0-0/5e4"]])(
    "a Content-Range without a size: %s",
    (value) => refused(lie(value), "the answer has no Content-Range that names the size"),
  );
  test.each([
    ["bytes 1-1/50000"],
    ["bytes 0-1/50000"],
    ["bytes 0-0/0"],
    ["bytes 0-0/9007199254740993"],
    ["bytes 0-0/99999999999999999999999"],
  ])("another range, or no size that can be: %s", (value) =>
    refused(lie(value), `the answer holds "${value}", not the 1 bytes from byte 0`),
  );
  test("a body too long", () =>
    refused(
      ranged(() => ({ body: data.subarray(0, 2) })),
      "the body is not the 1 bytes that its Content-Range promises",
    ));
  test("a body too short", async () => {
    const device = await openHttp(await serve(ranged((call) => (call === 1 ? {} : { body: data.subarray(0, 99) }))));
    await expect(device.read(0, 100)).rejects.toThrow("the body is not the 100 bytes that its Content-Range promises");
  });
  test("no body at all", async () => {
    const headers = { "content-range": "bytes 0-0/5" };
    const empty = async () => new Response(null, { status: 206, headers });
    await expect(openHttp("http://nowhere.invalid/", { fetch: empty })).rejects.toThrow("the body is not the 1 bytes");
  });
});

describe("a server that fails", () => {
  test("nobody listens: the reason is in the message, the error in the cause", async () => {
    const address = await serve(ranged());
    await new Promise((resolve) => server?.close(resolve));
    await expect(openHttp(address)).rejects.toMatchObject({
      code: "io",
      message: expect.stringContaining("ECONNREFUSED"),
      cause: expect.any(TypeError),
    });
  });
  test("the connection breaks in the middle of a body", async () => {
    const image = ranged();
    let calls = 0;
    const address = await serve((request, response) => {
      calls += 1;
      if (calls === 1) return image(request, response);
      response.writeHead(206, { "content-range": "bytes 0-99/50000", "content-length": "100", etag: '"v1"' });
      return response.write(data.subarray(0, 50), () => response.destroy());
    });
    const device = await openHttp(address);
    await expect(device.read(0, 100)).rejects.toMatchObject({ code: "io", offset: 0, cause: expect.anything() });
  });
  test("a `fetch` that throws something odd", async () => {
    const odd = () => Promise.reject("no network");
    await expect(openHttp("http://nowhere.invalid/", { fetch: odd })).rejects.toThrow("no network");
  });
  test("an address that is none", async () => {
    await expect(openHttp("not a url")).rejects.toMatchObject({ code: "io", cause: expect.any(TypeError) });
  });
});

describe("abort", () => {
  test("before the first request", async () => {
    const seen: IncomingMessage[] = [];
    const address = await serve(ranged(undefined, seen));
    await expect(openHttp(address, { signal: AbortSignal.abort("no") })).rejects.toMatchObject({
      code: "aborted",
      cause: "no",
    });
    expect(seen).toHaveLength(0);
  });

  const hanging: [string, Handler][] = [
    ["while the server is silent", () => {}],
    [
      "in the middle of a body",
      (_, response) => {
        response.writeHead(206, { "content-range": "bytes 0-99/50000", etag: '"v1"' });
        response.write(data.subarray(0, 50));
      },
    ],
  ];
  test.each(hanging)("%s", async (_, hang) => {
    const image = ranged();
    const controller = new AbortController();
    let calls = 0;
    const address = await serve((request, response) => {
      calls += 1;
      if (calls !== 2) return image(request, response);
      setTimeout(() => controller.abort(), 20);
      return hang(request, response);
    });
    const device: BlockDevice = await openHttp(address);
    await expect(device.read(0, 100, controller.signal)).rejects.toMatchObject({ code: "aborted" });
    expect(await device.read(0, 100)).toEqual(data.slice(0, 100));
  });
});
