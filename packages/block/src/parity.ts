/**
 * Parity of RAID5 and RAID6: P is the sum of the data stripes, Q the sum of g^i times stripe i, over GF(2^8) with the
 * polynomial 0x11d and g = 2. Source: H. Peter Anvin, "The mathematics of RAID-6".
 */

/** exp holds g^n twice over, so that a sum of two logarithms needs no reduction. */
const exp = new Uint8Array(512);
const log = new Uint8Array(256);
for (let n = 0, value = 1; n < 255; n += 1) {
  exp[n] = value;
  exp[n + 255] = value;
  log[value] = n;
  value = value & 0x80 ? ((value << 1) ^ 0x11d) & 0xff : value << 1;
}

/** `target ^= factor * source`, byte by byte; `factor` is not zero. */
function addTimes(target: Uint8Array, source: Uint8Array, factor: number): void {
  if (factor === 1) {
    for (let at = 0; at < target.length; at += 1) target[at] = target[at]! ^ source[at]!;
    return;
  }
  const shift = log[factor]!;
  for (let at = 0; at < target.length; at += 1) {
    const byte = source[at]!;
    if (byte !== 0) target[at] = target[at]! ^ exp[log[byte]! + shift]!;
  }
}

function scale(target: Uint8Array, factor: number): void {
  const shift = log[factor]!;
  for (let at = 0; at < target.length; at += 1) if (target[at] !== 0) target[at] = exp[log[target[at]!]! + shift]!;
}

const inverse = (value: number): number => exp[255 - log[value]!]!;

/** What is there of one row of stripes; all of the same length, undefined where lost. */
export interface ParityRow {
  /** The stripe at index i counts g^i times in Q. */
  readonly data: readonly (Uint8Array | undefined)[];
  readonly p: Uint8Array | undefined;
  readonly q: Uint8Array | undefined;
}

/**
 * Data stripe `wanted`, computed from the others. Answers undefined when too much is lost.
 */
export function rebuildStripe(row: ParityRow, wanted: number, length: number): Uint8Array | undefined {
  const lost = row.data.flatMap((stripe, index) => (stripe === undefined ? [index] : []));
  if (!lost.includes(wanted)) return row.data[wanted];
  if (lost.length === 1 && row.p !== undefined) {
    const result = row.p.slice(0, length);
    for (const stripe of row.data) if (stripe !== undefined) addTimes(result, stripe, 1);
    return result;
  }
  if (row.q === undefined || lost.length > 2 || (lost.length === 2 && row.p === undefined)) return undefined;
  // qSum = sum of g^i D_i over the lost ones.
  const qSum = row.q.slice(0, length);
  for (const [index, stripe] of row.data.entries()) if (stripe !== undefined) addTimes(qSum, stripe, exp[index % 255]!);
  if (lost.length === 1) {
    scale(qSum, inverse(exp[wanted % 255]!));
    return qSum;
  }
  // Two data stripes x (wanted) and y: D_x = (g^y * pSum + qSum) / (g^x + g^y).
  const other = lost[0] === wanted ? lost[1]! : lost[0]!;
  addTimes(qSum, row.p!, exp[other % 255]!);
  for (const stripe of row.data) if (stripe !== undefined) addTimes(qSum, stripe, exp[other % 255]!);
  scale(qSum, inverse(exp[wanted % 255]! ^ exp[other % 255]!));
  return qSum;
}
