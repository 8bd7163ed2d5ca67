import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { imagesPathsDestination, imagesThenOptionalPath, imagesThenPath } from "../src/arguments.js";
import { nameDisks } from "../src/disk-names.js";
import { UsageError } from "../src/exit.js";
import { parseLimits, parseSize } from "../src/limits.js";

const folder = mkdtempSync(join(tmpdir(), "guestprobe-arguments-"));
const image = join(folder, "b.img");
writeFileSync(image, "x");
afterAll(() => rmSync(folder, { recursive: true }));

describe("which words are images and which are paths", () => {
  test("the last word is the path", () => {
    expect(imagesThenPath(["a", "b", "/etc"])).toEqual({ images: ["a", "b"], path: "/etc" });
    expect(imagesThenPath(["a", "(hd0)/etc"])).toEqual({ images: ["a"], path: "(hd0)/etc" });
  });
  test("a file of the guest is not mistaken for one of the host", () => {
    expect(imagesThenPath(["a", image])).toEqual({ images: ["a"], path: image });
  });
  test("images alone mean the root directory", () => {
    expect(imagesThenPath(["a"])).toEqual({ images: ["a"], path: "/" });
    expect(imagesThenPath([image])).toEqual({ images: [image], path: "/" });
    expect(() => imagesThenPath(["a", "etc"])).toThrow(/begins with "\/" or/);
  });
  test("where the path may be left out, an absolute word that is a file here is an image, unless the guest has it", async () => {
    const [yes, no] = [async () => true, async () => false];
    expect(await imagesThenOptionalPath(["a", image], no)).toEqual({ images: ["a", image], path: undefined });
    expect(await imagesThenOptionalPath(["a", image], yes)).toEqual({ images: ["a"], path: image });
    expect(await imagesThenOptionalPath(["a", "/absent/x"], no)).toEqual({ images: ["a"], path: "/absent/x" });
    expect(await imagesThenOptionalPath(["a", "(hd0)/x"], no)).toEqual({ images: ["a"], path: "(hd0)/x" });
  });
  test("cp: images, then paths, then the destination", async () => {
    const [yes, no] = [async () => true, async () => false];
    const split = imagesPathsDestination;
    const expected = { images: ["a", image], paths: ["/etc", "/boot"], destination: "out" };
    expect(await split(["a", image, "/etc", "/boot", "out"], no)).toEqual(expected);
    expect(await split(["a", image, "/etc", "out"], yes)).toMatchObject({ images: ["a"], paths: [image, "/etc"] });
    expect(await split(["a", image, "out"], no)).toEqual({ images: ["a"], paths: [image], destination: "out" });
    await expect(split(["a", "out"], no)).rejects.toThrow(UsageError);
    await expect(split(["a", "etc", "out"], no)).rejects.toThrow(/neither with/);
  });
});

describe("names of disks", () => {
  test("as Linux counts them", () => {
    const names = nameDisks(704, undefined);
    expect([names[0], names[1], names[25], names[26], names[701], names[702]]).toEqual(
      ["a", "b", "z", "aa", "zz", "aaa"].map((letters) => `xen/xvd${letters}`),
    );
  });
  test("--as gives Xen's names, partitions that are disks, and plain names", () => {
    expect(nameDisks(2, "xvda1,xvda2")).toEqual(["xen/xvda1", "xen/xvda2"]);
    expect(nameDisks(1, "hd0")).toEqual(["hd0"]);
    expect(nameDisks(2, "hda,xen/sdb")).toEqual(["xen/hda", "xen/sdb"]);
  });
  test.each(["", "xvda,xvda", "xvda", "xvda,xvdb,xvdc", "../x,hd1", "nvme0n1,hd0"])("--as %s is refused", (as) => {
    expect(() => nameDisks(2, as)).toThrow(UsageError);
  });
});

describe("limits", () => {
  test.each([
    ["512", 512],
    ["64K", 65536],
    ["1.5M", 1_572_864],
    ["1GiB", 2 ** 30],
    ["2tb", 2 ** 41],
  ])("a size of %s", (text, bytes) => expect(parseSize(text, "--x")).toBe(bytes));
  test.each(["", "x", "-1", "1Q", "1e9", "99999999999999G"])("no size: %s", (text) => {
    expect(() => parseSize(text, "--x")).toThrow(UsageError);
  });
  test("defaults and times", () => {
    expect(parseLimits({})).toEqual({
      memory: 2 ** 30,
      time: undefined,
      entries: 10_000_000,
      depth: 4096,
      symlinks: 40,
      decoded: 2 ** 40,
      reads: undefined,
      file: undefined,
    });
    expect(parseLimits({ limitTime: "500ms" }).time).toBe(500);
    expect(parseLimits({ limitTime: "2m" }).time).toBe(120_000);
  });
  test.each([{ limitTime: "soon" }, { limitEntries: "0" }, { limitEntries: "x" }, { limitMemory: "1M" }])(
    "%o is refused",
    (options) => expect(() => parseLimits(options)).toThrow(UsageError),
  );
});
