import { ImageError } from "./errors.js";

/** One feature bit of a format, and what its reader does about it. */
export interface Feature {
  /** A single bit; above 2^31 as a plain number. */
  readonly bit: number;
  /** As the format's own tools print it. */
  readonly name: string;
  /** `read`: supported. `ignore`: does not change what a reader sees. `refuse`: the volume is not opened. */
  readonly verdict: "read" | "ignore" | "refuse";
  readonly why: string;
}

/** Whether `bit` is set in `flags`; both may pass 2^31. */
export function hasBit(flags: number, bit: number): boolean {
  return Math.floor(flags / bit) % 2 === 1;
}

/** Names of the set bits, unknown ones as "0x...". */
export function featureNames(flags: number, table: readonly Feature[]): string[] {
  const names: string[] = [];
  for (let bit = 1; bit <= flags; bit *= 2) {
    if (!hasBit(flags, bit)) continue;
    names.push(table.find((feature) => feature.bit === bit)?.name ?? `0x${bit.toString(16)}`);
  }
  return names;
}

/** The features that a table refuses, unknown bits included: a reader that does not know a bit cannot know what it means. */
export function refusedFeatures(flags: number, table: readonly Feature[]): string[] {
  const refused: string[] = [];
  for (let bit = 1; bit <= flags; bit *= 2) {
    if (!hasBit(flags, bit)) continue;
    const known = table.find((feature) => feature.bit === bit);
    if (known === undefined) refused.push(`0x${bit.toString(16)}`);
    else if (known.verdict === "refuse") refused.push(known.name);
  }
  return refused;
}

/**
 * The gate: throws `unsupported`, naming each feature that the table refuses or does not know.
 *
 * @param field Name of the on-disk field, e.g. "s_feature_incompat".
 * @param offset Where that field lies, in bytes from the start of the device.
 */
export function checkFeatures(
  format: string,
  field: string,
  flags: number,
  table: readonly Feature[],
  offset: number,
): void {
  const refused = refusedFeatures(flags, table);
  if (refused.length > 0) {
    throw new ImageError("unsupported", `needs the feature ${refused.join(", ")}`, { format, field, offset });
  }
}
