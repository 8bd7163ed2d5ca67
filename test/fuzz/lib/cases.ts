import type { Random } from "../../lib/random.js";
import { Patch } from "./patch.js";
import { type Anatomy, edgeValues, fieldBytes, fieldValue, type Spot } from "./spots.js";
import type { LoadedSeed, Target } from "./target.js";

/** One input, small enough to be kept: either changes to a seed, or the bytes themselves. */
export interface Case {
  readonly target: string;
  /** Passed to the target: which options it uses. */
  readonly variant: number;
  readonly seed?: string;
  /** Byte offset and hexadecimal bytes. */
  readonly edits?: readonly (readonly [number, string])[];
  /** Whether checksums are made right afterwards. */
  readonly reseal?: boolean;
  /** Length that is left of the seed. */
  readonly cut?: number;
  /** Base64. */
  readonly bytes?: string;
}

/** Hands the bytes of a case to `use`; a seed that was changed for it is whole again afterwards. */
export async function withInput<T>(
  { seed: name, edits = [], cut, bytes, reseal }: Case,
  seeds: readonly LoadedSeed[],
  use: (data: Uint8Array) => Promise<T>,
): Promise<T> {
  if (bytes !== undefined) return use(new Uint8Array(Buffer.from(bytes, "base64")));
  const seed = seeds.find((one) => one.name === name);
  if (seed === undefined) throw new Error(`there is no seed ${name}`);
  const patch = new Patch(seed.bytes);
  try {
    for (const [at, hex] of edits) patch.write(at, Buffer.from(hex, "hex"));
    if (reseal === true && seed.anatomy !== undefined) patch.reseal(seed.anatomy.seals);
    return await use(seed.bytes.subarray(0, cut ?? seed.bytes.length));
  } finally {
    patch.restore();
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A new case: from a seed, or from one that led to something new before. */
export function makeCase(target: Target, seeds: readonly LoadedSeed[], random: Random, before?: Case): Case {
  const seed = seeds.find((one) => one.name === before?.seed) ?? random.pick(seeds);
  const common = { target: target.name, variant: random.next() };
  if (seed.anatomy === undefined) {
    const data = before?.bytes === undefined ? seed.bytes : Buffer.from(before.bytes, "base64");
    return { ...common, bytes: Buffer.from(mangle(random, data, target.words ?? [])).toString("base64") };
  }
  const edits = [...(before?.edits ?? [])];
  if (edits.length > 0 && random.below(3) === 0) edits.splice(random.below(edits.length), 1);
  for (let left = 1 + random.below(random.below(4) === 0 ? 8 : 2); left > 0; left -= 1) {
    const edit = changeField(random, seed.bytes, seed.anatomy);
    if (edit !== undefined) edits.push(edit);
  }
  return {
    ...common,
    seed: seed.name,
    edits: edits.slice(-24),
    reseal: random.below(8) !== 0,
    ...(random.below(24) === 0 ? { cut: random.below(seed.bytes.length) } : {}),
  };
}

function changeField(random: Random, image: Uint8Array, { spots }: Anatomy): readonly [number, string] | undefined {
  if (spots.length === 0) return undefined;
  // Half of the time a field of a kind is chosen first: else the thousand directory entries hide the one superblock.
  const any = random.pick(spots);
  const spot = random.below(2) === 0 ? any : (pickKind(random, spots) ?? any);
  if (random.below(16) === 0) return [spot.at, hex(random.bytes(1 + random.below(16)))];
  return [spot.at, hex(fieldBytes(spot, newValue(random, image, spot, spots)))];
}

const kinds = new WeakMap<readonly Spot[], ReadonlyMap<string, readonly Spot[]>>();

function pickKind(random: Random, spots: readonly Spot[]): Spot | undefined {
  let known = kinds.get(spots);
  if (known === undefined) {
    known = groupByName(spots);
    kinds.set(spots, known);
  }
  return random.pick(random.pick([...known.values()]));
}

function groupByName(spots: readonly Spot[]): Map<string, Spot[]> {
  const groups = new Map<string, Spot[]>();
  for (const spot of spots) {
    const group = groups.get(spot.name);
    if (group === undefined) groups.set(spot.name, [spot]);
    else group.push(spot);
  }
  return groups;
}

function newValue(random: Random, image: Uint8Array, spot: Spot, spots: readonly Spot[]): bigint {
  const original = fieldValue(image, spot);
  switch (random.below(8)) {
    case 0:
    case 1:
    case 2: {
      const edges = edgeValues(image, spot);
      return edges.length === 0 ? ~original : random.pick(edges);
    }
    case 3:
      return original ^ (1n << BigInt(random.below(spot.size * 8)));
    case 4:
      return (
        BigInt(random.pick([image.length, image.length >> 9, image.length >> 10, image.length >> 12])) +
        BigInt(random.below(3) - 1)
      );
    case 5:
      return original << BigInt(1 + random.below(12));
    case 6:
      // What stands elsewhere: loops and cross-links come from this.
      return fieldValue(image, random.pick(spots));
    default:
      return BigInt(random.below(random.pick([256, 65_536, 0x1_0000_0000])));
  }
}

const MAX_INPUT = 1 << 18;
const EDGES = [
  "\0",
  "\n",
  "\r\n",
  " ",
  "\t",
  "'",
  '"',
  "\\",
  "$",
  "{",
  "}",
  "(",
  ")",
  "*",
  "\xff",
  "\xe2\x80\xae",
  "%",
  "9999999999",
  "-1",
];

/** A changed copy of text or of a stream: bits, bytes, stretches cut, moved, repeated; words put in; long runs. */
export function mangle(random: Random, data: Uint8Array, words: readonly string[]): Uint8Array {
  let bytes = Buffer.from(data);
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    const at = random.below(bytes.length + 1);
    const span = random.below(Math.min(64, bytes.length - at + 1)) + 1;
    const insert = (piece: Uint8Array, drop = 0): void => {
      bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + drop)]);
    };
    switch (random.below(10)) {
      case 0:
      case 1:
        if (at < bytes.length) bytes[at]! ^= 1 << random.below(8);
        break;
      case 2:
        if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]);
        break;
      case 3:
        insert(Buffer.alloc(0), span);
        break;
      case 4:
        insert(bytes.subarray(at, at + span));
        break;
      case 5: {
        const from = random.below(bytes.length + 1);
        insert(Buffer.from(bytes.subarray(from, from + span)), random.below(span + 1));
        break;
      }
      case 6:
        insert(Buffer.from(random.pick(words.length > 0 && random.below(3) > 0 ? words : EDGES), "latin1"));
        break;
      case 7:
        if (random.below(4) === 0) bytes = bytes.subarray(0, at);
        break;
      case 8: {
        // Long runs of the same: where a pattern is matched in more than linear time, this shows it.
        const piece =
          random.below(2) === 0
            ? bytes.subarray(at, at + 1 + random.below(4))
            : Buffer.from(random.pick([...EDGES, ...words]), "latin1");
        const count = 1 << random.below(16);
        if (piece.length > 0) insert(Buffer.alloc(Math.min(piece.length * count, MAX_INPUT), piece));
        break;
      }
      default:
        insert(random.bytes(span), random.below(span + 1));
    }
    if (bytes.length > MAX_INPUT) bytes = bytes.subarray(0, MAX_INPUT);
  }
  return new Uint8Array(bytes);
}
