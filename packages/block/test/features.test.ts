import { checkFeatures, type Feature, featureNames, hasBit, refusedFeatures } from "@guestprobe/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const table: readonly Feature[] = [
  { bit: 0x1, name: "compression", verdict: "refuse", why: "never in mainline" },
  { bit: 0x2, name: "filetype", verdict: "read", why: "types in directories" },
  { bit: 0x100, name: "mmp", verdict: "ignore", why: "we never write" },
  { bit: 2 ** 31, name: "top", verdict: "read", why: "the sign bit of 32" },
  { bit: 2 ** 40, name: "high", verdict: "refuse", why: "past 32 bits" },
];

describe("hasBit", () => {
  test("equals the bigint definition up to 2^53", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(52), (flags, exponent) => {
        expect(hasBit(flags, 2 ** exponent)).toBe(((BigInt(flags) >> BigInt(exponent)) & 1n) === 1n);
      }),
    );
  });
});

describe("feature tables", () => {
  test("names in the order of the bits, unknown ones in hexadecimal", () => {
    const flags = 0x1 + 0x2 + 0x80 + 0x100 + 2 ** 31 + 2 ** 40 + 2 ** 52;
    expect(featureNames(flags, table)).toEqual([
      "compression",
      "filetype",
      "0x80",
      "mmp",
      "top",
      "high",
      "0x10000000000000",
    ]);
  });
  test("no flags, no names", () => expect(featureNames(0, table)).toEqual([]));
  test("what is refused: rows that say so, and bits without a row", () => {
    expect(refusedFeatures(0x1 + 0x2 + 0x80 + 0x100 + 2 ** 31 + 2 ** 40, table)).toEqual([
      "compression",
      "0x80",
      "high",
    ]);
  });
});

describe("checkFeatures", () => {
  test("passes what is read or ignored", () => {
    expect(() => checkFeatures("ext", "s_feature_incompat", 0x2 + 0x100 + 2 ** 31, table, 1120)).not.toThrow();
  });
  test("names all that stand in the way, the field and where it lies", () => {
    const check = () => checkFeatures("ext", "s_feature_incompat", 0x1 + 0x2 + 0x4, table, 1120);
    expect(check).toThrow("ext: needs the feature compression, 0x4 (s_feature_incompat at byte 1120)");
    expect(check).toThrow(expect.objectContaining({ code: "unsupported", field: "s_feature_incompat", offset: 1120 }));
  });
});
