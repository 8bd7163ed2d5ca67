import { decodeText, type Finding } from "@guestprobe/block";

/** Families of distributions that the remedies have words for. */
export type Distribution = "Debian" | "Fedora" | "SUSE" | "Arch" | "Alpine";

const FAMILIES: readonly (readonly [RegExp, Distribution])[] = [
  [/^(debian|ubuntu)$/, "Debian"],
  [/^(fedora|rhel|centos|rocky|almalinux)$/, "Fedora"],
  [/^(suse|opensuse.*|sles)$/, "SUSE"],
  [/^arch$/, "Arch"],
  [/^alpine$/, "Alpine"],
];

/** The family that an os-release file names. os-release(5), ID and ID_LIKE. */
export function distributionOf(osRelease: Uint8Array): Distribution | undefined {
  const words = decodeText(osRelease.subarray(0, 1 << 16))
    .split("\n")
    .map((line) => /^(ID|ID_LIKE)=["']?([^"']*)["']?$/.exec(line.trim()))
    .filter((match) => match !== null)
    .toSorted((a, b) => a[1]!.length - b[1]!.length)
    .flatMap((match) => match[2]!.split(/\s+/));
  for (const word of words) {
    const family = FAMILIES.find(([pattern]) => pattern.test(word));
    if (family !== undefined) return family[1];
  }
  return undefined;
}

/** "Fedora, SUSE: `command`" is for those two; a step that names none is for all. */
const FOR = /^((?:Debian|Fedora|SUSE|Arch|Alpine)(?:, (?:Debian|Fedora|SUSE|Arch|Alpine))*): /;

/** The finding with the steps that are for this distribution, and those for all. */
export function forDistribution(found: Finding, distribution: Distribution | undefined): Finding {
  if (distribution === undefined) return found;
  const meant = (step: string): boolean => FOR.exec(step)?.[1]?.split(", ").includes(distribution) ?? true;
  return { ...found, next: found.next.filter(meant) };
}
