import {
  formatDeviceName,
  formatLegacyName,
  GRUB_VERSIONS,
  parseDeviceName,
  parseLegacyName,
  splitDevicePath,
  vbdHandle,
} from "@guestprobe/grub";
import { describe, expect, test } from "vitest";
import { isBlocklist } from "../src/blocklist.js";
import { parseNumber } from "../src/number.js";

const old = GRUB_VERSIONS["2.12"];

describe("names of devices", () => {
  test.each([
    ["hd0", "hd0", []],
    ["xen/xvda", "xen/xvda", []],
    ["hd0,1", "hd0", [["", 1]]],
    ["hd0,msdos5", "hd0", [["msdos", 5]]],
    ["xen/xvda,gpt2", "xen/xvda", [["gpt", 2]]],
    ["hd0,010", "hd0", [["", 8]]],
    ["hd0,08", "hd0", [["", 8]]],
    ["hd0,0x1f", "hd0", [["", 31]]],
    ["hd0, 1", "hd0", [["", 1]]],
    ["hd0,msdos 1", "hd0", [["msdos", 1]]],
    ["lvm/a\\,b-root", "lvm/a,b-root", []],
    ["lvm/a\\,b-root,2", "lvm/a,b-root", [["", 2]]],
  ] as const)("%s", (name, disk, partitions) => {
    const parsed = parseDeviceName(name);
    expect(parsed?.disk).toBe(disk);
    expect(parsed?.partitions.map(({ map, number }) => [map, number])).toEqual(partitions);
  });

  test.each([
    "",
    ",1",
    "hd0,",
    "hd0,0",
    "hd0,msdos",
    "hd0,+1",
    "hd0,-1",
    "hd0,1x",
    "hd0,1,",
    "hd0,0X1",
    "hd0,2147483648",
  ])("%j opens nothing", (name) => {
    expect(parseDeviceName(name)).toBeUndefined();
  });

  test("what follows the first number is a matter of the version", () => {
    expect(parseDeviceName("hd0,msdos1,bsd2")).toBeUndefined();
    expect(parseDeviceName("hd0,msdos1,bsd2", old)?.partitions).toEqual([
      { map: "msdos", number: 1 },
      { map: "bsd", number: 2 },
    ]);
    expect(parseDeviceName("hd0,1x", old)?.partitions).toEqual([{ map: "", number: 1 }]);
    expect(parseDeviceName("hd0,1,", old)?.partitions).toHaveLength(1);
    expect(parseDeviceName("hd0,1,x", old)).toBeUndefined();
  });

  test("there and back", () => {
    for (const name of ["hd0", "xen/xvda,gpt2", "lvm/a\\,b-root,msdos1", "hd1,msdos1,bsd2"]) {
      const parsed = parseDeviceName(name, old);
      expect(parsed === undefined ? undefined : formatDeviceName(parsed)).toBe(name);
    }
  });

  test("a file name is a device and a path", () => {
    expect(splitDevicePath("(hd0,1)/boot")).toEqual({ device: "hd0,1", path: "/boot" });
    expect(splitDevicePath("/boot")).toEqual({ device: undefined, path: "/boot" });
    expect(splitDevicePath("(hd0)")).toEqual({ device: "hd0", path: "" });
    expect(splitDevicePath("(hd0/boot")).toBeUndefined();
  });
});

describe("names of GRUB legacy", () => {
  test.each([
    ["(hd0)", "hd0"],
    ["(hd0,0)", "hd0,1"],
    ["hd1,4", "hd1,5"],
    ["(hd0,1,a)", "hd0,2,bsd1"],
    ["(fd0)", "fd0"],
  ])("%s is %s", (legacy, name) => {
    const parsed = parseLegacyName(legacy);
    expect(parsed === undefined ? undefined : formatDeviceName(parsed)).toBe(name);
    expect(parsed === undefined ? undefined : formatLegacyName(parsed)).toBe(
      legacy.startsWith("(") ? legacy : `(${legacy})`,
    );
  });

  test.each(["(cd)", "(nd)", "(hd0,x)", "(hd)", "hd0,0,0", "(hd0,99999999999)", "xen/xvda"])("%s is none", (name) => {
    expect(parseLegacyName(name)).toBeUndefined();
  });

  test.each(["xen/xvda", "hd0,1,msdos2", "hd0,1,bsd1,bsd2"])("%s has none", (name) => {
    expect(formatLegacyName(parseDeviceName(name, old)!)).toBeUndefined();
  });
});

// xen-vbd-interface(7): "xvda" is 202 << 8, partitions in the low four bits; 1 << 28 from the seventeenth disk on.
test.each([
  ["xvda", 51712],
  ["xvda1", 51713],
  ["xvdb", 51728],
  ["xvdp15", 51967],
  ["xvdq", 0x1000_1000],
  ["xvda16", 0x1000_0010],
  ["xvdaa", 0x1000_1a00],
  ["sda", 2048],
  ["sdb1", 2065],
  ["hda", 768],
  ["hdb1", 833],
  ["hdc", 5632],
  ["hdd63", 5759],
  ["d0p1", 51713],
  ["d1", 51728],
  ["51712", 51712],
  ["0xca00", 51712],
  ["0145000", 51712],
  ["sdq", undefined],
  ["hde", undefined],
  ["xvd", undefined],
  ["vda", undefined],
  ["xvdzzzzzzzzzzzzzzzzzz", undefined],
] as const)("the number of %s is %s", (vdev, handle) => {
  expect(vbdHandle(vdev)).toBe(handle);
});

// As grub-emu 2.06 takes them; test/reference/search.test.ts asks it.
test.each([
  ["+1", true],
  ["0+1", true],
  ["08+010", true],
  ["0x10+0x2", true],
  [" 1+1", true],
  ["99+1", true],
  ["+1 x", true],
  ["1+1,2+3", true],
  ["100+1", false],
  ["0+101", false],
  ["+0", false],
  ["5+", false],
  ["+1,", false],
  ["+1x", false],
  ["", false],
  ["boot/grub/grub.cfg", false],
  ["-1+1", false],
  ["99999999999999999999+1", false],
] as const)("the sectors %j of a disk of 100: %s", (name, expected) => {
  expect(isBlocklist(name, 100)).toBe(expected);
});

test.each([
  ["12ab", { value: 12, end: 2 }],
  ["0x1G", { value: 1, end: 3 }],
  ["\t 7", { value: 7, end: 3 }],
  ["09", { value: 9, end: 2 }],
  ["018", { value: 1, end: 2 }],
  ["0x", undefined],
  ["x", undefined],
  ["", undefined],
  ["9007199254740992", undefined],
] as const)("the number in %j", (text, expected) => {
  expect(parseNumber(text)).toEqual(expected);
});
