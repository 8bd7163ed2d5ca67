import { describe, expect, it } from "vitest";
import { rebuildStripe } from "../src/parity.js";

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, bit by bit. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = product & 0x80 ? ((product << 1) ^ 0x11d) & 0xff : product << 1;
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

const LENGTH = 64;
const WIDTH = 6;
const data = Array.from({ length: WIDTH }, (_, n) =>
  Uint8Array.from({ length: LENGTH }, (_, at) => (at * 37 + n * 101 + ((at * n) % 13)) & 0xff),
);
const p = new Uint8Array(LENGTH);
const q = new Uint8Array(LENGTH);
for (let at = 0; at < LENGTH; at += 1) {
  for (let n = 0, power = 1; n < WIDTH; n += 1, power = times(power, 2)) {
    p[at]! ^= data[n]![at]!;
    q[at]! ^= times(power, data[n]![at]!);
  }
}
const without = (...lost: number[]) => data.map((stripe, n) => (lost.includes(n) ? undefined : stripe));

describe("a lost stripe", () => {
  for (let lost = 0; lost < WIDTH; lost += 1) {
    it(`${lost}: by P, by Q, and by both beside another`, () => {
      expect(rebuildStripe({ data: without(lost), p, q: undefined }, lost, LENGTH)).toEqual(data[lost]);
      expect(rebuildStripe({ data: without(lost), p: undefined, q }, lost, LENGTH)).toEqual(data[lost]);
      for (let other = 0; other < WIDTH; other += 1) {
        if (other === lost) continue;
        expect(rebuildStripe({ data: without(lost, other), p, q }, lost, LENGTH), `with ${other}`).toEqual(data[lost]);
      }
    });
  }

  it("too much is lost", () => {
    expect(rebuildStripe({ data: without(0), p: undefined, q: undefined }, 0, LENGTH)).toBeUndefined();
    expect(rebuildStripe({ data: without(0, 1), p, q: undefined }, 0, LENGTH)).toBeUndefined();
    expect(rebuildStripe({ data: without(0, 1), p: undefined, q }, 0, LENGTH)).toBeUndefined();
    expect(rebuildStripe({ data: without(0, 1, 2), p, q }, 0, LENGTH)).toBeUndefined();
  });

  it("of two in a row of one, the parities are copies", () => {
    const one = [undefined];
    expect(rebuildStripe({ data: one, p: data[0], q: undefined }, 0, LENGTH)).toEqual(data[0]);
    expect(rebuildStripe({ data: one, p: undefined, q: data[0] }, 0, LENGTH)).toEqual(data[0]);
  });
});
