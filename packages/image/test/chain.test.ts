import { bufferDevice } from "@guestprobe/block";
import { openImage } from "@guestprobe/image";
import { describe, expect, it } from "vitest";
import { filled } from "../../../test/lib/image-builder/bytes.js";
import { buildQcow2 } from "../../../test/lib/image-builder/qcow2.js";
import { disk, expectBytes, failureOf, openBytes, shelf } from "./lib.js";

const over = (backing: string, backingFormat?: string) =>
  buildQcow2({ size: 1 << 20, backing, ...(backingFormat === undefined ? {} : { backingFormat }) }).file;

describe("chains of backing files", () => {
  it("the resolver is told how deep in the chain a name was found", async () => {
    const files = shelf({ one: over("two"), two: over("three", "raw"), three: filled(1 << 20, 3) });
    const { image, findings } = await openBytes(over("one"), files);
    expect(findings).toEqual([]);
    expect(files.asked).toEqual(["0 backing one", "1 backing two", "2 backing three"]);
    expect((await image.device.read(0, 1))[0]).toBe(3);
    expect(image.backing?.backing?.backing?.format).toBe("raw");
  });

  it("an image that is larger than its backing file has zeros past its end", async () => {
    const { image } = await openBytes(over("base", "raw"), shelf({ base: filled(70_000, 4) }));
    expectBytes(await image.device.read(0, 1 << 20), disk(1 << 20, [[0, filled(70_000, 4)]]));
    const ranges = await image.device.map?.(0, 1 << 20);
    expect(ranges).toEqual([
      { offset: 0, length: 70_000, kind: "data" },
      { offset: 70_000, length: (1 << 20) - 70_000, kind: "hole" },
    ]);
  });

  it("a backing file that the header calls raw is not looked into", async () => {
    const inner = over("/etc/passwd");
    const files = shelf({ base: inner });
    const { image } = await openBytes(over("base", "raw"), files);
    expect(files.asked).toEqual(["0 backing base"]);
    expect((await image.device.read(0, 4)).join()).toBe("81,70,73,251");
  });

  it("a chain that leads back to itself is cut there", async () => {
    const self = bufferDevice(over("self"));
    const findings: string[] = [];
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return self;
    };
    const image = await openImage(self, { resolve, report: (entry) => findings.push(entry.code) });
    expect(asked).toBe(1);
    expect(findings).toEqual(["image-file-unreadable"]);
    expect(await failureOf(image.device.read(0, 1))).toMatchObject({ code: "io" });
  });

  it("a chain without an end is cut, in reasonable time", async () => {
    const file = over("next");
    const findings: string[] = [];
    const resolve = async () => bufferDevice(file.slice());
    const image = await openImage(bufferDevice(file), { resolve, report: (entry) => findings.push(entry.code) });
    expect(findings).toEqual(["image-file-unreadable"]);
    expect(await failureOf(image.device.read(0, 1))).toMatchObject({ code: "io" });
  });

  it("what a name could do to a terminal is escaped in messages, not in the name itself", async () => {
    const name = "evil\u001b[2J\u202etxt";
    const { image, findings } = await openBytes(over(name));
    expect(image.info.references[0]?.names).toEqual([name]);
    expect(findings[0]?.message).toContain('"evil\\u001b[2J\\u202etxt"');
  });

  it("an aborted opening ends with that", async () => {
    const signal = AbortSignal.abort();
    expect(await failureOf(openBytes(over("base"), { signal }))).toMatchObject({ code: "aborted" });
  });

  it("a resolver's own error is not taken for damage of the image", async () => {
    const resolve = async () => Promise.reject(new TypeError("mistake"));
    await expect(openImage(bufferDevice(over("base")), { resolve })).rejects.toThrow(TypeError);
  });
});
